"""What was seen of a pooler and of the server's own sessions, and what that says of the bound."""

from __future__ import annotations

from typing import Any

import pytest

from poolkit.analysis.curve import points
from poolkit.analysis.server_side import TierSample, WaitSample, bound_by, tier, waits
from poolkit.analysis.verdict import judge
from poolkit.records import PoolerSettings, ServerSide, Sweep, Trial, Verdict
from tests.analysis.synthetic import drawn_trial, workers_curve

SIZES = (1, 2, 4, 8, 16, 32)
SETTINGS = PoolerSettings(mode="transaction", pool_size=8, reserve_pool_size=2)


def side(*, clients: int = 0, servers: int = 0, **sessions: Any) -> ServerSide:
    """What was seen of a pooler that lends 8, and of sessions by what they waited for."""
    samples = [
        TierSample(0.2 * n, min(clients, servers), max(0, clients - servers), servers, 0, 0.01)
        for n in range(20)
    ]
    looks = [
        WaitSample(0.2 * n, sessions.get("events", {}), sessions.get("locks", {}))
        for n in range(20)
    ]
    return ServerSide(
        pooler=tier(samples, 0.0, 4.0, SETTINGS) if clients else None,
        waits=waits(looks, 0.0, 4.0) if sessions else None,
    )


def behind(curve: Any, lends: int = 8) -> list[Trial]:
    """Closed loops through a pooler that lends so many connections to a server of this curve."""
    return [
        drawn_trial(n, curve(min(n, lends)), server_side=side(clients=n, servers=min(n, lends)))
        for n in SIZES
    ]


def verdict(trials: list[Trial]) -> Verdict:
    return judge(Sweep(target="t", trials=tuple(trials)), points(trials))


def test_clients_that_wait_in_the_pooler_before_a_server_with_room() -> None:
    """Throughput grows with every connection to the server until the pooler lends no more."""
    found = verdict(behind(workers_curve(64, 0.02)))
    assert found.name == "pooler_bound"
    assert "on average 24 of the clients wait in the pooler" in found.evidence
    assert "default_pool_size = 8" in found.evidence
    assert "from 4 to 8 connections it went from" in found.evidence


@pytest.mark.parametrize("workers", [2, 4])
def test_clients_that_wait_in_the_pooler_before_a_full_server(workers: int) -> None:
    """More connections to such a server bring nothing: it is the bound, and the pooler is told."""
    found = verdict(behind(workers_curve(workers, 0.02)))
    assert found.name == "server_bound"
    assert "more of them would bring little" in found.evidence


def test_a_pooler_where_nobody_waits_is_not_the_bound() -> None:
    """A server of 4 behind a pooler of 64."""
    found = verdict(behind(workers_curve(4, 0.02), lends=64))
    assert found.name == "server_bound"
    assert "pooler" not in found.evidence


def test_one_connection_to_the_server_is_a_bound_of_the_pooler() -> None:
    """One call at a time reaches it, whatever it could do."""
    found = verdict(behind(workers_curve(64, 0.02), lends=1))
    assert found.name == "pooler_bound"
    assert "one call at a time" in found.evidence


@pytest.mark.parametrize(
    ("lent", "settings", "words"),
    [
        (8, PoolerSettings(pool_size=8), "(default_pool_size = 8)"),
        (10, SETTINGS, "(default_pool_size = 8, 2 of reserve_pool_size)"),
        (6, PoolerSettings(pool_size=8, max_db_connections=6), "(max_db_connections = 6)"),
        (5, PoolerSettings(pool_size=8), "5 connections to the server are lent; up"),
        (5, PoolerSettings(), "5 connections to the server are lent; up"),
    ],
)
def test_the_setting_that_limits_the_pooler_is_named(
    lent: int, settings: PoolerSettings, words: str
) -> None:
    """Only where the figures agree with it."""
    trials = behind(workers_curve(64, 0.02), lends=lent)
    for index, trial in enumerate(trials):
        seen = trial.server_side
        assert seen is not None
        assert seen.pooler is not None
        pooler = seen.pooler.model_copy(update={"settings": settings})
        changed = {"server_side": seen.model_copy(update={"pooler": pooler})}
        trials[index] = trial.model_copy(update=changed)
    assert words in verdict(trials).evidence


@pytest.mark.parametrize(
    ("events", "locks", "by"),
    [
        (
            {"Lock:transactionid": 10, "Lock:tuple": 4, "Timeout:PgSleep": 1},
            {"accounts": 14},
            "row locks on accounts",
        ),
        ({"Lock:transactionid": 9, "CPU": 1}, {"a": 5, "b": 4}, "row locks on a and b"),
        ({"Lock:transactionid": 9, "CPU": 1}, {"a": 8, "b": 1}, "row locks on a"),
        ({"Lock:transactionid": 9, "CPU": 1}, {}, "row locks"),
        ({"Lock:relation": 7, "CPU": 1}, {"orders": 7}, "table locks on orders"),
        ({"Lock:advisory": 7}, {}, "advisory locks"),
        ({"CPU": 9, "Lock:transactionid": 3}, {"accounts": 3}, "its processors"),
        ({"IO:WALSync": 4, "LWLock:WALWrite": 8, "CPU": 2}, {}, "writing its log (WAL)"),
        ({"IO:DataFileRead": 8, "CPU": 2}, {}, "reading its data files"),
        ({"LWLock:BufferMapping": 8}, {}, "contention inside the server (BufferMapping)"),
        ({"CPU": 4, "Lock:transactionid": 4, "IO:DataFileRead": 4}, {"a": 4}, None),  # none rules
        ({}, {}, None),  # its sessions idle: whatever holds calls up, it is not there
    ],
)
def test_what_the_busy_sessions_wait_for_names_the_bound(
    events: dict[str, int], locks: dict[str, int], by: str | None
) -> None:
    """More than half of their time goes there, and the figures are told."""
    seen = side(events=events, locks=locks)
    trials = [
        drawn_trial(n, workers_curve(4, 0.02)(n), server_side=seen if n >= 4 else None)
        for n in SIZES
    ]
    found = verdict(trials)
    assert found.name == "server_bound"
    assert found.by == by
    if by is not None:
        assert by.partition(" on ")[0] in found.evidence


def test_below_its_limit_a_server_says_nothing_of_its_bound() -> None:
    """Sessions at one connection wait for other things than those on the plateau."""
    few, many = (side(events=one) for one in ({"CPU": 1}, {"Lock:advisory": 15, "CPU": 1}))
    trials = [
        drawn_trial(n, workers_curve(4, 0.02)(n), server_side=few if n < 4 else many) for n in SIZES
    ]
    assert verdict(trials).by == "advisory locks"


def test_a_handful_of_samples_names_nothing() -> None:
    """Two looks at a trial are no evidence."""
    looks = [WaitSample(0.2 * n, {"CPU": 8}, {}) for n in range(2)]
    seen = ServerSide(waits=waits(looks, 0.0, 1.0))
    assert bound_by([drawn_trial(8, 100.0, server_side=seen)]) is None


def test_only_the_window_counts() -> None:
    """Samples of the warm-up and of the drain after it are left out, edges at the front in."""
    samples = [TierSample(at, 1, 0 if at < 1 else 4, 1, 1, at) for at in (0.5, 1.0, 1.95, 2.0)]
    found = tier(samples, 1.0, 2.0, SETTINGS)
    assert found is not None
    assert (found.samples, found.clients_waiting, found.waiting_share) == (2, 4.0, 1.0)
    assert found.longest_wait == 1.95
    assert found.servers_most == 2
    assert [round(one.at, 2) for one in found.moments] == [1.05, 1.95]
    assert tier(samples, 3.0, 4.0, SETTINGS) is None
    assert waits([WaitSample(0.5, {"CPU": 1}, {})], 1.0, 2.0) is None
