"""A table as rich prints it: the caption and the head in bold, marks in colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from poolkit.show.tables.printed import laid_out, wrap

# What a cell begins with -> how it is shown.
_COLOURS = {"✗": "bold red", "⚠": "bold yellow"}


@dataclass(frozen=True)
class OnScreen:
    """A table of printable texts that is laid out once the width is known; see `Table`."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[int]
    emphasis: frozenset[int]
    whole: frozenset[int]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        if self.caption:
            yield from (_text(line, is_bold=True) for line in wrap(self.caption, width))
        marks = [{cell[:1] for cell in row} & set(_COLOURS) for row in self.rows]
        lines = laid_out(self.columns, self.rows, width, numeric=self.numeric, whole=self.whole)
        for line in lines:
            text = _text(line.text, is_bold=line.row is None or line.row in self.emphasis)
            for mark in () if line.row is None else marks[line.row]:
                text.highlight_regex(rf"{mark} \S+", _COLOURS[mark])
            yield text


def _text(line: str, *, is_bold: bool) -> Text:
    # As laid out: a word that is longer than the terminal is left to it, and can be copied whole.
    return Text(line, style="bold" if is_bold else "", no_wrap=True, overflow="ignore")
