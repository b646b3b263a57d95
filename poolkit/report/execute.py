"""Runs capacity_review.ipynb over a review folder; the executed notebook stays in that folder."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from poolkit.errors import MissingExtra, PoolkitError
from poolkit.report.source import shared

NOTEBOOK = "notebooks/capacity_review.ipynb"
EXECUTED = "review.ipynb"
# s, of a kernel to start and of a cell to end: a hang. A machine at ten times its load takes 100.
START_TIMEOUT = 300
CELL_TIMEOUT = 600
# A kernel that is shut down would else say so on the terminal, as an error.
QUIET = ["--HistoryManager.enabled=False", "--log-level=CRITICAL"]


def execute(review_dir: Path, notebook: Path | None = None) -> Path:
    """Run the notebook over the review in `review_dir`; returns review.ipynb in the same folder.

    Nothing is printed, and the executed notebook names no path of this machine.

    Args:
        notebook: another notebook with a `review_dir` parameter; capacity_review by default.

    Raises:
        MissingExtra: papermill or ipykernel is not installed.
        PoolkitError: a cell failed; review.ipynb shows which and how.
    """
    try:
        import papermill
        from papermill.exceptions import PapermillExecutionError
    except ImportError as error:
        raise MissingExtra("papermill", "workbook") from error
    source = shared(NOTEBOOK) if notebook is None else notebook
    executed = review_dir.resolve() / EXECUTED
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        with own_kernel() as kernel_class:
            papermill.execute_notebook(
                str(source),
                str(executed),
                # The kernel runs in the folder, so its path is not written into the notebook.
                parameters={"review_dir": "."},
                progress_bar=False,
                kernel_name="python3",
                request_save_on_cell_execute=False,
                start_timeout=START_TIMEOUT,
                execution_timeout=CELL_TIMEOUT,
                kernel_manager_class=kernel_class,
                extra_arguments=QUIET,
                resources={"metadata": {"path": str(review_dir.resolve())}},
            )
    except PapermillExecutionError as error:
        raise PoolkitError(
            f"the report's notebook failed in cell {error.cell_index + 1}: "
            f"{error.ename}: {error.evalue}",
            f"the other files of the review are complete; {EXECUTED} shows the cell that failed",
        ) from error
    finally:
        _without_traces(executed)
    return executed


def _without_traces(executed: Path) -> None:
    """Take out what papermill notes of this run: paths, times and durations."""
    import nbformat as untyped

    nbformat: Any = untyped
    if not executed.is_file():
        return
    notebook = nbformat.read(executed, as_version=4)
    notebook.metadata.pop("papermill", None)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
    nbformat.write(notebook, executed)


@contextmanager
def own_kernel(environment: Mapping[str, str] | None = None) -> Iterator[Any]:
    """The kernel manager class for a notebook that `sys.executable` shall run.

    Args:
        environment: variables that the kernel has on top of this process's.

    Raises:
        MissingExtra: ipykernel or jupyter_client is not installed.
    """
    try:
        import ipykernel  # noqa: F401
        from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
        from jupyter_client.manager import AsyncKernelManager
    except ImportError as error:
        raise MissingExtra("ipykernel", "workbook") from error

    spec = KernelSpec(
        argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        display_name="Python 3",
        language="python",
        # Without it a kernel may print a warning about frozen modules to the terminal.
        env={"PYDEVD_DISABLE_FILE_VALIDATION": "1", **(environment or {})},
    )

    class OwnSpecs(KernelSpecManager):
        """Knows one kernel: this interpreter's."""

        def get_kernel_spec(self, kernel_name: str) -> Any:
            return spec

    with tempfile.TemporaryDirectory(prefix="poolkit-kernel-") as folder:

        class OwnKernel(AsyncKernelManager):
            """Starts it; it is spoken to through files where there are such sockets."""

            def __init__(self, **kwargs: Any) -> None:
                specs = OwnSpecs()
                if os.name == "posix":  # not reachable by other users, unlike a TCP port
                    kwargs |= {"transport": "ipc", "ip": os.path.join(folder, "k")}
                super().__init__(**{**kwargs, "kernel_spec_manager": specs})

            async def start_kernel(self, *words: Any, **options: Any) -> None:  # type: ignore[override]
                # What cells say comes as messages; on its own stderr a kernel only complains of
                # sockets that were closed while it was shut down.
                await self._async_start_kernel(*words, **{"stderr": subprocess.DEVNULL, **options})

        yield OwnKernel
