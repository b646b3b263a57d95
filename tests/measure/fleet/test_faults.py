"""What becomes of a fleet's load when a part of the fleet dies, hangs or lies; all of it is real."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from poolkit.errors import BrakeStop, PoolkitError
from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.measure.fleet.source import FleetSource
from poolkit.measure.generating import Load, LostGenerators, Sent
from poolkit.measure.sweep import TrialPlan
from poolkit.targets import Target, load_targets
from poolkit.targets.fleet import Fleet
from tests.measure.fleet.processes import (
    PROCESS,
    WORKER,
    Existing,
    calls_at,
    descendants,
    is_alive,
    until,
)

pytest.importorskip("distributed")
pytestmark = [pytest.mark.lab, pytest.mark.alone]

RATE, SECONDS = 100.0, 3.0
FIRST = 30  # calls at the server before the fault
LEASE = 2.0  # s after which no load is left
OVER_WITHIN = 60.0  # s; only what hangs takes so long


@pytest.fixture(scope="module")
def upstream() -> Iterator[HttpUpstream]:
    with HttpUpstream(Workers(workers=1000, service_time=0.01)) as server:
        yield server


@pytest.fixture(scope="module")
def targets(upstream: HttpUpstream, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("fleet") / "targets.toml"
    file.write_text(
        f'[targets.t]\ndriver = "aiohttp"\nurl = "{upstream.url}"\ntarget_rate = {RATE}\n'
        "max_size = 16\n",
        encoding="utf-8",
    )
    return file


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One loop for the tests that share a fleet."""
    with asyncio.Runner() as made:
        yield made


@dataclass
class Driven:
    """A fleet, the server that it sends to, and what it came to."""

    source: FleetSource
    target: Target
    upstream: HttpUpstream
    said: list[str]

    async def send(self, seconds: float = SECONDS) -> Sent:
        """One trial at the target rate from two pools, a generator each."""
        plan = TrialPlan("verify", 4, 0.3, seconds, "a test", rate=RATE, pools=2)
        load = Load(plan, seed=5, grace=2.0, max_calls=10_000)
        sending = self.source.send(self.target, load, lambda *_: None)
        return await asyncio.wait_for(sending, OVER_WITHIN)

    async def send_with(self, fault: Callable[[], object], seconds: float = SECONDS) -> Sent:
        """The same, with a fault in its middle."""
        before = calls_at(self.upstream)
        sending = asyncio.ensure_future(self.send(seconds))
        await until(lambda: sending.done() or calls_at(self.upstream) >= before + FIRST)
        assert not sending.done(), sending.result()
        await asyncio.to_thread(fault)
        return await sending

    async def assert_sends_all_once(self) -> None:
        """A whole trial: each planned call was sent, and came to the server, exactly once."""
        before = calls_at(self.upstream)
        sent = await self.send()
        assert not sent.lost
        assert set(sent.parts) == {"generator 1", "generator 2"}
        calls = sum(part.calls for part in sent.parts.values())
        assert calls == self.source.calls == pytest.approx(RATE * SECONDS, abs=2)
        first = calls_at(self.upstream) - before - calls
        assert 0 <= first <= 2  # of a generator that was started anew: its first call


def driven(
    fleet: Fleet, targets: Path, upstream: HttpUpstream, said: list[str] | None = None
) -> Driven:
    said = [] if said is None else said
    source = FleetSource(fleet, targets, said.append)
    return Driven(source, load_targets(targets)["t"], upstream, said)


def run(made: Driven, work: Callable[[Driven], Awaitable[None]]) -> None:
    """In a loop of its own; the fleet ends with it."""

    async def go() -> None:
        try:
            await work(made)
        finally:
            await asyncio.wait_for(made.source.close(), OVER_WITHIN)

    asyncio.run(go())


@pytest.fixture(scope="module")
def own(runner: asyncio.Runner, targets: Path, upstream: HttpUpstream) -> Iterator[Driven]:
    """Two generators of this machine's own, shared."""
    made = driven(Fleet(workers=2), targets, upstream)
    yield made
    runner.run(asyncio.wait_for(made.source.close(), OVER_WITHIN))
    assert descendants(WORKER) == descendants(PROCESS) == []


@pytest.mark.parametrize("module", [WORKER, PROCESS])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_generator_that_dies_or_hangs(
    runner: asyncio.Runner, own: Driven, module: str, number: signal.Signals
) -> None:
    """The others end, it says so, nothing of it goes on, and the next trial is whole."""

    async def go() -> None:
        await own.send(0.5)
        victim = descendants(module)[0]
        hit = 0.0

        def fault() -> None:
            nonlocal hit
            victim.send_signal(number)
            hit = time.monotonic()

        before = calls_at(own.upstream)
        # So long that load which nobody ends is still there when it is looked for.
        sent = await own.send_with(fault, 20.0)
        assert "generator " in sent.lost
        assert len(sent.parts) == 1
        # Each of the planned calls at most once: the other half stopped when this one did.
        assert sent.measurement.arrival_rate == RATE
        assert calls_at(own.upstream) - before <= RATE * 20.0
        await asyncio.sleep(max(0.0, hit + LEASE - time.monotonic()))
        quiet = calls_at(own.upstream)
        await asyncio.sleep(0.3)
        assert calls_at(own.upstream) == quiet
        await own.assert_sends_all_once()
        await until(lambda: not is_alive(victim))
        assert len(descendants(WORKER)) == len(descendants(PROCESS)) == 2

    runner.run(go())


def test_cancel_ends_the_load_and_the_fleet_goes_on(runner: asyncio.Runner, own: Driven) -> None:
    """As the session does it: in the loop that sends."""

    async def go() -> None:
        with pytest.raises(Cancelled):
            await own.send_with(own.source.cancel, 20.0)
        await asyncio.sleep(0.3)
        quiet = calls_at(own.upstream)
        await asyncio.sleep(0.3)
        assert calls_at(own.upstream) == quiet
        await own.assert_sends_all_once()

    runner.run(go())


def test_a_full_disk_ends_the_measurement(targets: Path, upstream: HttpUpstream, tmp_path: Path) -> None:
    """The trial that cannot be kept is the last one, and no process is left."""
    made = driven(Fleet(workers=2), targets, upstream)
    log = tmp_path / "t.trials.jsonl"
    session = Session(made.target, log, lambda _: None, budget=60.0, deadline=90.0, source=made.source)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def steps() -> ExitCode:
        plan = TrialPlan("verify", 4, 0.3, 1.0, "a test", rate=RATE, pools=2)
        await session.run(plan, 1)
        # What is in the file is the most that it may hold.
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, usual[1]))
        await session.run(plan, 2)
        raise AssertionError("it did not notice")

    try:
        with pytest.raises(BrakeStop, match="disk"):
            session.carry_out(steps)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert len(TrialLog(log).read()) == 1


