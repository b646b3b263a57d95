"""Client pools and the pooler behind them, sized together against what the server accepts.

Calls wait first for a connection of their own pool, then in the pooler for one to the server. All
pools share the second, so it needs far fewer than they have together: as many as are busy on
average, and room for chance (Erlang 1917; here with exponential times: M/M/k).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from poolkit import units
from poolkit.records import PoolerTier, Trial
from poolkit.targets.objective import Objective

# Of the calls that may be late, the share that the pooler may make so: the pools have the other.
PART = 0.5
SOON = 0.02  # mean wait in the pooler over mean hold, where no wait is asked
OTHERS = 1.2  # clients of the pooler, for each of ours: those that look after it, deploys
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class TwoTiers:
    """Connections of both tiers; `because` tells why, `misfit` what does not fit, if anything.

    Attributes:
        servers: connections to the server for this database and user (default_pool_size).
        clients: connections that the pooler must accept from clients (max_client_conn).
        of_server: connections of the server that every database and user may take, reserve
            included.
    """

    servers: int
    clients: int
    of_server: int
    because: str
    clients_because: str
    misfit: str = ""


def two_tiers(trial: Trial, objective: Objective, size: int) -> TwoTiers | None:
    """What the pooler needs where each client pool has `size` connections (1 or more).

    Args:
        trial: an open loop at the target rate through the pooler; None where it did not see it.
    """
    tier = trial.pooler_tier
    if tier is None or not trial.throughput or not trial.mean_hold:
        return None
    settings, pools = tier.settings, objective.pools_rolling
    if settings.mode == "session":
        servers = pools * size
        because = (
            f"in session mode each of {pools} x {size} connections of the clients keeps one to the "
            "server for as long as it lives, and those beyond wait without end"
        )
    else:
        servers, because = _shared(trial, tier, objective)
    taken = (settings.pools or 1) * (servers + (settings.reserve_pool_size or 0))
    clients = math.ceil(OTHERS * pools * size - 1e-9)
    now = _now(settings.pool_size, servers)
    clients_because = (
        f"{units.plural(pools, 'pool')} of {size}"
        f"{', while a deploy rolls' if objective.surge else ''}, and 20 % for others"
        f"{_now(settings.max_client_conn, clients)}"
    )
    misfit = ""
    if objective.budget is not None and taken > objective.budget:
        misfit = (
            f"{taken} connections of {units.plural(settings.pools or 1, 'pair')} of database and "
            f"user, reserve_pool_size included, are more than the {objective.budget} that "
            "max_connections leaves: fewer pairs, or max_db_connections"
        )
    return TwoTiers(servers, clients, taken, because + now, clients_because, misfit)


def raised(trials: Sequence[Trial], objective: Objective) -> str:
    """What the pooler would have to lend for the rate, from trials that it held up; else empty."""
    seen = [(t, t.pooler_tier) for t in trials if t.throughput and t.mean_hold]
    held = [(t, tier) for t, tier in seen if tier is not None and tier.clients_waiting]
    if not held:
        return ""
    trial, tier = max(held, key=lambda one: one[0].throughput)
    servers, because = _shared(trial, tier, objective)
    return (
        f"a pooler that lends about {servers} connections to the server (PgBouncer: "
        f"default_pool_size), now {tier.servers_most}, if each is as fast then: {because}"
    )


def _shared(trial: Trial, tier: PoolerTier, objective: Objective) -> tuple[int, str]:
    """Connections to the server that all clients share for a transaction each, and why.

    Busy on average are those of the clients that hold a connection and do not wait in the pooler
    (Little's Law); what the client spends between its statements counts as well, so this is the
    upper bound. Growth scales it.
    """
    scale = objective.rate / trial.throughput
    in_use = trial.throughput * trial.mean_hold
    busy = max(tier.servers_active, in_use - tier.clients_waiting) * scale
    hold = busy / objective.rate
    servers = 1 + int(busy)
    while servers < _MOST and not _is_enough(servers, busy, hold, objective):
        servers += 1
    asked = objective.wait_p99
    met = (
        f"no more than {units.share(SOON)} of a call's time is a wait for one"
        if asked is None
        else f"{units.share(PART * objective.allowance, 1)} of the calls wait there longer than "
        f"{units.milliseconds(asked)}, the other half of those that may being left to the pools"
    )
    return servers, (
        f"{units.number(busy)} connections to the server are busy on average at "
        f"{units.rate(objective.rate)}; with {servers} of them {met} (Erlang C)"
    )


def _is_enough(servers: int, busy: float, hold: float, objective: Objective) -> bool:
    free = servers - busy
    waits = erlang_c(servers, busy)
    if objective.wait_p99 is None:
        return waits * hold / free <= SOON * hold
    late = waits * math.exp(-free * objective.wait_p99 / hold)
    return late <= PART * objective.allowance


def erlang_c(servers: int, busy: float) -> float:
    """P(a call waits) with Poisson arrivals, exponential times and 0 < `busy` < `servers`.

    Erlang's B by its recursion B(k) = a B(k-1) / (k + a B(k-1)), then C = k B / (k - a (1 - B))
    (Cooper 1981, "Introduction to Queueing Theory").
    """
    blocked = 1.0
    for k in range(1, servers + 1):
        blocked = busy * blocked / (k + busy * blocked)
    return servers * blocked / (servers - busy * (1.0 - blocked))


def _now(set_to: int | None, needed: int) -> str:
    """What a setting is, against what is needed."""
    if set_to is None or set_to == needed:
        return "" if set_to is None else "; so it is set"
    return f"; it is {set_to}, {'more' if set_to > needed else 'fewer'} than that"
