"""Load with a fault in its middle: the generator on a real pool, and the command as a child."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import SecretStr

from poolkit.drivers.base import Pool, PoolStatistics, Stamps, close_pool
from poolkit.drivers.registry import make_pool
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
SECONDS = 0.7  # of a trial
GRACE = 0.3  # s
# No brake: the fault is watched to the end of the trial.
ENDURING = Brakes(max_failed_share=1.0, max_no_connection=10**9)

Loop = Literal["closed", "open"]
HTTP_DRIVERS = ("aiohttp", "httpx", "httpx2")


def target_of(driver: str, address: str, **more: Any) -> Target:
    """A target on a URL or a DSN; every statement takes 5 ms at the server."""
    keys: dict[str, Any] = {"name": "faulty", "driver": driver, "target_rate": RATE} | more
    if driver == "httpx2":
        keys |= {"driver": "httpx", "library": driver}
    if driver in HTTP_DRIVERS:
        return Target(url=address, **keys)
    keys.setdefault("statements", ("select pg_sleep(0.005)",))
    return Target(dsn=SecretStr(address), **keys)


class Counted:
    """A pool that counts the calls that are begun on it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.begun = 0
        self.pool_size = pool.pool_size

    async def open(self) -> None:
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    def statistics(self) -> PoolStatistics:
        return self._pool.statistics()

    async def call(self, stamps: Stamps) -> None:
        self.begun += 1
        await self._pool.call(stamps)


@dataclass
class Ending:
    """What a trial with a fault in it left behind."""

    planned: int  # calls begun, or due by the end of an open loop
    outcomes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    last_success: float = 0.0  # s
    stopped: str | None = None
    seconds: float = 0.0  # from the first call to the end of the last one
    closing: float = 0.0  # s that closing the pool took

    @property
    def recorded(self) -> int:
        return self.outcomes.total()


def drive(
    target: Target,
    loop: Loop,
    *,
    faults: Mapping[float, Callable[[], object]],
    seconds: float = SECONDS,
    grace: float = GRACE,
    brakes: Brakes = ENDURING,
) -> Ending:
    """Load on a pool of `SIZE`, with faults at the given moments (s); every one in a thread."""

    async def go() -> Ending:
        pool = Counted(make_pool(target, SIZE))
        await pool.open()
        chunks: list[Columns] = []
        open_loop = {"arrivals": constant(RATE, seconds), "arrival_rate": RATE}
        plan = Plan(
            seconds=seconds,
            warm_up=0.0,
            seed=1,
            grace=grace,
            **({"callers": CALLERS} if loop == "closed" else open_loop),
        )
        timer = best_timer(asyncio.get_running_loop())
        generator = Generator(pool, plan, timer, brakes=brakes, on_chunk=chunks.append)
        doing = [asyncio.create_task(_later(at, fault)) for at, fault in faults.items()]
        began = time.perf_counter()
        measurement = await asyncio.wait_for(generator.run(), seconds + grace + 5.0)
        ended = time.perf_counter()
        await close_pool(pool)
        closed = time.perf_counter()
        timer.close()
        await asyncio.gather(*doing)
        ending = Ending(pool.begun, seconds=ended - began, closing=closed - ended)
        ending.stopped = measurement.stopped
        if loop == "open" and ending.seconds >= seconds:
            ending.planned = math.floor(RATE * seconds)
        for chunk in chunks:
            ending.outcomes.update(OUTCOMES[code] for code in chunk.outcome)
            good = chunk.released[chunk.outcome == 0]
            ending.last_success = max(ending.last_success, float(np.max(good, initial=0.0)))
        for segment in measurement.segments:
            ending.kinds.update(segment.error_kinds)
        return ending

    return asyncio.run(go())


async def _later(at: float, fault: Callable[[], object]) -> None:
    await asyncio.sleep(at)
    await asyncio.to_thread(fault)


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

    def finish(self, timeout: float = 30.0) -> Command:
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
