"""What a reader sees of report.html: its words, and how many figures and tables it has."""

from __future__ import annotations

import re
from html import unescape

from tests.golden.commands import plain

# Where a line ends on the page.
_ENDS = r"</(?:p|h\d|li|tr|div|caption|figcaption|summary|table|pre)>|<br ?/?>"


def seen_in(page: str) -> str:
    """The page as lines of text; charts as what is said of them to who cannot see them."""
    figures, all_tables = page.count("<svg"), page.count("<table")
    body = re.sub(r"<(style|script|head)\b.*?</\1>", "", page, flags=re.DOTALL)
    # The notebook's code: the modules that it imports move.
    body = re.sub(r"<details[^>]*>\s*<summary>Code.*?</details>", "", body, flags=re.DOTALL)
    body = re.sub(
        r'<svg aria-label="(.*?)".*?</svg>', r"<p>[figure: \1]</p>", body, flags=re.DOTALL
    )
    body = re.sub(r"<h(\d)[^>]*>", lambda found: "#" * int(found[1]) + " ", body)
    body = re.sub(r"</t[dh]>", " | ", body)
    body = unescape(re.sub(r"<[^>]+>", "", re.sub(_ENDS, "\n", body)))
    lines = [" ".join(line.split()) for line in body.splitlines()]
    text = "\n".join(line for line in lines if line)
    # Of this machine.
    text = re.sub(r"^(machine|memory|system|versions) \|.*", r"\1 | ...", text, flags=re.MULTILINE)
    return f"{figures} figures, {all_tables} tables\n\n{plain(text)}"
