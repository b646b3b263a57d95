"""Load with a fault in its middle: the generator on a real pool, and the command as a child."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr

from poolkit.drivers import table
from poolkit.drivers.base import Pool, PoolStatistics, Stamps, close_pool
from poolkit.drivers.registry import make_pool
from poolkit.errors import CallFailed
from poolkit.load.arrivals import constant
from poolkit.load.brakes import Brakes
from poolkit.load.generator import Generator, Plan
from poolkit.load.recorder import Columns
from poolkit.load.timer import best_timer
from poolkit.measure.store import TrialLog
from poolkit.records import OUTCOMES, Trial
from poolkit.targets import Target

RATE = 100.0  # calls/s of an open loop
CALLERS = 4  # of a closed loop
SIZE = 4
LONGEST = 20.0  # s of a trial: it ends earlier, when what it waits for has happened
FIRST = 20  # calls that succeed before the fault
GRACE = 0.3  # s
# No brake: the fault is watched to the end of the trial.
ENDURING = Brakes(max_failed_share=1.0, max_no_connection=10**9)

Loop = Literal["closed", "open"]
HTTP_DRIVERS = (*table.HTTP_DRIVERS, "httpx2")


def target_of(driver: str, address: str, **more: Any) -> Target:
    """A target on a URL or a DSN; every statement takes 5 ms at the server (Redis: no time)."""
    keys: dict[str, Any] = {"name": "faulty", "driver": driver, "target_rate": RATE} | more
    if driver == "httpx2":
        keys |= {"driver": "httpx", "library": driver}
    if driver in HTTP_DRIVERS:
        return Target(url=address, **keys)
    work = "GET a" if driver == "redis" else "select pg_sleep(0.005)"
    keys.setdefault("statements", (work,))
    return Target(dsn=SecretStr(address), **keys)


class Counted:
    """A pool that counts what becomes of its calls, and makes a fault after `FIRST` good ones."""

    def __init__(self, pool: Pool, fault: Callable[[], object] | None) -> None:
        self._pool = pool
        self._fault = fault
        self._making: asyncio.Task[None] | None = None
        self.is_faulty = False  # the fault has been made
        self.begun = self.served = self.recovered = 0
        self.kinds: Counter[str] = Counter()
        self.pool_size = pool.pool_size

    async def open(self) -> None:
        await self._pool.open()

    async def close(self) -> None:
        if self._making is not None:
            await self._making
        await close_pool(self._pool)

    def statistics(self) -> PoolStatistics:
        return self._pool.statistics()

    async def call(self, stamps: Stamps) -> None:
        self.begun += 1
        was_faulty = self.is_faulty
        try:
            await self._pool.call(stamps)
        except CallFailed as failure:
            self.kinds[failure.kind] += 1
            raise
        self.served += 1
        self.recovered += was_faulty
        if self.served >= FIRST and self._fault is not None and self._making is None:
            self._making = asyncio.create_task(self._make(self._fault))

    async def _make(self, fault: Callable[[], object]) -> None:
        await asyncio.to_thread(fault)
        self.is_faulty = True


@dataclass
class Ending:
    """What a trial with a fault in it left behind."""

    pool: Counted
    stopped: str | None
    seconds: float  # from the first call to the end of the last one
    due: list[float] = field(default_factory=list)  # of every record, in order
    outcomes: Counter[str] = field(default_factory=Counter)

    def assert_complete(self, loop: Loop) -> None:
        """One record for each call: of a schedule every one that was due by the end, in order."""
        if loop == "closed":
            assert len(self.due) == self.pool.begun
            return
        schedule = list(constant(RATE, LONGEST))[: len(self.due)]
        assert self.due == schedule
        # A call that was due at the end and was not begun any more has a record as well.
        assert len(self.due) >= self.pool.begun > 0


def drive(
    target: Target,
    loop: Loop,
    *,
    fault: Callable[[], object] | None = None,
    until: Callable[[Counted], bool] = lambda _pool: False,
    grace: float = GRACE,
    brakes: Brakes = ENDURING,
) -> Ending:
    """Load on a pool of `SIZE` with a fault in it (in a thread); over when `until` is true."""

    async def go() -> Ending:
        pool = Counted(make_pool(target, SIZE), fault)
        await pool.open()
        chunks: list[Columns] = []
        open_loop = {"arrivals": constant(RATE, LONGEST), "arrival_rate": RATE}
        plan = Plan(
            seconds=LONGEST,
            warm_up=0.0,
            seed=1,
            grace=grace,
            **({"callers": CALLERS} if loop == "closed" else open_loop),
        )
        timer = best_timer(asyncio.get_running_loop())
        generator = Generator(
            pool,
            plan,
            timer,
            brakes=brakes,
            is_enough=lambda _recorder, _at: until(pool),
            on_chunk=chunks.append,
        )
        began = time.perf_counter()
        measurement = await generator.run()
        ended = time.perf_counter()
        await asyncio.wait_for(pool.close(), 15.0)  # nothing waits for a call timeout of 30 s
        timer.close()
        ending = Ending(pool, measurement.stopped, ended - began)
        for chunk in chunks:
            ending.due += chunk.due.tolist()
            ending.outcomes.update(OUTCOMES[code] for code in chunk.outcome)
        ending.due.sort()
        ending.assert_complete(loop)
        return ending

    return asyncio.run(go())


def nothing_ends() -> Callable[[Counted], bool]:
    """True once no call has ended between two looks (0.25 s apart) after the fault."""
    before = -1

    def is_so(pool: Counted) -> bool:
        nonlocal before
        ended = pool.served + pool.kinds.total() if pool.is_faulty else -1
        is_still = ended == before != -1
        before = ended
        return is_still

    return is_so


def fails_as(kind: str) -> Callable[[Counted], bool]:
    """True once a call has failed so."""
    return lambda pool: pool.kinds[kind] > 0


def has_recovered(pool: Counted) -> bool:
    """Calls failed, and some that began after the fault was over succeeded."""
    return pool.kinds.total() > 0 and pool.recovered >= FIRST


def wait_until(is_so: Callable[[], bool]) -> None:
    """Look again and again until it is so; a minute without it is a failure."""
    until = time.monotonic() + 60.0
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.02)


class Command:
    """`python -m poolkit sweep|size faulty --events` as a child, and what it says."""

    def __init__(
        self,
        folder: Path,
        target: str,
        *more: str,
        mode: Literal["sweep", "size"] = "sweep",
        python: tuple[str, ...] = ("-P", "-m", "poolkit"),
        wrapper: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        self.folder = folder
        targets = folder / "targets.toml"
        targets.write_text(f"[targets.faulty]\ntarget_rate = 100\n{target}\n", encoding="utf-8")
        words = [sys.executable, *python, mode, "faulty", "--targets", str(targets)]
        words += ["--out", str(folder / "out"), "--events", *more]
        if wrapper:
            words = [sys.executable, *wrapper, *words]
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1, **options
        )
        self.events: list[dict[str, Any]] = []
        self.stderr = ""

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def lines(self) -> Iterator[dict[str, Any]]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            yield self.events[-1]

    def wait_for(self, name: str, times: int = 1) -> dict[str, Any]:
        """Read on until an event of this name has come so often."""
        for event in self.lines():
            if event["event"] == name:
                times -= 1
                if times == 0:
                    return event
        raise AssertionError(f"no {name}: {self.events} {self.finish().stderr}")

    def finish(self, timeout: float = 60.0) -> Command:
        """Read to the end; what is left open after `timeout` s is a hang."""
        out, err = self.process.communicate(timeout=timeout)
        self.events += [json.loads(line) for line in out.splitlines()]
        self.stderr += err
        return self

    @property
    def code(self) -> int | None:
        return self.process.returncode

    def of(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]

    @property
    def failed(self) -> dict[str, Any]:
        """The one `failed` event, which says cause and remedy."""
        (event,) = self.of("failed")
        assert event["cause"]
        assert event["remedy"]
        assert event["exit_code"] == self.code
        assert self.events[-1] == {"event": "done", "target": "faulty", "exit_code": self.code}
        return event

    @property
    def trials(self) -> list[Trial]:
        """What is on disk."""
        return TrialLog(self.folder / "out" / "faulty.trials.jsonl").read()
