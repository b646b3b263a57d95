"""Measuring from a cell: one line says how far it is, and the findings come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from poolkit.panels import sweep_page
from poolkit.panels.look import piece
from poolkit.panels.request import Request
from poolkit.panels.sources import Source
from poolkit.panels.sweep import Findings, SweepPanel

EVERY = 0.5  # s between two looks


async def measured(request: Request, source: Source | None = None) -> Findings:
    """Measure one target in a child process, or replay its recording, and wait for the end.

    While load is sent a line below the cell says how far it is; a replay shows nothing. The end of
    the cell's patience (an interrupt) cancels the load.

    Raises:
        BadInput: the source has no such target, or it is being measured already.
        PoolkitError: the measurement ended early; it says why and what to do.
    """
    panel = SweepPanel(source, request.target, request=request, name=f"lesson {request.target}")
    panel.open()
    if panel.run is None:
        return panel.result()
    tell = line()
    following = asyncio.ensure_future(panel.finished())
    try:
        while not (await asyncio.wait({following}, timeout=EVERY))[0]:
            tell(sweep_page.status(panel.story))
        return following.result()
    finally:
        tell(sweep_page.status(panel.story))
        if not following.done():
            following.cancel()
            await asyncio.wait({following})


def line() -> Callable[[str], None]:
    """A place below the cell whose HTML is replaced by each call; nothing outside a notebook."""
    try:
        from IPython.core.getipython import get_ipython
        from IPython.display import HTML, display
    except ImportError:
        return lambda html: None
    shell: Any = get_ipython()
    if shell is None:
        return lambda html: None
    show: Any = display
    page: Any = HTML
    shown = show(page(""), display_id=True)
    return lambda html: shown.update(page(piece(html)))
