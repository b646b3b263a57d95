"""Brings the committed notebooks into their normal form, the same on every machine.

    python -m tests.notebooks.normal_form            # all of notebooks/
    python -m tests.notebooks.normal_form FILE ...

A notebook in normal form was executed on `recorded`; its cells have stable ids and are numbered in
order, only tags are left of their metadata, and no host name, path or moment of the run remains.
`problems` says what is not so.
"""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from poolkit.errors import MissingExtra, PoolkitError
from poolkit.report.execute import CELL_TIMEOUT, QUIET, START_TIMEOUT, own_kernel
from poolkit.report.source import VARIABLE, shared
from poolkit.workbook.saving import METADATA, WIDGET, normal

MOST_CELLS = 30
MOST_LINES = 10  # of a code cell
# What differs from run to run or from machine to machine, and so must not be in an output.
_TRACES = (
    (r" at 0x[0-9a-f]{6,}", "an address of an object"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d", "a moment in time"),
    (r"(?<![\w.:/])/(?:home|root|tmp|Users|usr|opt|var|mnt)/\w+", "a path"),
    (r"\b[A-Z]:\\\\?\w+", "a path"),
)


def executed(notebook: Path, environment: Mapping[str, str]) -> Any:
    """The notebook with the outputs that a fresh kernel of this interpreter gives.

    Raises:
        MissingExtra: nbclient or ipykernel is not installed.
        PoolkitError: a cell failed.
    """
    try:
        import nbformat as untyped
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError
    except ImportError as error:
        raise MissingExtra("nbclient", "workbook") from error
    nbformat: Any = untyped
    content = nbformat.read(notebook, as_version=4)
    with own_kernel(environment) as kernel_class:
        client: Any = NotebookClient(
            content,
            timeout=CELL_TIMEOUT,
            startup_timeout=START_TIMEOUT,
            kernel_name="python3",
            kernel_manager_class=kernel_class,
            extra_arguments=QUIET,
            resources={"metadata": {"path": str(notebook.resolve().parent)}},
        )
        try:
            client.execute()
        except CellExecutionError as error:
            raise PoolkitError(f"{notebook.name}: {error.ename}: {error.evalue}") from error
    return content


def problems(content: Any) -> list[str]:
    """What keeps a notebook from its normal form, a sentence each; empty when nothing does."""
    return list(_problems(content))


def _problems(content: Any) -> Iterator[str]:
    if dict(content.metadata) != METADATA:
        yield "the notebook's metadata holds more than kernel and language"
    if len(content.cells) > MOST_CELLS:
        yield f"it has {len(content.cells)} cells, more than {MOST_CELLS}"
    count = 0
    for position, cell in enumerate(content.cells, start=1):
        where = f"cell {position}"
        if cell.get("id") != f"cell-{position:02d}":
            yield f"{where} has the id {cell.get('id')!r}"
        if set(cell.metadata) - {"tags"}:
            yield f"{where} has metadata beside tags"
        if cell.cell_type == "code":
            count += 1
            yield from (f"{where} {fault}" for fault in _faults(cell, count))


def _faults(cell: Any, count: int) -> Iterator[str]:
    if cell.execution_count != count:
        yield f"is numbered {cell.execution_count} instead of {count}"
    if len(cell.source.splitlines()) > MOST_LINES:
        yield f"has {len(cell.source.splitlines())} lines of code, more than {MOST_LINES}"
    for output in cell.outputs:
        if output.output_type == "error":
            yield f"ended in {output.ename}"
        if output.output_type == "stream" and output.name == "stderr":
            yield "wrote to stderr"
        if WIDGET in output.get("data", {}):
            yield "shows a widget of a kernel that is gone"
        text = "\n".join(_texts(output))
        host = socket.gethostname()
        if len(host) > 3 and re.search(rf"\b{re.escape(host)}\b", text):
            yield "shows the name of this host"
        for pattern, what in _TRACES:
            found = re.search(pattern, text)
            if found:
                yield f"shows {what}: {found[0]}"


def _texts(output: Any) -> Iterator[str]:
    """The texts of an output that a reader sees; a drawing's strokes are none."""
    if output.output_type == "stream":
        yield output.text
    for kind, data in output.get("data", {}).items():
        if kind.startswith("text/"):
            yield re.sub(r"<svg\b.*?>.*?</svg>", "", data, flags=re.DOTALL)


def write(notebook: Path) -> list[str]:
    """Execute a notebook on `recorded`, write it in normal form; returns what still is not so."""
    import nbformat as untyped

    nbformat: Any = untyped
    content = normal(executed(notebook, {VARIABLE: "recorded"}))
    nbformat.write(content, notebook)
    return problems(content)


def main(arguments: Sequence[str]) -> int:
    """Write the notebooks named, or all of the project's; returns the exit code."""
    notebooks = [Path(a) for a in arguments] or sorted(shared("notebooks").glob("*.ipynb"))
    worst = 0
    for notebook in notebooks:
        try:
            found = write(notebook)
        except PoolkitError as error:
            found = [str(error)]
        sys.stdout.write(f"{notebook.name}: {'; '.join(found) or 'in normal form'}\n")
        worst = max(worst, 1 if found else 0)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
