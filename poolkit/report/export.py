"""Exports an executed notebook to one HTML file that opens offline: no request and no script."""

from __future__ import annotations

import itertools
import re
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poolkit.errors import BadInput, MissingExtra
from poolkit.measure.store import write_atomic

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

TEMPLATES = Path(__file__).parent / "templates"
# Cells with the first of these tags open the report, those with the second follow.
READ_FIRST = ("decision", "charts")
HIDDEN = {"parameters", "injected-parameters"}  # they hold nothing that a reader of a report needs
_CONTENTS = {"class": "contents", "id": "contents", "aria-label": "Contents"}
_PROSE = 30  # characters of a cell from which on a table is one of prose
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


def export(notebook: Path, out: Path) -> Path:
    """Write the executed `notebook` as one HTML file `out`, the decision first; returns `out`.

    Raises:
        MissingExtra: nbconvert is not installed.
        BadInput: the notebook cannot be read.
    """
    try:
        import nbformat as untyped
        from bs4 import BeautifulSoup as Soup
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
    page = Soup(body, "html.parser")
    _name_tables(page)
    _label_cells(page)
    _frame_decision(page)
    write_atomic(out, str(page))
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


def _name_tables(page: BeautifulSoup) -> None:
    """Markdown's tables have no caption, and headers at the top only, which do not say so."""
    heading = ""
    for tag in page.find_all([*_HEADINGS, "table"]):
        if tag.name != "table":
            heading = tag.get_text().strip()
        elif not tag.attrs:
            tag["aria-label"] = heading
    for header in page.find_all("th", scope=False):
        header["scope"] = "col"


def _label_cells(page: BeautifulSoup) -> None:
    """A table of prose can be read on a narrow page: each cell knows the name of its column.

    There its rows are shown as lists; the roles say that it is still a table. Tables of figures
    scroll in their box, so none keeps what makes lists of them in a notebook.
    """
    for table in page.find_all("table", class_="pk-table"):
        table["class"] = "pk-table"
        cells = table.find_all("td")
        if table.parent is None or max((len(c.get_text()) for c in cells), default=0) < _PROSE:
            continue
        table.parent["class"] = "pk-scroll pk-stack"
        table["role"] = "table"
        names = [header.get_text() for header in table.select("thead th")]
        for row in table.find_all("tr"):
            row["role"] = "row"
            for name, cell in zip(names, row.find_all(["th", "td"]), strict=True):
                if cell.name == "td":
                    cell["role"], cell["data-label"] = "cell", name
                else:
                    cell["role"] = "rowheader" if cell["scope"] == "row" else "columnheader"


def _frame_decision(page: BeautifulSoup) -> None:
    """Put the first part in a box, between links to the targets and to all that follows."""
    headings = page.find_all("h2", limit=2)
    if not headings:
        return
    box = headings[0].wrap(page.new_tag("div", attrs={"class": "decision"}))
    rest = list(box.next_siblings)
    box.extend(list(itertools.takewhile(lambda node: node is not headings[-1], rest)))
    contents = page.new_tag("nav", attrs=_CONTENTS)
    contents.append(page.new_tag("strong", string="Contents"))
    items = page.new_tag("ul", string="\n")
    contents.append(items)
    box.insert_after("\n", contents, "\n")
    for heading in contents.find_all_next(["h2", "h3"]):
        text = heading.get_text().strip()
        if heading.name == "h2" and not heading.get("id"):
            heading["id"] = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
        if heading.get("id"):
            items.extend([_contents_item(page, heading, text), "\n"])
    jump = page.new_tag("nav", attrs={"class": "pk-jump", "aria-label": "Targets"})
    for link in [*items.select("li.sub a"), page.new_tag("a", href="#contents", string="contents")]:
        jump.extend([copy(link), "\n"])
    box.insert_before(jump, "\n")


def _contents_item(page: BeautifulSoup, heading: Tag, text: str) -> Tag:
    """A line of the contents; that of a target holds its name and not its whole claim."""
    item = page.new_tag("li")
    if heading.name == "h3":
        item["class"], text = "sub", text.split(": ")[0]
    item.append(page.new_tag("a", href=f"#{heading['id']}", string=text))
    return item
