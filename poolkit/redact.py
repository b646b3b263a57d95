"""What text passes on its way to a file, a log line, an event or the screen.

Secrets are taken out of it, and so are characters that would steer whatever shows it.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote, unquote_plus

MASK = "***"
SHORTEST = 3  # characters
# An underscore within a word is none; `[` begins links and pictures, `<` tags.
_MARKUP = re.compile(r"[\\`*\[\]<|~]|(?<![^\W_])_|_(?![^\W_])")
_FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\N{FULLWIDTH EQUALS SIGN}",
    "\N{FULLWIDTH PLUS SIGN}",
    "\N{FULLWIDTH HYPHEN-MINUS}",
    "\N{FULLWIDTH COMMERCIAL AT}",
)


def printable(text: str) -> str:
    """The text with `?` for each character that nobody would see but that steers what shows it.

    Those are control characters (ESC, BEL, NUL, a lone CR, C1), what turns the direction of writing
    (U+202E) or is invisible otherwise, line ends of other kinds, and halves of characters. Letters
    of every script, spaces of any width, tabs and line ends stay.
    """
    if text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    steering = {ord(c): "?" for c in set(text) if not (c.isprintable() or _is_space(c))}
    return text.translate(steering)


def in_markdown(text: str) -> str:
    """A text within a line of Markdown or a cell of a table: no markup begins, no row ends."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(printable(text).split()))


def in_html(text: str) -> str:
    """A text within an element or an attribute of a page."""
    return html.escape(printable(text))


def in_json(text: str) -> str:
    """A JSON document whose texts are escaped until it is printable: it says the same."""
    steering = (c for c in set(text) if not (c.isprintable() or _is_space(c)))
    return text.translate({ord(c): json.dumps(c)[1:-1] for c in steering})


def in_csv(value: object) -> object:
    """A cell of CSV: text that a spreadsheet would take for a formula gets a quote before it.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _is_space(character: str) -> bool:
    return character in "\n\t" or unicodedata.category(character) == "Zs"


class Redactor:
    """Replaces each of `secrets` in a text by `***`.

    A secret is found as it is, percent-encoded, decoded, escaped as in JSON (twice too: JSON within
    JSON), in a Python literal and in HTML. Secrets shorter than 3 characters are left alone: they
    protect nothing, and taking every "x" out of a report would destroy it and show what was meant.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
        # Longest first: where one secret begins another, no tail of the longer one may stay.
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None
        self._count = len(ordered)

    def __repr__(self) -> str:
        return f"Redactor({self._count} forms)"

    def text(self, text: str) -> str:
        """The text without any of the secrets."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)


def _forms(secret: str) -> Iterator[str]:
    """A secret in every way that a URL, a JSON line, a traceback or a page may write it."""
    if len(secret) < SHORTEST:
        return
    plain = {secret, unquote(secret), unquote_plus(secret)}
    for form in plain:
        quoted = {quote(form, safe=""), quote(form), quote_plus(form)}
        yield from quoted
        # Some clients write percent codes in lower case.
        yield from (re.sub(r"%[0-9A-F]{2}", lambda m: m.group().lower(), q) for q in quoted)
        yield repr(form)[1:-1]
        yield from (html.escape(form), html.escape(form, quote=False))
        once = {form, _json(form, True), _json(form, False)}
        yield from once
        yield from (_json(escaped, ascii_only) for escaped in once for ascii_only in (True, False))


def _json(text: str, ascii_only: bool) -> str:
    return json.dumps(text, ensure_ascii=ascii_only)[1:-1]
