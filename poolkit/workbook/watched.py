"""A faulty program on a real pool, watched: what its gauges show over time, and who is to blame.

It breaks its pool on purpose, so it always runs on a database of the lab, never on one's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path, PurePath
from time import perf_counter
from typing import Any, Literal, TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from pydantic import Field

from poolkit.lab.leaky import Program, open_pool
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.service.compare import compare_on_lab
from poolkit.measure.store import read_record
from poolkit.monitor import Report, Snapshot, Watch, instrument, pool_locking_floor, watch
from poolkit.monitor.exposition import parse
from poolkit.records import Record
from poolkit.report.source import shared
from poolkit.show.before_after import SERVICE, ServiceComparison
from poolkit.workbook.measuring import in_thread
from poolkit.workbook.probing import RECORDED, finished

R = TypeVar("R", bound=Record)
RUNS = "watched.json"
SIZE = 4  # connections
RATE = 40.0  # reads/s
SECONDS = 4.0
EVERY = 0.5  # s between two damaged orders
PATIENCE = 0.4  # s that a handler waits for a connection
LOCKERS = 6  # tasks that each want a second connection
PER_TASK = 2
LOCK_SECONDS = 1.0  # after which a deadlock has shown itself, however slow the machine
_LOOK = 0.04  # s between two looks at the gauges
NAME = "orders-db"


class Moment(Record):
    """The pool at one moment of a run (s after its begin)."""

    at: float
    in_use: int
    waiting: int
    lost: int  # of those in use, dropped without a release


class Watched(Record):
    """One run of the program, and what its watch and its gauges said at the end."""

    label: str
    pool_size: int
    seconds: float
    calls: int
    done: int
    turned_away: int  # by their own patience
    moments: tuple[Moment, ...]
    snapshot: Snapshot
    gauges: dict[str, float]  # by name

    @property
    def report(self) -> Report:
        """What the watch says in words."""
        return Report(self.snapshot)


class WatchedRuns(Record):
    """The program with each fault and with its cure; `locks` over pools of growing size."""

    schema_: Literal["poolkit.watched/1"] = Field("poolkit.watched/1", alias="schema")
    leaking: Watched
    leak_cured: Watched
    locks: tuple[Watched, ...]
    lock_cured: Watched


async def watch_faults() -> WatchedRuns:
    """The faulty program and its cure, watched: now on a database of the lab, or as recorded.

    Whatever targets.toml the source is: nobody's own database is emptied for a lesson.
    """
    if finished(os.environ) is not None:
        return _read(WatchedRuns, shared(RECORDED) / RUNS)
    with PostgresServer(accounts=10) as server:
        return await watched_runs(server.dsn)


async def compare_service() -> ServiceComparison:
    """The demo service before and after: now on a lab, as recorded, or as its review keeps it."""
    folder = finished(os.environ)
    if folder is not None:
        own = folder / SERVICE
        return _read(ServiceComparison, own if own.is_file() else shared(RECORDED) / SERVICE)
    return await in_thread(compare_on_lab)


def _read(kind: type[R], path: Path) -> R:
    return read_record(kind, path, "make it again with: make recordings")


async def leak(dsn: str, *, cured: bool = False) -> Watched:
    """Reads at a steady rate, and every half second an order that is damaged."""
    pool = await open_pool(dsn, SIZE)
    program = Program(pool, PATIENCE)
    export = program.export_cured if cured else program.export

    async def damaged() -> None:
        # The handler above it reports the order and goes on.
        with contextlib.suppress(ValueError):
            await export(is_damaged=True)

    async def load(start: _Start) -> None:
        count = 0
        began = perf_counter()
        while (now := perf_counter() - began) < SECONDS:
            if now >= (count + 1) * EVERY:
                count += 1
                start(damaged(), f"export-{count}")
            start(program.read(), "read")
            await asyncio.sleep(1 / RATE)

    return await _watched("cured" if cured else "leaking", pool, SIZE, load)


async def lock(dsn: str, size: int, *, cured: bool = False) -> Watched:
    """Tasks that begin together, each of which takes a connection and asks for a second one."""
    pool = await open_pool(dsn, size)
    program = Program(pool)

    async def load(start: _Start) -> None:
        for number in range(1, LOCKERS + 1):
            start(program.transfer_cured() if cured else program.transfer(), f"transfer-{number}")
        await asyncio.sleep(LOCK_SECONDS)

    label = f"{size} connections, cured" if cured else f"{size} connections"
    return await _watched(label, pool, size, load)


async def watched_runs(dsn: str) -> WatchedRuns:
    """Every run, one after the other: some 12 s on a database of the lab."""
    floor = pool_locking_floor(LOCKERS, PER_TASK)
    return WatchedRuns(
        leaking=await leak(dsn),
        leak_cured=await leak(dsn, cured=True),
        locks=tuple([await lock(dsn, size) for size in (SIZE, floor - 1, floor)]),
        lock_cured=await lock(dsn, SIZE, cured=True),
    )


_Start = Callable[[Any, str], None]


async def _watched(
    label: str, pool: Any, size: int, load: Callable[[_Start], Awaitable[None]]
) -> Watched:
    """Run `load` over the pool, look on all the while, and end whatever is still stuck."""
    tasks: list[asyncio.Task[None]] = []
    moments: list[Moment] = []
    registry = CollectorRegistry()
    began = perf_counter()

    def start(work: Any, name: str) -> None:
        tasks.append(asyncio.create_task(work, name=name))

    with watch(pool, name=NAME) as watching, instrument(pool, name=NAME, registry=registry):
        looking = asyncio.create_task(_look(watching, began, moments))
        try:
            await load(start)
            seconds = perf_counter() - began
            snapshot = basenames(watching.snapshot())
            figures = parse(generate_latest(registry).decode(), "the program")[NAME]
        finally:
            looking.cancel()
            done = sum(t.done() and not t.cancelled() and t.exception() is None for t in tasks)
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(looking, *tasks, return_exceptions=True)
            pool.terminate()
    return Watched(
        label=label,
        pool_size=size,
        seconds=seconds,
        calls=len(tasks),
        done=done,
        turned_away=sum(isinstance(end, TimeoutError) for end in ends),
        moments=tuple(moments),
        snapshot=snapshot,
        gauges=dict(figures.values),
    )


async def _look(watching: Watch, began: float, moments: list[Moment]) -> None:
    while True:
        at, now = perf_counter() - began, watching.snapshot()
        lost = sum(holder.fate in ("forgotten", "left") for holder in now.holders)
        moments.append(Moment(at=at, in_use=now.in_use, waiting=now.waiting, lost=lost))
        await asyncio.sleep(_LOOK)


def basenames(snapshot: Snapshot) -> Snapshot:
    """The snapshot with call sites as file and line, without the folders that they are in."""

    def short(record: Any) -> Any:
        sites = [name for name in ("where", "holds_from") if hasattr(record, name)]
        return replace(record, **{name: _basename(getattr(record, name)) for name in sites})

    parts = ("holders", "collected", "waiters", "places")
    shortened: dict[str, Any] = {name: tuple(map(short, getattr(snapshot, name))) for name in parts}
    if snapshot.shortage is not None:
        shortened["shortage"] = short(snapshot.shortage)
    return replace(snapshot, **shortened)


def _basename(site: str) -> str:
    path, separator, rest = site.partition(":")
    return f"{PurePath(path).name}{separator}{rest}"
