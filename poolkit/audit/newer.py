"""Which Python would parse a source that the running one cannot: told by the syntax it uses.

Only what is newer than the running Python is looked for, and only where the parser gave up.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

_LONGEST = 20_000  # characters of one f-string
_DEEPEST = 12  # f-strings in each other
_MOST_TORN = 20  # f-strings without an end, after which no more are looked for
_STRING = re.compile(r"#[^\n]*|(?<!\w)([A-Za-z]{0,2})(\"\"\"|'''|\"|')")
_PREFIXES = frozenset({"", "r", "u", "b", "f", "t", "br", "rb", "fr", "rf", "tr", "rt"})

Version = tuple[int, int]


@dataclass(frozen=True)
class Construct:
    """A piece of syntax on lines `first` to `last`, and the first Python that knows it."""

    first: int
    last: int
    version: Version
    what: str


_TYPES = "type parameters or a type statement"
# Pattern in code without strings and comments; the first group, if any, is judged by `_is_class`.
_PATTERNS: tuple[tuple[re.Pattern[str], Version, str], ...] = (
    (re.compile(r"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+\w+[ \t]*\[", re.M), (3, 12), _TYPES),
    (re.compile(r"^[ \t]*type[ \t]+[^\W\d]\w*[ \t]*(?:\[|=(?!=))", re.M), (3, 12), _TYPES),
    (
        re.compile(r"^[ \t]*except\*?[ \t]+[\w.]+[ \t]*,([\w., \t]+):", re.M),
        (3, 14),
        "except with several types and no parentheses",
    ),
    (re.compile(r"^[ \t]*lazy[ \t]+(?:import|from)[ \t]", re.M), (3, 15), "a lazy import"),
)


def needed(text: str, error: SyntaxError) -> Construct | None:
    """What makes a source one of a newer Python than this; None: nothing that is known.

    Args:
        error: what this Python's parser said of it.
    """
    found = [one for one in constructs(text) if one.version > sys.version_info[:2]]
    if "unpacking cannot be used in" in (error.msg or "") and "comprehension" in error.msg:
        line = error.lineno or 1
        found.append(Construct(line, line, (3, 15), "unpacking in a comprehension"))
    if not any(_is_at(one, error) for one in found):
        return None
    return max(found, key=lambda one: one.version)


def _is_at(one: Construct, error: SyntaxError) -> bool:
    """Whether the parser may have given up there; of an f-string's inside it knows no line."""
    is_of_string = "f-string" in (error.msg or "") and "f-string" in one.what
    return is_of_string or one.first <= (error.lineno or 0) <= one.last


def constructs(text: str) -> list[Construct]:
    """The syntax in a source that came with Python 3.12 or later."""
    code, found = _without_strings(text)
    for pattern, version, what in _PATTERNS:
        for match in pattern.finditer(code):
            if match.lastindex and not _is_class(match[1]):
                continue  # Python 2: `except ValueError, error:`
            line = text.count("\n", 0, match.end()) + 1
            if what is _TYPES and "[" in match[0] and _has_default(code, match.end()):
                found.append(Construct(line, line, (3, 13), "defaults of type parameters"))
            else:
                found.append(Construct(line, line, version, what))
    return found


def _is_class(names: str) -> bool:
    return all(name.strip().rpartition(".")[2][:1].isupper() for name in names.split(","))


def _has_default(code: str, at: int) -> bool:
    """Whether `= default` stands in the brackets that are open from `at` on."""
    depth = 1
    for character in code[at : at + _LONGEST]:
        depth += (character in "[({") - (character in "])}")
        if depth == 0:
            return False
        if character == "=" and depth == 1:
            return True
    return False


def _without_strings(text: str) -> tuple[str, list[Construct]]:
    """The source with strings and comments blanked, and those strings that are new."""
    parts: list[str] = []
    found: list[Construct] = []
    at = torn = 0
    while (match := _STRING.search(text, at)) is not None:
        end, is_new, prefix = match.end(), False, (match[1] or "").lower()
        if match[2] is not None and prefix in _PREFIXES:
            scanned = None
            if ("f" in prefix or "t" in prefix) and torn < _MOST_TORN:
                scanned = _Scan(text, match.end() + _LONGEST).string(match.end(), match[2])
                torn += scanned is None
            end, is_new = scanned or (_plain(text, match.end(), match[2]), False)
        if is_new or "t" in prefix:
            first = text.count("\n", 0, match.start()) + 1
            last = first + text.count("\n", match.start(), end)
            is_template = "t" in prefix
            version = (3, 14) if is_template else (3, 12)
            what = (
                "a template string"
                if is_template
                else "an f-string with its own quotes, a backslash or a comment inside"
            )
            found.append(Construct(first, last, version, what))
        parts += [text[at : match.start()], re.sub(r"[^\n]", " ", text[match.start() : end])]
        at = max(end, match.end())
    parts.append(text[at:])
    return "".join(parts), found


def _plain(text: str, at: int, quote: str) -> int:
    """Where a string ends that holds no expressions; at its line's end where nothing ends it."""
    ends = {'"': r'(?:\\.|[^"\\\n])*', "'": r"(?:\\.|[^'\\\n])*"}
    pattern = ends.get(quote, rf"(?:\\.|(?!{quote})[^\\])*")
    match = re.compile(pattern, re.S).match(text, at)
    assert match is not None
    return match.end() + len(quote) * text.startswith(quote, match.end())


class _Scan:
    """One f-string as PEP 701 reads it: expressions may hold any string, comment and new line."""

    def __init__(self, text: str, limit: int) -> None:
        self._text = text
        self._limit = min(limit, len(text))

    def string(self, at: int, quote: str, depth: int = 0) -> tuple[int, bool] | None:
        """Where it ends, and whether Python 3.11 reads it otherwise; None: it has no end."""
        is_new = False
        while at < self._limit:
            if self._text.startswith(quote, at):
                return at + len(quote), is_new
            character = self._text[at]
            if character == "\n" and len(quote) == 1:
                return None
            if character == "{" and not self._text.startswith("{{", at):
                inner = self._field(at + 1, quote, depth)
                if inner is None:
                    return None
                at, is_new = inner[0], is_new or inner[1]
            else:
                at += 2 if character == "\\" or self._text.startswith("{{", at) else 1
        return None

    def _field(self, at: int, quote: str, depth: int) -> tuple[int, bool] | None:
        """The expression from `at` to its brace, with what may follow its colon."""
        if depth > _DEEPEST:
            return None
        is_new, level, is_format = False, 0, False
        while at < self._limit:
            character = self._text[at]
            if character == "}" and not level:
                return at + 1, is_new
            inner: tuple[int, bool] | None = (at + 1, False)
            if is_format:
                if self._text.startswith(quote, at):
                    return None
                if character == "{":
                    inner = self._field(at + 1, quote, depth + 1)
            elif character in "\"'":
                inner = self._nested(at, quote, depth)
            elif character == "#":
                end = self._text.find("\n", at)
                inner = None if end < 0 else (end, True)
            else:
                inner = (at + 1, character == "\\" or (character == "\n" and len(quote) == 1))
                level += (character in "[({") - (character in "])}")
                is_format = character == ":" and not level
            if inner is None:
                return None
            at, is_new = inner[0], is_new or inner[1]
        return None

    def _nested(self, at: int, quote: str, depth: int) -> tuple[int, bool] | None:
        own = self._text[at] * 3
        own = own if self._text.startswith(own, at) else own[0]
        prefix = self._text[max(0, at - 2) : at].lower()
        if "f" in prefix or "t" in prefix:
            found = self.string(at + len(own), own, depth + 1)
        else:
            found = _plain(self._text, at + len(own), own), False
        if found is None or not self._text.startswith(own, found[0] - len(own)):
            return None
        written = self._text[at : found[0]]
        return found[0], found[1] or quote in written or "\\" in written
