"""Limits that load runs into: a server that sheds, a queue that grows, the target's own caps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.load.brakes import Brakes
from tests.faults.driving import FIRST, LONGEST, Command, Loop, drive, target_of
from tests.faults.shedding import SheddingServer

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def upstream() -> Iterator[HttpUpstream]:
    with HttpUpstream(Workers(workers=16, service_time=0.005)) as server:
        yield server


def http(port: int, *more: str) -> str:
    return "\n".join(['driver = "aiohttp"', f'url = "http://127.0.0.1:{port}/"', *more])


def test_a_server_that_sheds_is_asked_once_at_a_size_that_it_refuses(tmp_path: Path) -> None:
    """Larger pools are turned away, and what smaller ones measured is kept and sized."""
    with (
        SheddingServer(3, 0.005, 429) as server,
        Command(tmp_path, http(server.port), "--sizes", "2,8", "--budget", "6") as command,
    ):
        command.finish()
        assert command.code == 0
        assert command.of("failed") == []
        refused = [trial.pool_size for trial in command.trials if trial.stopped == "rejected"]
        assert refused == [8]
        shed = command.trials[1]
        assert shed.outcomes["rejected"] > 0
        assert shed.error_kinds["http_429"] == shed.outcomes["rejected"]
        assert "the server shed" in command.of("sizing")[-1]["sizing"]["verdict"]["evidence"]
        # It stops soon: a server in need is not hammered.
        assert server.shed < 500


@pytest.mark.parametrize("driver", ["aiohttp", "httpx", "httpx2"])
def test_rejected_calls_have_their_outcome(driver: str) -> None:
    """Each of them, for every HTTP driver; without brakes the trial goes on beside them."""
    with SheddingServer(2, 0.02, 503) as server:
        target = target_of(driver, f"http://127.0.0.1:{server.port}/")
        ending = drive(
            target, "open", until=lambda pool: min(pool.served, pool.kinds.total()) >= FIRST
        )
    assert min(ending.outcomes["ok"], ending.outcomes["rejected"]) >= FIRST
    assert ending.outcomes.keys() <= {"ok", "rejected", "unfinished"}  # due at the very end
    assert set(ending.pool.kinds) == {"http_503"}


def test_a_queue_that_only_grows_stops_the_trial() -> None:
    """100 calls/s at a server that does 20: the backlog brake, and every call has its record."""
    with HttpUpstream(Workers(workers=4, service_time=0.2)) as server:
        target = target_of("aiohttp", server.url)
        ending = drive(target, "open", brakes=Brakes(max_in_system=30), grace=0.5)
    assert ending.stopped == "backlog"
    assert ending.seconds < LONGEST
    assert ending.outcomes["unfinished"] >= 20


@pytest.mark.parametrize("loop", ["closed", "open"])
def test_the_quota_of_a_trial_is_kept_at_a_real_server(loop: Loop) -> None:
    """The server sees exactly as many calls as were allowed."""
    with HttpUpstream(Workers(workers=16, service_time=0.005)) as server:
        target = target_of("aiohttp", server.url)
        ending = drive(target, loop, brakes=Brakes(max_calls=40))
        served = server.stats()["served"]
    assert ending.stopped == "calls"
    assert ending.outcomes == {"ok": 40}
    assert served == 40


def test_max_calls_ends_the_run(tmp_path: Path) -> None:
    """Exit 3 with the reason; over all trials of the run no call too many is sent."""
    with HttpUpstream(Workers(workers=16, service_time=0.005)) as server:
        target = http(server.port, "max_calls = 1500")
        with Command(tmp_path, target, "--sizes", "2,4,8", "--budget", "20") as command:
            command.finish()
            assert command.code == 3
            assert "stopped by the calls brake" in command.failed["cause"]
            assert "max_calls" in command.failed["remedy"]
            stopped = [trial.stopped for trial in command.trials]
            assert stopped == [None] * (len(stopped) - 1) + ["calls"]
            assert len(stopped) >= 2
            assert command.of("sizing")
        served = server.stats()["served"]
    assert served == 1500


@pytest.mark.parametrize(
    ("mode", "addresses", "most"),
    [
        *[("size", 1, 1), ("size", 2, 3), ("size", 3, 40)],
        *[("sweep", 1, 2), ("sweep", 1, 40), ("sweep", 2, 2)],
    ],
)
def test_a_run_sends_no_call_beyond_max_calls(
    tmp_path: Path,
    upstream: HttpUpstream,
    mode: Literal["sweep", "size"],
    addresses: int,
    most: int,
) -> None:
    """The first calls count, one to each address: in closed loops as in open ones."""
    before = upstream.stats()["served"]
    urls = [f"http://127.0.0.1:{upstream.port}/{number}" for number in range(addresses)]
    place = f"urls = {urls}" if addresses > 1 else f'url = "{urls[0]}"'
    target = f'driver = "aiohttp"\n{place}\nmax_calls = {most}'
    with Command(tmp_path, target, "--budget", "20", mode=mode) as command:
        command.finish()
        assert command.code == 3
        assert f"{most} call" in command.failed["cause"]
    assert upstream.stats()["served"] - before == most


def test_too_few_calls_for_the_first_ones_are_refused(
    tmp_path: Path, upstream: HttpUpstream
) -> None:
    """Exit 2 before any call."""
    before = upstream.stats()["served"]
    urls = [f"http://127.0.0.1:{upstream.port}/{number}" for number in range(3)]
    target = f'driver = "aiohttp"\nurls = {urls}\nmax_calls = 2'
    with Command(tmp_path, target) as command:
        command.finish()
        assert command.code == 2
        assert "max_calls = 2" in command.failed["cause"]
    assert upstream.stats()["served"] == before


def test_a_rate_that_could_not_be_verified_is_refused(
    tmp_path: Path, upstream: HttpUpstream
) -> None:
    """Exit 2 before any call: verification goes to 1.2 times the target rate of 100."""
    with Command(tmp_path, http(upstream.port, "max_rate = 119")) as command:
        command.finish()
        assert command.code == 2
        assert "max_rate = 119" in command.failed["cause"]
        assert "120 calls/s" in command.failed["cause"]
        assert "max_rate = 120 or more" in command.failed["remedy"]
        assert command.of("started") == []
        assert command.trials == []


def test_max_rate_stops_a_sweep_that_would_pass_it(tmp_path: Path, upstream: HttpUpstream) -> None:
    """16 connections would carry 3,200 calls/s, one at most 200; what is below is measured."""
    target = http(upstream.port, "max_rate = 300")
    with Command(tmp_path, target, "--sizes", "1,16", "--budget", "8") as command:
        command.finish()
        assert command.code == 3
        assert "stopped by the rate brake" in command.failed["cause"]
        assert "max_rate" in command.failed["remedy"]
        assert [t.stopped for t in command.trials] == [None, "rate"]
        last = command.trials[-1]
        assert sum(last.outcomes.values()) <= 300 * (last.window + last.warm_up) + 16
