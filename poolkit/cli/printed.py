"""A table in the columns that a terminal or a pipe has: no word is cut, none is broken.

Cells wrap between words. The first names its row: a name that is too long stands on a line of its
own, above the others. Where even the longest words do not fit side by side, each row becomes a
block, one cell a line.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poolkit.redact import printable

if TYPE_CHECKING:
    from rich.console import Console

    from poolkit.show.tables import Table

GAP = 2  # spaces between columns
SHORT = 20  # a cell up to this long stays on one line, if there is any room for it
# Where a figure may wrap: `604/s, in doubt`, `13 (12–14)`; never before its unit.
_IN_FIGURES = re.compile(r"(?<=,) | (?=\()")

# What a cell begins with -> how it is shown.
_COLOURS = {"✗": "bold red", "⚠": "bold yellow"}


def print_table(console: Console, table: Table, clean: Callable[[str], str] = str) -> None:
    """Print a table: the caption, the head and rows of emphasis in bold, marks in colour.

    Args:
        clean: what every text goes through, so that no cell tells a secret.
    """
    from rich.text import Text

    def put(line: str, is_bold: bool, marks: set[str]) -> None:
        text = Text(line, style="bold" if is_bold else "")
        for mark in marks:
            text.highlight_regex(rf"{mark} \S+", _COLOURS[mark])
        # As laid out: a word that is longer than the terminal is left to it, and can be copied.
        console.print(text, soft_wrap=True)

    names, *rows = [
        [printable(clean(cell)) for cell in cells] for cells in (table.columns, *table.rows)
    ]
    for line in wrap(printable(clean(table.caption)), console.width) if table.caption else ():
        put(line, True, set())
    marks = [{cell[:1] for cell in row} & set(_COLOURS) for row in rows]
    sides = {"numeric": table.numeric, "whole": table.whole}
    for laid in laid_out(names, rows, console.width, **sides):
        is_bold = laid.row is None or laid.row in table.emphasis
        put(laid.text, is_bold, set() if laid.row is None else marks[laid.row])


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a printed table, and the row that it is of: None for the head."""

    text: str
    row: int | None = None


def laid_out(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    *,
    numeric: frozenset[int] = frozenset(),
    whole: frozenset[int] = frozenset(),
) -> list[Line]:
    """The lines of a table in `width` columns, without spaces at their ends.

    Args:
        numeric: positions of the columns that are set to the right.
        whole: positions of those that never wrap.
    """
    columns = [[name, *(row[i] for row in rows)] for i, name in enumerate(names)]
    room = width - GAP * (len(names) - 1)
    longest = [max(map(_length, cells)) for cells in columns]
    words = [
        longest[i]
        if i in whole or i == 0
        else max(len(part) for cell in cells for part in _parts(cell, is_figure=i in numeric))
        for i, cells in enumerate(columns)
    ]
    short = [max(w, min(most, SHORT)) for w, most in zip(words, longest, strict=True)]
    for others in (short[1:], words[1:]):
        # Better a name that stands above its row than cells that wrap where they need not.
        for name in (longest[0], len(names[0])):
            if name + sum(others) <= room:
                widths = _widths([name, *others], longest, room)
                return _as_columns(names, rows, widths, numeric)
    return _as_blocks(names, rows, width)


def _widths(least: Sequence[int], most: Sequence[int], room: int) -> list[int]:
    """Of each column, between both limits: the widest give way first; all together `room`."""
    widths = list(most)
    while sum(widths) > room:
        open_ones = [i for i, width in enumerate(widths) if width > least[i]]
        widths[max(open_ones, key=widths.__getitem__)] -= 1
    return widths


def _as_columns(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    widths: Sequence[int],
    numeric: frozenset[int],
) -> list[Line]:
    lines = [Line(text) for text in _side_by_side(names, widths, numeric)]
    lines.append(Line("─" * (sum(widths) + GAP * (len(widths) - 1))))
    for number, row in enumerate(rows):
        if len(row[0]) > widths[0]:
            lines.append(Line(row[0], number))
            row = ("", *row[1:])
        lines += [Line(text, number) for text in _side_by_side(row, widths, numeric)]
    return lines


def _side_by_side(
    cells: Sequence[str], widths: Sequence[int], numeric: frozenset[int]
) -> list[str]:
    """One row, as many lines as its highest cell has."""
    wrapped = [wrap(cell, width) for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for number in range(max(map(len, wrapped))):
        parts = [cell[number] if number < len(cell) else "" for cell in wrapped]
        lines.append(
            (" " * GAP)
            .join(
                part.rjust(width) if i in numeric else part.ljust(width)
                for i, (part, width) in enumerate(zip(parts, widths, strict=True))
            )
            .rstrip()
        )
    return lines


def _as_blocks(names: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[Line]:
    """The first cell of a row as its heading, the others below it under their names."""
    label = max(map(len, names[1:]), default=0)
    lines: list[Line] = []
    for number, (heading, *cells) in enumerate(rows):
        heading = f"{names[0]} {heading}".strip()
        lines += [Line(text, number) for text in wrap(heading, width)]
        for name, cell in zip(names[1:], cells, strict=True):
            start = f"  {name.ljust(label)}  "
            first, *others = wrap(cell, width - len(start))
            lines.append(Line(f"{start}{first}".rstrip(), number))
            lines += [Line(f"{' ' * len(start)}{other}", number) for other in others]
    return lines


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """The text in lines of at most `width` columns; a word that is longer stays whole.

    Args:
        indent: stands before every line of a paragraph but the first.
    """
    lines = []
    for paragraph in text.split("\n"):
        lines += textwrap.wrap(
            paragraph,
            max(width, len(indent) + 1),
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return lines


def _length(cell: str) -> int:
    return max(map(len, cell.split("\n")))


def _parts(cell: str, *, is_figure: bool) -> list[str]:
    """What stays on one line."""
    if is_figure:
        return _IN_FIGURES.split(cell)
    return re.split(r"[ \n]+", cell)  # not at other spaces, which stand in figures
