"""Measuring from a cell: one line says how far it is, and the findings come back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from poolkit.events import Event
from poolkit.measure.child import Child
from poolkit.panels import sweep_page
from poolkit.panels.story import Findings
from poolkit.panels.panel import piece
from poolkit.panels.running import Request
from poolkit.panels.sources import FileSource, Source, read_source
from poolkit.panels.sweep import SweepPanel
from poolkit.targets import load_targets

EVERY = 0.5  # s between two looks
LOOK = 0.25  # s, the same at children that are read here


async def measured(request: Request, source: Source | None = None) -> Findings:
    """Measure one target in a child process, or replay its recording, and wait for the end.

    The target is the source's first where the request names none; of the sizes asked for none is
    larger than what the target allows.
    While load is sent a line below the cell says how far it is; a replay shows nothing. The end of
    the cell's patience (an interrupt) cancels the load.

    Raises:
        BadInput: the source has no such target, or it is being measured already.
        PoolkitError: the measurement ended early; it says why and what to do.
    """
    source = read_source() if source is None else source
    target = request.target or next(iter(source.names), "")
    request = replace(request, target=target, sizes=_allowed(request.sizes, source, target))
    panel = SweepPanel(source, target, request=request, name=f"lesson {target}").open()
    if panel.run is None:
        return panel.result()
    say, tell = line(), line()
    following = asyncio.ensure_future(panel.finished())
    try:
        while not (await asyncio.wait({following}, timeout=EVERY))[0]:
            say(sweep_page.line(panel.story))
            tell(sweep_page.bar(panel.story))
        return following.result()
    finally:
        say(sweep_page.line(panel.story))
        tell(sweep_page.bar(panel.story))
        if not following.done():
            following.cancel()
            await asyncio.wait({following})


def _allowed(sizes: tuple[int, ...], source: Source, target: str) -> tuple[int, ...]:
    """Those of a lesson's sizes that the target may have; its largest in place of the rest."""
    if not sizes or not isinstance(source, FileSource) or target not in source.names:
        return sizes
    most = load_targets(source.targets_file(target), (target,))[target].max_size
    return tuple(sorted({min(size, most) for size in sizes}))


async def followed(
    children: Sequence[Child], say: Callable[[Sequence[list[Event]]], str]
) -> tuple[list[Event], ...]:
    """The events of child processes, read side by side to their ends.

    Args:
        say: the HTML of the line below the cell, from what each child has said by now.
    """
    tell, seen = line(), tuple(list[Event]() for _ in children)

    def read(child: Child, events: list[Event]) -> None:
        events.extend(child.events())

    with contextlib.ExitStack() as stack:
        for child in children:
            stack.enter_context(child)
        # Threads read, so that the kernel answers meanwhile and an interrupt is heard.
        reading = [
            asyncio.ensure_future(asyncio.to_thread(read, child, events))
            for child, events in zip(children, seen, strict=True)
        ]
        try:
            while (await asyncio.wait(reading, timeout=LOOK))[1]:
                tell(say(seen))
        except (KeyboardInterrupt, asyncio.CancelledError):
            for child in children:
                child.cancel()
            raise
        for reader in reading:
            reader.result()
    tell(say(seen))
    return seen


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
    last = ""

    def put(html: str) -> None:
        nonlocal last
        # A line that is put again as it was is read out again.
        if html != last:
            last = html
            shown.update(page(piece(html)))

    return put
