"""What becomes of a fleet's load when a part of it dies, hangs or lies; all of it is real."""

from __future__ import annotations

import asyncio
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from poolkit.errors import BadInput, BrakeStop, Cancelled, ExitCode
from poolkit.events import Event, Started
from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream, can_speak_tls
from poolkit.measure.fleet import cluster, generator
from poolkit.measure.fleet.source import FleetSource
from poolkit.measure.generating import Load, LostGenerators, Sent
from poolkit.measure.session import Session
from poolkit.measure.store import TrialLog
from poolkit.measure.sweep import TrialPlan
from poolkit.targets import Target, load_targets
from poolkit.targets.fleet import Fleet
from tests.faults.driving import Command
from tests.faults.proxy import FaultProxy
from tests.measure.fleet.processes import (
    PROCESS,
    WORKER,
    Existing,
    calls_at,
    descendants,
    is_alive,
    until,
    wait_until,
)
from tests.redis_server import RedisServer

pytest.importorskip("distributed")
pytestmark = pytest.mark.lab

RATE, SECONDS = 100.0, 1.5
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
        "max_size = 16\nreplicas = 2\n",
        encoding="utf-8",
    )
    return file


@pytest.fixture(scope="class")
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

    async def send(self, seconds: float = SECONDS, pools: int = 2) -> Sent:
        """One trial at the target rate from as many pools, a generator each."""
        plan = TrialPlan("verify", 4, 0.3, seconds, "a test", rate=RATE, pools=pools)
        load = Load(plan, seed=5, grace=2.0, max_calls=10_000)
        sending = self.source.send(self.target, load, lambda *_: None)
        return await asyncio.wait_for(sending, OVER_WITHIN)

    async def send_with(
        self, fault: Callable[[], object], seconds: float = SECONDS, pools: int = 2
    ) -> Sent:
        """The same, with a fault in its middle."""
        before = calls_at(self.upstream)
        sending = asyncio.ensure_future(self.send(seconds, pools))
        await until(lambda: sending.done() or calls_at(self.upstream) >= before + FIRST)
        assert not sending.done(), sending.result()
        fault()
        return await sending

    async def assert_sends_all_once(self) -> None:
        """A whole trial: each planned call was sent, and came to the server, exactly once."""
        before = calls_at(self.upstream)
        sent = await self.send()
        assert not sent.lost
        assert set(sent.parts) == {"generator 1", "generator 2"}
        calls = sum(part.calls for part in sent.parts.values())
        assert calls == pytest.approx(RATE * SECONDS, abs=2)
        first = self.source.calls - calls
        assert 0 <= first <= 2  # of a generator that was started anew: its first call
        assert calls_at(self.upstream) - before == self.source.calls


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


@pytest.fixture(scope="class")
def own(runner: asyncio.Runner, targets: Path, upstream: HttpUpstream) -> Iterator[Driven]:
    """Two generators of this machine's own, shared."""
    made = driven(Fleet(workers=2), targets, upstream)
    yield made
    runner.run(asyncio.wait_for(made.source.close(), OVER_WITHIN))
    assert descendants(WORKER) == descendants(PROCESS) == []


class TestFleetOfThisMachine:
    """Its generators are ended after these: later tests count processes."""

    @pytest.mark.parametrize(
        ("module", "number"), [(PROCESS, signal.SIGKILL), (WORKER, signal.SIGSTOP)]
    )
    def test_a_generator_that_dies_or_hangs(
        self, runner: asyncio.Runner, own: Driven, module: str, number: signal.Signals
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
            await assert_quiet(own.upstream, hit)
            await own.assert_sends_all_once()
            await until(lambda: not is_alive(victim))
            assert len(descendants(WORKER)) == len(descendants(PROCESS)) == 2

        runner.run(go())

    def test_cancel_ends_the_load_and_the_fleet_goes_on(
        self, runner: asyncio.Runner, own: Driven
    ) -> None:
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


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Existing]:
    """A cluster that somebody else started, with two workers; shared."""
    with Existing(tmp_path_factory.mktemp("dask")) as made:
        made.start_worker("a")
        made.start_worker("b")
        made.wait_for_workers()
        yield made


def on(existing: Existing) -> Fleet:
    return Fleet(workers=2, scheduler=existing.address)


def session_of(made: Driven, log: Path, see: Callable[[Event], None] = lambda _: None) -> Session:
    return Session(made.target, log, see, budget=60.0, deadline=90.0, source=made.source)


PLAN = TrialPlan("verify", 4, 0.3, SECONDS, "a test", rate=RATE, pools=2)


def test_a_lost_generator_and_then_a_full_disk(
    targets: Path, upstream: HttpUpstream, there: Existing, tmp_path: Path
) -> None:
    """On disk as stopped, and measured again at once; what cannot be kept is the last trial.

    A later run goes on from what is whole, and no process is left of the first.
    """
    log = tmp_path / "t.trials.jsonl"
    session = session_of(driven(on(there), targets, upstream), log)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def steps() -> ExitCode:
        plan = TrialPlan("ramp", 4, 0.3, SECONDS, "a test", callers=4)
        before = calls_at(upstream)
        trial = asyncio.ensure_future(session.run(plan, 1))
        # So early that what was measured until then is less than a warm-up.
        await until(lambda: calls_at(upstream) >= before + FIRST)
        descendants(PROCESS)[0].kill()
        await asyncio.wait_for(trial, OVER_WITHIN)
        # What is in the file is the most that it may hold.
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, usual[1]))
        await session.run(PLAN, 2)
        raise AssertionError("it did not notice")

    try:
        with pytest.raises(BrakeStop, match="disk"):
            session.carry_out(steps)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert descendants(PROCESS) == []
    lost, whole = TrialLog(log).read()
    assert (lost.stopped, whole.stopped) == ("generators", None)
    assert len(whole.generators) == 2
    assert session.trials[0].started == whole.started
    seen: list[Event] = []
    again = session_of(driven(on(there), targets, upstream), log, seen.append)

    async def none() -> ExitCode:
        return ExitCode.DONE

    again.carry_out(none)
    (started,) = (one for one in seen if isinstance(one, Started))
    assert started.resumed is not None
    assert started.resumed.trials == 1


POISON = """
import pickle, sys
from dataclasses import replace
dumps = pickle.dumps
def poisoned(value, *more, **words):
    if type(value).__name__ == "Part":
        measured = value.measurement
        measured = replace(measured, completions=measured.completions - 1)
        value = replace(value, measurement=measured)
    return dumps(value, *more, **words)
if "poolkit.measure.fleet.process" in sys.orig_argv:
    pickle.dumps = poisoned
"""

UNSHARE = ("unshare", "--user", "--map-root-user", "--time", "--monotonic", "5", "--fork")


def can_shift_clocks() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="class")
def three(
    runner: asyncio.Runner, targets: Path, upstream: HttpUpstream, there: Existing
) -> Iterator[Driven]:
    """Three generators on the cluster that is there, shared; it has two workers, each test a third.

    Whoever is on those two stays: only the third is started anew.
    """
    made = driven(Fleet(workers=3, scheduler=there.address), targets, upstream)
    yield made
    runner.run(asyncio.wait_for(made.source.close(), OVER_WITHIN))


class TestAThirdWorker:
    """That is not like the others, comes late, or is cut off."""

    def test_a_poisoned_result(
        self, runner: asyncio.Runner, three: Driven, there: Existing, tmp_path: Path
    ) -> None:
        """What is no measurement is a lost generator, which says what was wrong with it."""
        (tmp_path / "sitecustomize.py").write_text(POISON)
        there.start_worker("poisoned", env={"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"})
        there.wait_for_workers()

        async def go() -> None:
            sent = await three.send(1.0, pools=3)
            assert "its result is no measurement: its timeline" in sent.lost
            assert len(sent.parts) == 2

        try:
            runner.run(go())
        finally:
            there.end_worker("poisoned")

    def test_another_version_of_a_library(
        self, runner: asyncio.Runner, three: Driven, there: Existing, tmp_path: Path
    ) -> None:
        """Refused before any load, with what is where."""
        (tmp_path / "aiohttp-0.0.1.dist-info").mkdir()
        (tmp_path / "aiohttp-0.0.1.dist-info" / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: aiohttp\nVersion: 0.0.1\n"
        )
        there.start_worker("old", env={"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"})
        there.wait_for_workers()
        before = calls_at(three.upstream)

        async def go() -> None:
            with pytest.raises(BadInput, match=r"aiohttp 0\.0\.1 there and \d"):
                await three.send(pools=3)

        try:
            runner.run(go())
        finally:
            there.end_worker("old")
        assert calls_at(three.upstream) <= before + 3  # the first call of each

    @pytest.mark.skipif(not can_shift_clocks(), reason="needs namespaces of time")
    def test_a_clock_that_is_off(
        self, runner: asyncio.Runner, three: Driven, there: Existing
    ) -> None:
        """A generator whose clock is 5 s ahead begins with the others all the same."""
        there.start_worker("ahead", wrapper=[*UNSHARE, "--kill-child"])
        there.wait_for_workers()

        async def go() -> None:
            for _ in range(10):
                try:
                    sent = await three.send(1.0, pools=3)
                except BrakeStop as stop:
                    if stop.brake != "clock":  # a busy machine answers too slowly to know it well
                        raise
                    continue
                assert not sent.lost
                began = [part.skew for part in sent.parts.values()]
                assert len(began) == 3
                # Uncorrected it were 5 s early or late; how late it is else, is the machine's load.
                assert max(map(abs, began)) < 1.0
                return
            pytest.skip("this machine is too busy to read a clock within 2 ms")

        try:
            runner.run(go())
        finally:
            there.end_worker("ahead")

    def test_one_that_joins_late_and_is_cut_off(
        self,
        runner: asyncio.Runner,
        three: Driven,
        there: Existing,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """It is waited for. Cut from the client, connections up: the lease ends what nobody halts.

        Cut from the scheduler alone it goes on: nothing of a trial takes that way.
        """
        port, scheduler = free_port(), int(there.address.rpartition(":")[2])
        hit = 0.0

        async def go(relay: FaultProxy, registry: FaultProxy) -> None:
            monkeypatch.setattr(cluster, "JOIN_SECONDS", 0.2)
            with pytest.raises(BrakeStop, match=r"workers are needed, and \d are there"):
                await three.send(pools=3)
            with monkeypatch.context() as patient:
                patient.setattr(cluster, "JOIN_SECONDS", OVER_WITHIN)
                sending = asyncio.ensure_future(three.send(1.0, pools=3))
                there.start_worker(
                    "far",
                    *("--listen-address", f"tcp://127.0.0.1:{port}"),
                    *("--contact-address", f"tcp://127.0.0.1:{relay.port}"),
                    scheduler=f"tcp://127.0.0.1:{registry.port}",
                )
                assert not (await sending).lost

            def cut() -> None:
                nonlocal hit
                relay.turn("silent")
                hit = time.monotonic()

            sent = await three.send_with(cut, 20.0, pools=3)
            assert "it did not answer for" in sent.lost
            assert len(sent.parts) == 2
            await assert_quiet(three.upstream, hit)
            assert relay.swallowed > 0
            with monkeypatch.context() as hasty:
                hasty.setattr(generator, "START_SECONDS", 3.0)
                with pytest.raises(BrakeStop, match=r"did not start|workers are needed"):
                    await three.send(1.0, pools=3)
            relay.turn("pass")
            assert not (await three.send(1.0, pools=3)).lost
            registry.turn("silent")
            assert not (await three.send(pools=3)).lost
            assert registry.swallowed > 0

        with FaultProxy(port) as relay, FaultProxy(scheduler) as registry:
            runner.run(go(relay, registry))
        there.end_worker("far")


@pytest.mark.parametrize(
    ("number", "is_own"),
    [
        (signal.SIGINT, True),
        (signal.SIGKILL, True),
        (signal.SIGKILL, False),
    ],
)
def test_a_client_that_ends(
    upstream: HttpUpstream,
    there: Existing,
    tmp_path: Path,
    number: signal.Signals,
    is_own: bool,
) -> None:
    """Whether it can still say so or not: no load, and no process after it."""
    target = f'driver = "aiohttp"\nurl = "{upstream.url}"\nmax_size = 16\nreplicas = 2'
    more = ["--fleet", "2"] if is_own else ["--fleet", "2", "--scheduler", there.address]
    with Command(tmp_path, target, *more, mode="size") as command:
        before = calls_at(upstream)
        wait_until(lambda: calls_at(upstream) >= before + FIRST or command.code is not None)
        below = descendants(PROCESS, None if not is_own else command.process.pid)
        assert len(below) == 2
        below += descendants(WORKER, command.process.pid)
        command.process.send_signal(number)
        hit = time.monotonic()
        asyncio.run(assert_quiet(upstream, hit))
        command.finish()
        if number != signal.SIGKILL:
            assert command.code == 130
            assert command.failed["cause"] == "cancelled"
            assert command.stderr == ""
        wait_until(lambda: not any(map(is_alive, below)))
    assert [is_alive(worker) for worker in there.workers.values()] == [True, True]


@pytest.mark.skipif(not can_speak_tls(), reason="needs trustme")
def test_secrets_stand_nowhere_in_the_cluster(tmp_path: Path) -> None:
    """Not in a log, a task's name, an event or anything else that Dask shows, after a fault too."""
    words = certificates(tmp_path)
    secret = "fleet-secret-7f3a"
    with (
        RedisServer("--requirepass", secret) as redis,
        Existing(
            tmp_path,
            tls=words,
            env={"FLEET_DSN": redis.url.replace("//", f"//:{secret}@")},
        ) as there,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("FLEET_DSN", redis.url.replace("//", f"//:{secret}@"))
        there.start_worker("a")
        there.start_worker("b")
        there.wait_for_workers()
        file = tmp_path / "targets.toml"
        file.write_text(
            f'[targets.t]\ndriver = "redis"\ndsn_env = "FLEET_DSN"\nstatements = ["GET a"]\n'
            f"target_rate = {RATE}\nmax_size = 16\n"
        )
        files = {
            "tls_ca_file": words[1],
            "tls_cert_file": words[3],
            "tls_key_file": words[5],
        }
        source = FleetSource(
            Fleet(workers=2, scheduler=there.address, **files), file, lambda _: None
        )
        target = load_targets(file)["t"]

        async def go() -> str:
            load = Load(PLAN, seed=5, grace=2.0, max_calls=10_000)
            try:
                progress: list[float] = []
                sending = asyncio.ensure_future(
                    source.send(target, load, lambda at, *_: progress.append(at))
                )
                await until(lambda: bool(progress) or sending.done())
                # A process of its own: Dask lets clients of one process find each other.
                look = [sys.executable, "-c", DUMP, there.address, str(tmp_path / "state"), *words]
                await asyncio.to_thread(subprocess.run, look, check=True, timeout=OVER_WITHIN)
                assert not (await sending).lost
                victim = descendants(PROCESS)[0]
                victim.kill()
                await until(lambda: not is_alive(victim))
                assert not (await source.send(target, load, lambda *_: None)).lost
            finally:
                await source.close()
            return (tmp_path / "state.yaml").read_text(encoding="utf-8")

        state = asyncio.run(go())
        assert "poolkit-generator 1" in state  # it is the state of this fleet
        assert secret not in state
        for name in ("scheduler", "a", "b"):
            assert there.log(name)
            assert secret not in there.log(name)


DUMP = """
import sys
from distributed import Client, Security
address, file, _, ca, _, cert, _, key = sys.argv[1:]
files = {"tls_ca_file": ca, "tls_client_cert": cert, "tls_client_key": key}
with Client(address, security=Security(**files, require_encryption=True)) as client:
    client.dump_cluster_state(file, format="yaml")
"""


def certificates(folder: Path) -> list[str]:
    """The files of a certificate for everybody in the cluster, as Dask's options name them."""
    import trustme

    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    made.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    made.private_key_pem.write_to_path(folder / "key.pem")
    pairs = (("--tls-ca-file", "ca"), ("--tls-cert", "cert"), ("--tls-key", "key"))
    return [word for option, name in pairs for word in (option, str(folder / f"{name}.pem"))]


def test_a_local_cluster_of_dasks_own(targets: Path, upstream: HttpUpstream) -> None:
    """Its workers have nannies, which daemonic processes may not be hindered by."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50
    ) as local:
        fleet = Fleet(workers=2, scheduler=local.scheduler_address)
        run(driven(fleet, targets, upstream), Driven.assert_sends_all_once)
    assert descendants(PROCESS) == []


def test_a_scheduler_that_dies(targets: Path, upstream: HttpUpstream, there: Existing) -> None:
    """The load is gone as well, and it is told; nothing waits for it to come back.

    It is the last of those on this cluster.
    """

    async def go(made: Driven) -> None:
        hit = 0.0

        def kill() -> None:
            nonlocal hit
            there.scheduler.kill()
            hit = time.monotonic()

        lost = ""
        try:
            lost = (await made.send_with(kill, 20.0)).lost
        except LostGenerators as error:  # both at once
            lost = error.seen
        assert "was lost" in lost
        await assert_quiet(upstream, hit)
        with pytest.raises(BrakeStop, match=r"no longer answers|did not start"):
            await made.send(1.0)

    run(driven(on(there), targets, upstream), go)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def assert_quiet(upstream: HttpUpstream, hit: float) -> None:
    """From the end of the lease on no call comes to the server."""
    await asyncio.sleep(max(0.0, hit + LEASE - time.monotonic()))
    quiet = calls_at(upstream)
    await asyncio.sleep(0.3)
    assert calls_at(upstream) == quiet
