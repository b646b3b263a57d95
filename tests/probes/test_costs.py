"""Costs are measured within the target's rate, and a share that is computed says so."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Iterator

import pytest

from poolkit.drivers.base import Pool, Stamps
from poolkit.drivers.parameters.findings import Cost, Costs
from poolkit.drivers.variants import Variants
from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.probes.costs import ROUND, carried
from poolkit.probes.dials import dial_costs
from poolkit.probes.http import HttpLine, dial_http
from poolkit.probes.line import Upstream
from poolkit.probes.records import Probe, StaleCount
from poolkit.show import charts
from poolkit.show.tables.of_probe import costs as costs_table
from poolkit.show.tables.of_probe import stale as stale_table
from poolkit.targets.workload import HttpWork
from tests.memory_pool import MemoryPool
from tests.virtual_clock import run_virtual

HOLD = 0.01  # s


class Counted(MemoryPool):
    """A pool whose calls take 10 ms of virtual time; the call numbered `fails` fails."""

    def __init__(self, fails: int | None = None) -> None:
        super().__init__(1000, itertools.repeat(HOLD))
        self.fails = fails
        self.calls = 0
        self.running = self.most = 0
        self.is_closed = False

    async def call(self, stamps: Stamps) -> None:
        self.calls += 1
        if self.calls == self.fails:
            raise ConnectionResetError
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await super().call(stamps)
        finally:
            self.running -= 1

    async def close(self) -> None:
        self.is_closed = True


async def carry(pool: Counted, size: int, rate: float) -> float:
    """What `carried` finds on the loop's own, virtual clock."""

    class Only(Variants):
        def __init__(self) -> None:
            """Nothing to compare."""

        async def open(self, variant: str, size: int) -> Pool:
            return pool

    return await carried(Only(), "base", size, rate, asyncio.get_running_loop().time)


@pytest.mark.parametrize(
    ("rate", "size", "calls"),
    [
        (100.0, 4, 100 * ROUND),  # the pace, though four could carry 400/s
        (10.0, 4, 10.0),  # a longer round at a low rate
        (1e6, 4, 4 / HOLD * ROUND),  # as fast as four connections are
    ],
)
def test_no_more_is_sent_than_the_target_rate(rate: float, size: int, calls: float) -> None:
    """Beside one call a connection to begin with; what they could carry is told all the same."""
    pool = Counted()
    found = run_virtual(carry(pool, size, rate))
    assert found == pytest.approx(size / HOLD)
    assert pool.calls - size == pytest.approx(calls, abs=size + 1)
    assert pool.most <= size
    assert pool.is_closed


def test_the_first_failure_ends_it_for_all_callers() -> None:
    """Nothing more is sent to a server that fails."""
    pool = Counted(fails=9)
    with pytest.raises(ConnectionResetError):
        run_virtual(carry(pool, 4, 1e6))
    assert pool.calls <= 9 + 4
    assert pool.running == 0
    assert pool.is_closed


@pytest.fixture(scope="module")
def front() -> Iterator[HttpUpstream]:
    with HttpUpstream(Workers(workers=8, service_time=0.001), tls_names=()) as front:
        yield front


@pytest.mark.lab
def test_a_tls_handshake_is_measured(front: HttpUpstream) -> None:
    """On its own and as a part of the dial; the share of a call that dials is computed."""
    context = ssl.create_default_context(cafile=str(front.certificate))
    work = HttpWork("GET", front.url)

    async def dial() -> HttpLine:
        return await dial_http(work, context)

    where = Upstream("127.0.0.1", front.port, context=context)
    found, skipped = asyncio.run(dial_costs(dial, where, tls_request=b"", hold=HOLD))
    cost = {one.name: one for one in found}
    tls = cost["TLS handshake"]
    assert tls.interval95 is not None
    assert 0 < tls.seconds < 2 * cost["dial"].seconds
    assert tls.lost_share == pytest.approx(tls.seconds / (HOLD + tls.seconds))
    assert not tls.is_lost_measured
    assert set(skipped) == {"DNS look-up"}


def test_a_share_that_is_computed_says_so() -> None:
    """In the table and in the chart's words."""
    rows = [
        Cost(
            name=name,
            per=per,
            seconds=0.001,
            interval95=(0.0009, 0.0011),
            samples=15,
            lost_share=0.1,
            is_lost_measured=is_measured,
        )
        for name, per, is_measured in (("ping", "checkout", True), ("dial", "dial", False))
    ]
    costs = Costs(pool_size=2, hold_time=HOLD, throughput=100.0, costs=tuple(rows))
    table = costs_table(costs)
    assert table is not None
    shown = [row[4] for row in table.rows]
    assert shown == ["10 %", "10 % of calls that dial (computed)"]
    alt = charts.checkout_costs_alt(costs, "db")
    assert alt.count("computed 10 % of a call that dials") == alt.count("computed") == 1


def test_recycling_is_said_to_help_after_a_pause_only() -> None:
    """It was counted so: calls right after a cut would meet what it had closed."""
    counts = [
        StaleCount(setting=setting, cut="drop", calls=12, failed=0, disconnects=0)
        for setting in ("none", "recycle")
    ]
    probe = Probe(
        target="db", driver="asyncpg", endpoint="", created="2026-11-21", stale=tuple(counts)
    )
    table = stale_table(probe)
    assert table is not None
    assert [row[1] for row in table.rows] == ["none", "recycle (after a pause)"]
    assert "recycle (after a pause), dropped" in charts.stale_calls_alt(counts, "db")
