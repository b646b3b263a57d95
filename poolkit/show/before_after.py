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

    def table(self) -> Table:
        """Wait, p99 and errors, before and after; the pools by name."""
        before, after = self.before, self.after
        rows = [
            ("calls planned", units.rate(before.arrival_rate), units.rate(after.arrival_rate)),
            ("served", units.rate(before.throughput), units.rate(after.throughput)),
            ("errors", units.share(before.error_share, 1), units.share(after.error_share, 1)),
            ("p50 response", *_times(before.response_p50, after.response_p50)),
            ("p99 response", *_times(before.response_p99, after.response_p99)),
        ]
        later = {pool.pool: pool for pool in after.pools}
        for was in before.pools:
            now = later.get(was.pool)
            if now is not None:
                rows += _rows(was, now)
        return Table(
            f"{before.path} before and after the recommended parameters",
            ("", before.label, after.label),
            tuple(rows),
            frozenset({1, 2}),
        )


def _rows(was: PoolSeen, now: PoolSeen) -> list[tuple[str, str, str]]:
    name = was.pool
    return [
        (f"{name}: size", units.number(was.pool_size), units.number(now.pool_size)),
        (f"{name}: mean wait", *_times(was.wait_time, now.wait_time)),
        (f"{name}: p99 wait", *_times(was.wait_p99, now.wait_p99)),
        (f"{name}: hold", *_times(was.hold_time, now.hold_time)),
        (f"{name}: turned away", str(was.turned_away), str(now.turned_away)),
    ]


def _times(before: float | None, after: float | None) -> tuple[str, str]:
    return units.milliseconds(before), units.milliseconds(after)
