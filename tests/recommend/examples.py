"""Small whole records that the tests start from."""

from __future__ import annotations

from typing import Any

from poolkit.records import (
    Check,
    CurvePoint,
    Distribution,
    Knee,
    Plateau,
    RuleOfThumb,
    Signal,
    Sizing,
    Trial,
    Verdict,
    Verification,
)
from poolkit.targets import Target


def asked(changes: dict[str, Any]) -> dict[str, Any]:
    """A wait of 10 ms, where the case does not say what is asked of the times."""
    return {} if changes.keys() & {"wait_p99", "response_p99"} else {"wait_p99": 0.010}


def http_target(**changes: Any) -> Target:
    settings: dict[str, Any] = {
        "name": "orders-api",
        "driver": "aiohttp",
        "url": "http://127.0.0.1:8080/orders",
        "target_rate": 500.0,
    } | asked(changes)
    return Target(**(settings | changes))


def database_target(**changes: Any) -> Target:
    settings: dict[str, Any] = {
        "name": "orders-db",
        "driver": "asyncpg",
        "dsn_env": "ORDERS_DSN",
        "statements": ("select 1",),
        "target_rate": 800.0,
        "max_size": 32,
    } | asked(changes)
    return Target(**(settings | changes))


def redis_target(**changes: Any) -> Target:
    settings: dict[str, Any] = {
        "name": "sessions",
        "driver": "redis",
        "dsn_env": "SESSIONS_DSN",
        "statements": ("GET session:1",),
        "target_rate": 800.0,
    } | asked(changes)
    return Target(**(settings | changes))


def times(mean: float, p99: float, longest: float | None = None) -> Distribution:
    return Distribution(
        count=4000,
        mean=mean,
        p50=mean,
        p95=p99,
        p99=p99,
        longest=longest or p99 * 2,
        buckets={690: 3990, 1080: 10},
    )


def check(name: str = "client_bound", *, passed: bool = True, seen: str = "fine") -> Check:
    return Check(name=name, passed=passed, seen=seen, why="because", next="do this")


def trial(**changes: Any) -> Trial:
    """A closed-loop trial at 14 connections."""
    settings: dict[str, Any] = {
        "target": "orders-api",
        "driver": "aiohttp",
        "fingerprint": "f1",
        "purpose": "ramp",
        "loop": "closed",
        "pool_size": 14,
        "callers": 14,
        "seed": 1,
        "started": "2026-11-21T00:00:00Z",
        "warm_up": 0.25,
        "window": 1.2,
        "outcomes": {"ok": 900},
        "throughput": 750.0,
        "response_time": times(0.018, 0.050),
        "wait_time": times(0.0, 0.001),
        "hold_time": times(0.018, 0.050),
        "lag": Distribution(count=0),
        "concurrency": 13.9,
        "utilisation": 0.99,
        "connections_opened": 0,
        "disconnects": 0,
        "reuse_ratio": 1.0,
        "cpu_share": 0.2,
        "checks": (check(seen="0.20 of a core"),),
    }
    return Trial(**(settings | changes))


def verifying_trial(**changes: Any) -> Trial:
    """An open-loop trial at 14 connections and 500 calls/s, behind the gate."""
    settings: dict[str, Any] = {
        "purpose": "verify",
        "loop": "open",
        "callers": None,
        "gate": 14,
        "arrival_rate": 500.0,
        "throughput": 499.1,
        "window": 8.0,
        "outcomes": {"ok": 4000},
        "wait_time": times(0.0004, 0.0061, 0.021),
        "hold_time": times(0.0164, 0.041, 0.090),
        "connections_opened": 2,
        "reuse_ratio": 0.998,
    }
    return trial(**(settings | changes))


def sizing(**changes: Any) -> Sizing:
    settings: dict[str, Any] = {
        "target": "orders-api",
        "verdict": Verdict(name="server_bound", evidence="the plateau is flat from 16 to 32"),
        "points": (
            CurvePoint(
                pool_size=1, throughput=61.0, interval95=(60.0, 62.0), hold_time=0.0164, repeats=2
            ),
            CurvePoint(
                pool_size=16, throughput=780.0, interval95=None, hold_time=0.0205, repeats=1
            ),
        ),
        "knees": (
            Knee(rule="littles_law", size=12.9, interval95=(12.1, 13.6), note="where they meet"),
            Knee(rule="usl_peak", size=None, interval95=None),
        ),
        "plateau": Plateau(throughput=785.0, interval95=(770.0, 800.0)),
        "size": 14,
        "because": "the smallest pool whose p99 wait stays within 10 ms at 500 calls/s.",
        "limited_by": "wait",
        "rate_per_pool": 500.0,
        "hold_at_one": 0.0164,
        "rules_of_thumb": (
            RuleOfThumb(name="littles_law_x1.3", size=11, fails="hold time doubles by 14"),
        ),
    }
    return Sizing(**(settings | changes))


def verification(**changes: Any) -> Verification:
    settings: dict[str, Any] = {
        "achieved_rate": 499.1,
        "wait_p99": 0.0061,
        "reuse_ratio": 0.998,
        "disconnects": 0,
        "signals": (
            Signal(name="wait_near_zero", passed=True, seen="p99 6.1 ms"),
            Signal(name="graceful_plateau", passed=True, seen="offered 600, carried 598"),
            Signal(name="no_disconnects", passed=True, seen="0 calls"),
            Signal(name="reuse_above_0.9", passed=True, seen="99.8 %"),
        ),
    }
    return Verification(**(settings | changes))
