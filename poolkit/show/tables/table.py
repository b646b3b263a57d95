"""A table as text: a caption, column names and rows; it computes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

# In a notebook, whose own style sets every cell to the right; a page brings its own.
_STYLE = """<style>
.jp-OutputArea .pk-table caption { text-align: left; font-weight: 600; }
.jp-OutputArea .pk-table td, .jp-OutputArea .pk-table th {
  text-align: left; vertical-align: top; white-space: normal; }
.jp-OutputArea .pk-table .pk-number { text-align: right; }
</style>"""


@dataclass(frozen=True)
class Table:
    """Rows of plain text under named columns; the first cell of a row names the row.

    `numeric` holds the positions of columns that are set to the right; `emphasis` holds the
    positions of the rows that the reader should see first.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    emphasis: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"a row must have {len(self.columns)} cells, got {len(row)}: {row}"
                )

    def records(self) -> list[dict[str, str]]:
        """One dictionary a row, ready for `pandas.DataFrame`."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def html(self) -> str:
        """A <table> with a caption and scoped headers; every text is escaped."""
        head = "".join(
            f'<th scope="col"{self._class(i)}>{escape(name)}</th>'
            for i, name in enumerate(self.columns)
        )
        body = "\n".join(self._row(i, row) for i, row in enumerate(self.rows))
        return (
            f'<div class="pk-scroll"><table class="pk-table">'
            f"<caption>{escape(self.caption)}</caption>\n"
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
        )

    def markdown(self) -> str:
        """A pipe table with its caption above; bars and line ends in a cell are defused."""
        marks = ["---:" if i in self.numeric else "---" for i in range(len(self.columns))]
        lines = [self.columns, tuple(marks), *self.rows]
        return f"**{_cell(self.caption)}**\n\n" + "".join(
            "| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines
        )

    def _repr_html_(self) -> str:
        return _STYLE + self.html()

    def __str__(self) -> str:
        return self.markdown()

    __repr__ = __str__

    def _row(self, index: int, row: tuple[str, ...]) -> str:
        first, *rest = row
        cells = "".join(f"<td{self._class(i)}>{_marked(c)}</td>" for i, c in enumerate(rest, 1))
        mark = ' class="pk-emphasis"' if index in self.emphasis else ""
        return f'<tr{mark}><th scope="row"{self._class(0)}>{_marked(first)}</th>{cells}</tr>'

    def _class(self, column: int) -> str:
        return ' class="pk-number"' if column in self.numeric else ""


PASSED, FAILED = "✓ passed", "✗ failed"


def passed(value: bool) -> str:
    """A verdict that does without colour."""
    return PASSED if value else FAILED


def _marked(cell: str) -> str:
    text = escape(cell)
    if cell.startswith("✓"):
        return f'<span class="pk-good">{text}</span>'
    if cell.startswith("✗"):
        return f'<span class="pk-bad">{text}</span>'
    return text


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
