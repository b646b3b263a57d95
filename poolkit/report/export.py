"""Exports an executed notebook to one HTML file that opens offline: no request and no script."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import tempfile
from html import escape, unescape
from pathlib import Path
from typing import Any

from poolkit.errors import BadInput, MissingExtra
from poolkit.measure.store import write_atomic

TEMPLATES = Path(__file__).parent / "templates"
CONTENTS = "<!--contents-->"
# Cells with the first of these tags open the report, those with the second follow.
READ_FIRST = ("decision", "charts")
HIDDEN = {"parameters", "injected-parameters"}  # they hold nothing that a reader of a report needs
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_PDF_SECONDS = 30


def export(notebook: Path, out: Path) -> Path:
    """Write the executed `notebook` as one HTML file `out`, the decision first; returns `out`.

    Raises:
        MissingExtra: nbconvert is not installed.
        BadInput: the notebook cannot be read.
    """
    try:
        import nbformat as untyped
        from nbconvert.exporters import HTMLExporter as UntypedExporter
        from traitlets.config import Config
    except ImportError as error:
        raise MissingExtra("nbconvert", "workbook") from error
    nbformat: Any = untyped
    exporter_class: Any = UntypedExporter
    try:
        content = nbformat.read(notebook, as_version=4)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{notebook.name} is not a notebook", "run the review again to write it"
        ) from error
    content.metadata.pop("widgets", None)
    content.cells = decision_first(content.cells)
    exporter = exporter_class(
        config=Config({"HTMLExporter": {"exclude_anchor_links": True}}),
        template_name="poolkit",
        extra_template_basedirs=[str(TEMPLATES)],
    )
    style = (TEMPLATES / "poolkit" / "report.css").read_text(encoding="utf-8")
    resources = {"poolkit": {"title": _title(content.cells), "style": style}}
    body, _ = exporter.from_notebook_node(content, resources=resources)
    body = _with_names(body)
    # Markdown's tables have headers at the top only, and do not say so.
    body = re.sub(r"<th(?![^>]*\bscope=)(?=[\s>])", '<th scope="col"', body)
    write_atomic(out, with_contents(_framed(body)))
    return out


def decision_first(cells: list[Any]) -> list[Any]:
    """A reader's order: title, decision, a chart a target, then everything else as it stood."""
    shown = [cell for cell in cells if not HIDDEN & _tags(cell)]
    first = [[cell for cell in shown if tag in _tags(cell)] for tag in READ_FIRST]
    if not first[0]:
        return shown
    rest = [cell for cell in shown if not _tags(cell).intersection(READ_FIRST)]
    return [rest[0], *itertools.chain(*first), *rest[1:]]


def _tags(cell: Any) -> set[str]:
    return set(cell.metadata.get("tags", ()))


def _title(cells: list[Any]) -> str:
    for cell in cells:
        found = re.search(r"^# (.+)$", cell.source, re.MULTILINE)
        if cell.cell_type == "markdown" and found:
            return str(found[1])
    return "poolkit review"


def _framed(body: str) -> str:
    """Put the decision in a box and leave room for the contents after it."""
    headings = [match.start() for match in re.finditer(r"<h2\b", body)]
    if not headings:
        return body
    end = headings[1] if len(headings) > 1 else body.index("</main>")
    decided = body[headings[0] : end]
    return f'{body[: headings[0]]}<div class="decision">{decided}</div>\n{CONTENTS}\n{body[end:]}'


def with_contents(body: str) -> str:
    """Replace the mark `<!--contents-->` by links to the h2 and h3 that follow it."""
    if CONTENTS not in body:
        return body
    before, after = body.split(CONTENTS, 1)
    after = re.sub(r"<h2>(.*?)</h2>", _with_id, after, flags=re.DOTALL)
    items = "".join(
        _contents_item(level, anchor, words)
        for level, anchor, words in re.findall(
            r'<h([23])[^>]* id="([^"]+)"[^>]*>(.*?)</h\1>', after, re.DOTALL
        )
    )
    heading = "<strong>Contents</strong>"
    nav = f'<nav class="contents" aria-label="Contents">{heading}<ul>\n{items}</ul></nav>'
    return before + nav + after


def _with_names(body: str) -> str:
    """Markdown's tables have no caption: each is called as the heading above it."""
    heading = ""

    def named(found: re.Match[str]) -> str:
        nonlocal heading
        if found[1] is None:
            return f'<table aria-label="{escape(heading, quote=True)}">'
        heading = _plain(found[1])
        return found[0]

    return re.sub(r"<h[1-6][^>]*>(.*?)</h[1-6]>|<table>", named, body, flags=re.DOTALL)


def _with_id(heading: re.Match[str]) -> str:
    anchor = re.sub(r"[^a-z0-9]+", "-", _plain(heading[1]).lower()).strip("-")
    return f'<h2 id="{anchor}">{heading[1]}</h2>'


def _contents_item(level: str, anchor: str, words: str) -> str:
    """A line of the contents; that of a target holds its name and not its whole claim."""
    text = _plain(words)
    if level == "3":
        return f'<li class="sub"><a href="#{anchor}">{escape(text.split(": ")[0])}</a></li>\n'
    return f'<li><a href="#{anchor}">{escape(text)}</a></li>\n'


def _plain(markup: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", markup)).strip()


def export_pdf(report: Path, out: Path) -> Path | None:
    """Print report.html to the PDF `out` with Chromium; None where there is none or it fails.

    An older `out` does not stay behind. It takes some seconds and is given up after 30 s.
    """
    out.unlink(missing_ok=True)
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        return None
    with tempfile.TemporaryDirectory(prefix="poolkit-pdf-") as profile:
        command = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-pdf-header-footer",
            f"--user-data-dir={profile}",
            f"--print-to-pdf={out.resolve()}",
            report.resolve().as_uri(),
        ]
        try:
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=True,
                timeout=_PDF_SECONDS,
            )
        except (OSError, subprocess.SubprocessError):
            return None
    return out if out.is_file() else None
