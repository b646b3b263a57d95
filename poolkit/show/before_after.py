"""A service before and after other pool parameters, under the same load: what was seen of it.

SERVICE is the file of a review's folder that keeps it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from poolkit import units
from poolkit.records import Record
from poolkit.show.tables.table import Table

SERVICE = "service.json"


class PoolSeen(Record):
    """One pool over the load, from the service's own gauges."""

    pool: str
    driver: str
    pool_size: float
    arrival_rate: float  # calls/s
    hold_time: float | None  # s, mean
    wait_time: float | None  # s, mean
    wait_p99: float | None  # s, from the gauges' buckets
    turned_away: int  # by the pool's own time limit
    dials: int


class ServiceRun(Record):
    """One open-loop run against the service: what callers saw, and what its pools did."""

    label: str
    path: str
    arrival_rate: float  # calls/s planned
    seconds: float
    throughput: float  # successes per second
    response_p50: float | None  # s
    response_p99: float | None  # s
    calls: int
    errors: int  # calls without a success, shed ones included
    pools: tuple[PoolSeen, ...]

    @property
    def error_share(self) -> float:
        """Errors over calls."""
        return self.errors / self.calls if self.calls else 0.0


class ServiceComparison(Record):
    """Two runs of the same load; a table of the difference."""

    schema_: Literal["poolkit.service/1"] = Field("poolkit.service/1", alias="schema")
    before: ServiceRun
    after: ServiceRun

    @property
    def pools(self) -> list[tuple[PoolSeen, PoolSeen]]:
        """Each pool that both runs know, before and after."""
        later = {pool.pool: pool for pool in self.after.pools}
        return [(was, later[was.pool]) for was in self.before.pools if was.pool in later]

    def table(self) -> Table:
        """Wait, p99 and errors, before and after; the pools by name."""
        ms, both = units.milliseconds, (self.before, self.after)
        rows = [
            ("calls planned", *(units.rate(run.arrival_rate) for run in both)),
            ("served", *(units.rate(run.throughput) for run in both)),
            ("errors", *(units.share(run.error_share, 1) for run in both)),
            ("p50 response", *(ms(run.response_p50) for run in both)),
            ("p99 response", *(ms(run.response_p99) for run in both)),
        ]
        for pools in self.pools:
            name = pools[0].pool
            rows += [
                (f"{name}: size", *(units.number(pool.pool_size) for pool in pools)),
                (f"{name}: mean wait", *(ms(pool.wait_time) for pool in pools)),
                (f"{name}: p99 wait", *(ms(pool.wait_p99) for pool in pools)),
                (f"{name}: hold", *(ms(pool.hold_time) for pool in pools)),
                (f"{name}: turned away", *(str(pool.turned_away) for pool in pools)),
            ]
        caption = f"{self.before.path} before and after the recommended parameters"
        columns = ("", *(run.label for run in both))
        return Table(caption, columns, tuple(rows), frozenset({1, 2}))
