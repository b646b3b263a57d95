"""Measuring from a cell: which target, a line that says how far it is, and the findings."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from html import escape
from typing import Any, TypeVar

from poolkit.events import Event
from poolkit.measure.child import Child
from poolkit.panels import sweep_page
from poolkit.panels.panel import piece
from poolkit.panels.request import Request
from poolkit.panels.sources import (
    FileSource,
    LabSource,
    RecordedSource,
    Source,
    notebook_shell,
    read_source,
)
from poolkit.panels.story import Findings
from poolkit.panels.sweep import SweepPanel
from poolkit.report.page import Part
from poolkit.report.source import RECORDED, shared
from poolkit.targets import DATABASE_DRIVERS, HTTP_DRIVERS, load_targets
from poolkit.workbook.cells import notice

R = TypeVar("R")
EVERY = 0.5  # s between two updates of the line, of a sweep
LOOK = 0.25  # s, the same for children that are read here


def one_of_each(source: Source | None = None) -> tuple[str, ...]:
    """The first HTTP target and the first database target of the source, as far as it has them."""
    source = read_source() if source is None else source
    firsts = (_first(source, drivers) for drivers in (HTTP_DRIVERS, DATABASE_DRIVERS))
    return tuple(name for name in firsts if name is not None)


def database_target(target: str = "", source: Source | None = None) -> tuple[str, Source]:
    """The database target that is named, or the first, and the source that has it.

    Where the source has none it is the lab's own, which a coloured line below the cell says, and
    `borrowed` wherever a result is given.
    """
    source = read_source() if source is None else source
    found = target or _first(source, DATABASE_DRIVERS)
    if found is not None:
        return found, source
    lab: Source = LabSource() if source.is_live else RecordedSource(shared(RECORDED))
    taken = _first(lab, DATABASE_DRIVERS)
    assert taken is not None
    line()("".join(part.html for part in borrowed(taken, source)))
    return taken, lab


def borrowed(target: str, source: Source | None = None) -> tuple[Part, ...]:
    """A notice that the figures are of a target which is none of the source's; none where it is.

    Args:
        target: that the page is about.
        source: where figures should come from; by default POOLKIT_SOURCE.
    """
    source = read_source() if source is None else source
    if target in source.names:
        return ()
    others = ", ".join(source.names) or "your targets"
    return (
        notice(
            f"There is no database among {others}: these figures are of {target}, the lab's own "
            "PostgreSQL, and say nothing about yours.",
            "Name a database in targets.toml and run this notebook again.",
        ),
    )


def _first(source: Source, drivers: Sequence[str]) -> str | None:
    return next((name for name, driver in source.drivers.items() if driver in drivers), None)


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
    # Apart: what a screen reader reads out changes with what happens, not with each second.
    status, bar = line(), line()

    def show() -> None:
        status(sweep_page.line(panel.story))
        bar(sweep_page.bar(panel.story))

    following = asyncio.ensure_future(panel.finished())
    try:
        while not (await asyncio.wait({following}, timeout=EVERY))[0]:
            show()
        return following.result()
    finally:
        show()
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
    children: Sequence[Child], status: Callable[[Sequence[list[Event]]], str]
) -> tuple[list[Event], ...]:
    """The events of child processes, read side by side to their ends.

    Args:
        status: the words of the line below the cell, from the events of each child so far.
    """
    put, so_far = line(), tuple(list[Event]() for _ in children)

    def show() -> None:
        put(f"<p role='status'>{escape(status(so_far))}</p>")

    def read(child: Child, events: list[Event]) -> None:
        events.extend(child.events())

    with contextlib.ExitStack() as stack:
        for child in children:
            stack.enter_context(child)
        # Threads read, so that the kernel answers meanwhile and an interrupt is heard.
        reading = [
            asyncio.ensure_future(asyncio.to_thread(read, child, events))
            for child, events in zip(children, so_far, strict=True)
        ]
        try:
            while (await asyncio.wait(reading, timeout=LOOK))[1]:
                show()
        except (KeyboardInterrupt, asyncio.CancelledError):
            for child in children:
                child.cancel()
            raise
        for reader in reading:
            reader.result()
    show()
    return so_far


async def in_thread(work: Callable[..., R], *words: Any, **more: Any) -> R:
    """What `work` returns, from a thread, so that the kernel answers meanwhile.

    An interrupt ends the wait; the work has to end by itself.
    """
    working = asyncio.ensure_future(asyncio.to_thread(work, *words, **more))
    try:
        # A kernel's loop hears an interrupt only when it wakes.
        while not (await asyncio.wait({working}, timeout=LOOK))[0]:
            pass
        return working.result()
    finally:
        working.cancel()


def line() -> Callable[[str], None]:
    """A place below the cell whose HTML is replaced by each call; nothing outside a notebook."""
    if notebook_shell() is None:
        return lambda html: None
    from IPython.display import HTML, display

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
