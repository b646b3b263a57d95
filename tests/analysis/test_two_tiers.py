"""Client pools and the pooler behind them, sized together."""

from __future__ import annotations

import heapq
import math

import numpy as np
import pytest

from poolkit.analysis.server_side import TierSample, tier
from poolkit.analysis.two_tiers import erlang_c, raised, two_tiers
from poolkit.records import PoolerSettings, ServerSide, Trial
from poolkit.targets.objective import Objective
from tests.analysis.synthetic import drawn_trial

HOLD, RATE = 0.020, 400.0


def served(settings: PoolerSettings, *, waiting: int = 0, rate: float = RATE) -> Trial:
    """An open loop that keeps rate * 20 ms connections to the server busy."""
    busy = round(rate * HOLD)
    samples = [TierSample(0.2 * n, busy, waiting, busy, 2, 0.0) for n in range(20)]
    seen = ServerSide(pooler=tier(samples, 0.0, 4.0, settings))
    held = HOLD + waiting / rate
    return drawn_trial(16, rate, hold=held, server_side=seen)


def asked(**changes: object) -> Objective:
    return Objective.model_validate({"target_rate": RATE, "wait_p99": 0.010} | changes)


def late(servers: int, busy: float, limit: float) -> float:
    """The share of a simulated M/M/k's calls that wait longer than `limit` s."""
    rng = np.random.default_rng(7)
    n = 200_000
    arrivals = np.cumsum(rng.exponential(HOLD / busy, n))
    times = rng.exponential(HOLD, n)
    free = [0.0] * servers
    waits = np.empty(n)

    for index in range(n):
        begin = max(arrivals[index], free[0])
        waits[index] = begin - arrivals[index]
        heapq.heapreplace(free, begin + times[index])
    return float((waits > limit).mean())


def test_erlang_c_against_a_simulated_queue() -> None:
    """The share that waits at all, within the simulation's error; closed forms at 1 and 2."""
    assert erlang_c(1, 0.7) == pytest.approx(0.7)
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)
    assert late(10, 8.0, 0.0) == pytest.approx(erlang_c(10, 8.0), abs=0.02)


def test_the_pooler_needs_what_is_busy_and_room_for_chance() -> None:
    """The smallest number that keeps the pooler's half of the late calls, by simulation too."""
    found = two_tiers(served(PoolerSettings(mode="transaction", pool_size=20)), asked(), 16)
    assert found is not None
    assert late(found.servers, RATE * HOLD, 0.010) <= 0.005 * 1.2
    assert late(found.servers - 1, RATE * HOLD, 0.010) > 0.005
    assert "8 connections to the server are busy on average at 400 calls/s" in found.because
    assert f"it is 20, {'more' if found.servers < 20 else 'fewer'} than that" in found.because


def test_clients_that_wait_in_the_pooler_are_not_busy_at_the_server() -> None:
    """The hold time holds their wait, the tier below does not."""
    plain = two_tiers(served(PoolerSettings(pool_size=8)), asked(), 16)
    waiting = two_tiers(served(PoolerSettings(pool_size=8), waiting=6), asked(), 16)
    assert plain is not None
    assert waiting is not None
    assert waiting.servers == plain.servers


def test_growth_and_a_longer_wait() -> None:
    """More calls need more, patience needs less; without a wait asked the time itself decides."""
    settings = PoolerSettings(pool_size=20)
    sizes = []
    for changes in ({"growth": 1.5}, {}, {"wait_p99": 0.100}):
        found = two_tiers(served(settings), asked(**changes), 16)
        assert found is not None
        sizes.append(found.servers)
    assert sizes[0] > sizes[1] > sizes[2] > RATE * HOLD
    alone = two_tiers(served(settings), asked(wait_p99=None), 16)
    assert alone is not None
    assert "no more than 2 % of a call's time" in alone.because


def test_all_pools_count_as_clients_and_all_pairs_at_the_server() -> None:
    """Replicas that roll, 20 % for others; the reserve of each database and user."""
    settings = PoolerSettings(pool_size=20, reserve_pool_size=5, max_client_conn=100, pools=3)
    fleet = {"replicas": 4, "surge": 1, "max_connections": 100, "reserved_connections": 3}
    found = two_tiers(served(settings), asked(max_size=97, **fleet), 16)
    assert found is not None
    assert found.clients == math.ceil(1.2 * 5 * 16)
    assert found.of_server == 3 * (found.servers + 5)
    assert found.misfit == ""
    tight = two_tiers(served(settings), asked(max_size=47, **fleet | {"max_connections": 50}), 9)
    assert tight is not None
    assert f"{tight.of_server} connections of 3 pairs" in tight.misfit


def test_a_session_keeps_its_connection() -> None:
    """Each client needs one to the server."""
    settings = PoolerSettings(mode="session", pool_size=20)
    found = two_tiers(served(settings), asked(replicas=2), 16)
    assert found is not None
    assert found.servers == 32
    assert "fewer than that" in found.because


def test_without_a_look_at_the_pooler_nothing_is_said() -> None:
    assert two_tiers(drawn_trial(4, 100.0), asked(), 4) is None
    assert raised([drawn_trial(4, 100.0)], asked()) == ""


def test_what_a_pooler_that_is_the_bound_would_have_to_lend() -> None:
    """From the time that a call keeps a connection to the server, not from that of the client."""
    held = served(PoolerSettings(pool_size=4), waiting=12, rate=200.0)
    needed = two_tiers(served(PoolerSettings()), asked(), 16)
    assert needed is not None
    assert f"about {needed.servers} connections to the server" in raised([held], asked())
