"""One table for every reader: built once, of plain text; written as HTML, as Markdown, or printed.

The writers choose no words. A cell that begins with ✓ (well), ⚠ (in doubt) or ✗ (not) is a mark,
which they may colour; a folded table counts them on its closed line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from poolkit.redact import in_html, in_markdown

T = TypeVar("T")
PASSED, FAILED = "✓ passed", "✗ failed"
# What a cell begins with -> its class in HTML.
_MARKS = {"✓": "pk-good", "⚠": "pk-warn", "✗": "pk-bad"}

FEW = 3  # columns for which there is room everywhere
# Where there is no room for more a row is its name, then `column: cell` after each other.
NARROW = """
.pk-scroll { container-type: inline-size; }
@container (max-width: 34rem) {
  .pk-scroll .pk-wide, .pk-scroll .pk-wide tbody, .pk-scroll .pk-wide caption {
    display: block; width: auto; text-align: left; }
  .pk-scroll .pk-wide thead { display: none; }
  .pk-scroll .pk-wide tr { display: block; padding: 0.3rem 0; overflow-wrap: anywhere;
    text-align: left; border-bottom: 1px solid var(--pk-line, #d9d9d9); }
  .pk-scroll .pk-wide tr > th { display: block; padding: 0; border: 0; max-width: none;
    width: fit-content; }
  .pk-scroll .pk-wide tr > td { display: inline; padding: 0; border: 0; max-width: none; }
  .pk-scroll .pk-wide tr > td::before { content: attr(data-label) " "; opacity: 0.75; }
  .pk-scroll .pk-wide tr > td:not(:last-child)::after { content: " · "; opacity: 0.75; }
}
"""

# In a notebook, whose own style sets every cell to the right; a page brings its own.
STYLE = """
.jp-OutputArea .pk-table caption { text-align: left; font-weight: 600; }
.jp-OutputArea .pk-table td, .jp-OutputArea .pk-table th {
  text-align: left; vertical-align: top; white-space: normal; }
.jp-OutputArea .pk-table .pk-number { text-align: right; }
.jp-OutputArea .pk-good { color: var(--pk-green, #00795a); }
.jp-OutputArea .pk-warn { color: var(--pk-amber, #855700); font-weight: 600; }
.jp-OutputArea .pk-bad { color: var(--pk-vermilion, #a63a00); font-weight: 600; }
body[data-jp-theme-light="false"] .jp-OutputArea {
  --pk-green: #4fc79f; --pk-amber: #e6b450; --pk-vermilion: #f0955c; }
"""
# In the row itself: JupyterLab takes a style sheet out of a notebook that nobody has run yet. The
# colour is clear enough on light paper and on dark.
_EMPHASIS = 'class="pk-emphasis" style="background-color: rgba(0, 150, 105, 0.22)"'


def passed(value: bool) -> str:
    """A verdict that does without colour."""
    return PASSED if value else FAILED


@dataclass(frozen=True)
class Column(Generic[T]):
    """A column of a table about records of one kind: its name, and the cell of a record in it."""

    name: str
    cell: Callable[[T], str]
    is_number: bool = False  # set to the right


class Number(Column[T]):
    """A column of figures."""

    def __init__(self, name: str, cell: Callable[[T], str]) -> None:
        super().__init__(name, cell, is_number=True)


Columns = tuple[Column[T], ...]


@dataclass(frozen=True)
class Table:
    """Rows of plain text under named columns; the first cell of a row names the row.

    Attributes:
        numeric: positions of the columns that are set to the right.
        emphasis: positions of the rows that the reader should see first.
        whole: positions of the columns that a narrow terminal does not wrap.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    emphasis: frozenset[int] = frozenset()
    whole: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        cells = len(self.columns)
        for row in self.rows:
            if len(row) != cells:
                raise ValueError(f"a row must have {cells} cells, got {len(row)}: {row}")

    @classmethod
    def of(
        cls,
        caption: str,
        columns: Sequence[Column[T]],
        records: Iterable[T],
        first: Callable[[T], bool] = lambda _: False,
    ) -> Table:
        """One row a record; `first` says which of them the reader should see first."""
        records = tuple(records)
        return cls(
            caption,
            tuple(column.name for column in columns),
            tuple(tuple(column.cell(record) for column in columns) for record in records),
            frozenset(i for i, column in enumerate(columns) if column.is_number),
            frozenset(i for i, record in enumerate(records) if first(record)),
        )

    def __bool__(self) -> bool:
        return bool(self.rows)  # one without rows is nothing to show

    def html(self) -> str:
        """A <table> with a caption and scoped headers; every text is escaped."""
        head = "".join(
            f'<th scope="col"{self._class(i)}>{in_html(name)}</th>'
            for i, name in enumerate(self.columns)
        )
        rows, is_wide = [], len(self.columns) > FEW
        label = [f' data-label="{in_html(name)}"' if is_wide else "" for name in self.columns]
        for index, (first, *rest) in enumerate(self.rows):
            mark = f" {_EMPHASIS}" if index in self.emphasis else ""
            cells = "".join(
                f"<td{self._class(i)}{label[i]}>{_marked(c)}</td>" for i, c in enumerate(rest, 1)
            )
            name = f'<th scope="row"{self._class(0)}>{_marked(first)}</th>'
            rows.append(f"<tr{mark}>{name}{cells}</tr>")
        body, wide = "\n".join(rows), " pk-wide" if is_wide else ""
        return (
            f'<div class="pk-scroll"><table class="pk-table{wide}">'
            f"<caption>{in_html(self.caption)}</caption>\n"
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
        )

    __html__ = html  # a template takes it as it is

    def folded(self, anchor: str = "") -> str:
        """The HTML behind its caption, to be opened by who wants to see it.

        What failed in it is counted beside the caption. A link to `anchor` opens it.
        """
        count = self._count()
        mark = f': <span class="{_MARKS[count[0]]}">{count}</span>' if count else ""
        caption = f"{in_html(self.caption)}{mark}"
        html = f'<div id="{in_html(anchor)}">{self.html()}</div>' if anchor else self.html()
        return f"<details><summary>{caption}</summary>\n{html}</details>"

    def _count(self) -> str:
        """`✗ 2 of 9 failed`, `⚠ 1 of 9 in doubt` or `✓ all 9 passed`; empty: no row has a mark."""
        marks = [{cell[:1] for cell in row} & set(_MARKS) for row in self.rows]
        marked = [found for found in marks if found]
        bad = sum("✗" in found for found in marked)
        if bad:
            return f"✗ {bad} of {len(marked)} failed"
        doubts = sum("⚠" in found for found in marked)
        if doubts:
            return f"⚠ {doubts} of {len(marked)} in doubt"
        return f"✓ all {len(marked)} passed" if marked else ""

    def markdown(self) -> str:
        """A pipe table with its caption above; bars and line ends in a cell are defused."""
        marks = ["---:" if i in self.numeric else "---" for i in range(len(self.columns))]
        lines = [self.columns, tuple(marks), *self.rows]
        return f"**{in_markdown(self.caption)}**\n\n" + "".join(
            "| " + " | ".join(in_markdown(cell) for cell in line) + " |\n" for line in lines
        )

    def _repr_html_(self) -> str:
        return f"<style>{STYLE}{NARROW}</style>{self.html()}"

    def __str__(self) -> str:
        return self.markdown()

    __repr__ = __str__

    def _class(self, column: int) -> str:
        return ' class="pk-number"' if column in self.numeric else ""


def _marked(cell: str) -> str:
    kind = _MARKS.get(cell[:1], "")
    return f'<span class="{kind}">{in_html(cell)}</span>' if kind else in_html(cell)
