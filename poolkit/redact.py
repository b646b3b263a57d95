"""Takes secrets out of text on its way to a file, a log line, an event or the screen."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote, unquote_plus

MASK = "***"
SHORTEST = 3  # characters


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
