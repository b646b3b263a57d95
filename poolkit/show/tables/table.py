"""One table for every reader: built once, of plain text; written as HTML, as Markdown, with rich.

The writers choose no words. A cell that begins with ✓, ✗ or "! " (well, ill, in doubt) is a mark,
which they may colour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from rich.table import Table as RichTable

from poolkit.redact import in_html, in_markdown, printable

T = TypeVar("T")
PASSED, FAILED = "✓ passed", "✗ failed"

# In a notebook, whose own style sets every cell to the right; a page brings its own.
_STYLE = """<style>
.jp-OutputArea .pk-table caption { text-align: left; font-weight: 600; }
.jp-OutputArea .pk-table td, .jp-OutputArea .pk-table th {
  text-align: left; vertical-align: top; white-space: normal; }
.jp-OutputArea .pk-table .pk-number { text-align: right; }
.jp-OutputArea .pk-table .pk-good { color: #00795a; }
.jp-OutputArea .pk-table .pk-warn { color: #7d5200; font-weight: 600; }
.jp-OutputArea .pk-table .pk-bad { color: #a63a00; font-weight: 600; }
body[data-jp-theme-light="false"] .jp-OutputArea .pk-table .pk-good { color: #4fc79f; }
body[data-jp-theme-light="false"] .jp-OutputArea .pk-table .pk-warn { color: #e5b95c; }
body[data-jp-theme-light="false"] .jp-OutputArea .pk-table .pk-bad { color: #f0955c; }
</style>"""
# In the row itself: JupyterLab takes a style sheet out of a notebook that nobody has run yet. The
# colour is clear enough on light paper and on dark.
_EMPHASIS = 'class="pk-emphasis" style="background-color: rgba(0, 150, 105, 0.22)"'
# What a cell begins with -> its class in HTML, and how a terminal shows it.
_MARKS = {"✓ ": ("pk-good", ""), "! ": ("pk-warn", "bold yellow"), "✗ ": ("pk-bad", "bold red")}


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
        whole: positions of the columns that a narrow terminal does not break, so that their cells
            can be copied.
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
        rows = []
        for index, (first, *rest) in enumerate(self.rows):
            mark = f" {_EMPHASIS}" if index in self.emphasis else ""
            cells = "".join(f"<td{self._class(i)}>{_marked(c)}</td>" for i, c in enumerate(rest, 1))
            name = f'<th scope="row"{self._class(0)}>{_marked(first)}</th>'
            rows.append(f"<tr{mark}>{name}{cells}</tr>")
        body = "\n".join(rows)
        return (
            f'<div class="pk-scroll"><table class="pk-table">'
            f"<caption>{in_html(self.caption)}</caption>\n"
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
        )

    __html__ = html  # a template takes it as it is

    def folded(self) -> str:
        """The HTML behind its caption, to be opened by who wants to see it."""
        return f"<details><summary>{in_html(self.caption)}</summary>\n{self.html()}</details>"

    def markdown(self) -> str:
        """A pipe table with its caption above; bars and line ends in a cell are defused."""
        marks = ["---:" if i in self.numeric else "---" for i in range(len(self.columns))]
        lines = [self.columns, tuple(marks), *self.rows]
        return f"**{in_markdown(self.caption)}**\n\n" + "".join(
            "| " + " | ".join(in_markdown(cell) for cell in line) + " |\n" for line in lines
        )

    def rich(self, clean: Callable[[str], str] = str) -> RichTable:
        """For a terminal: no lines but the one below the head, words broken rather than cut.

        Args:
            clean: what every text goes through, so that no cell steers the terminal.
        """
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        shown = RichTable(
            title=Text(printable(clean(self.caption))) if self.caption else None,
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            show_edge=False,
            padding=(0, 1, 0, 0),
        )
        for index, name in enumerate(self.columns):
            shown.add_column(
                name,
                justify="right" if index in self.numeric else "left",
                no_wrap=index in self.whole,
                overflow="fold",
            )
        for index, row in enumerate(self.rows):
            texts = [printable(clean(cell)) for cell in row]
            cells = (Text(text, _MARKS.get(text[:2], ("", ""))[1]) for text in texts)
            shown.add_row(*cells, style="bold" if index in self.emphasis else "")
        return shown

    def _repr_html_(self) -> str:
        return _STYLE + self.html()

    def __str__(self) -> str:
        return self.markdown()

    __repr__ = __str__

    def _class(self, column: int) -> str:
        return ' class="pk-number"' if column in self.numeric else ""


def _marked(cell: str) -> str:
    kind, _ = _MARKS.get(cell[:2], ("", ""))
    return f'<span class="{kind}">{in_html(cell)}</span>' if kind else in_html(cell)
