"""What the lesson on a database's budget shows: its data frames, and its closing cell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from poolkit.analysis.server_side import WAITS
from poolkit.analysis.two_tiers import TwoTiers, two_tiers
from poolkit.analysis.what_if import Answer
from poolkit.panels.story import Findings
from poolkit.records import ColdAdvice, Sizing, Trial
from poolkit.report.page import Part
from poolkit.show import frames, words
from poolkit.units import NONE, milliseconds, number, plural, rate
from poolkit.workbook import claims
from poolkit.workbook.budget import BehindPooler
from poolkit.workbook.claims import Claim
from poolkit.workbook.fleet import Fleet

# Fields of an answer, and what they are called in a table.
_NEEDS = {
    "pools": "pools",
    "pools_left": "up in the case that decides",
    "rate_per_pool": "calls/s each",
    "size": "needed in one pool",
    "wait_p99": "wait p99 (ms)",
    "utilisation": "busy (%)",
}


def needs(answers: Mapping[str, Answer], room: int) -> pd.DataFrame:
    """A row a case: what one pool needs there, and whether all of them fit into `room`."""
    rows = [[getattr(answer, column) for column in _NEEDS] for answer in answers.values()]
    found = pd.DataFrame(rows, index=list(answers), columns=list(_NEEDS)).rename_axis("case")
    found["of all pools"] = (found["size"] * found.pools).astype(float)
    found["fits"] = found["of all pools"] <= room
    found[["wait_p99", "utilisation"]] *= [1000, 100]
    found.loc[found["size"].isna(), ["wait_p99", "utilisation"]] = None  # of no size: no figures
    return found.rename(columns=_NEEDS)


def waits_by_replica(trials: Sequence[Trial]) -> pd.DataFrame:
    """p99 waits (ms): a row for each replica (or process that has several), a column a trial."""
    seen = frames.generators(trials)
    waits = 1000 * seen.pivot(index="name", columns="trial", values="wait_p99")
    waits.index = waits.index.str.replace("generator", "replica").rename("")
    names = ("all up", "one lost")
    return waits.rename(columns=dict(enumerate(names))).rename_axis(columns=None)


def tiers(pooler: BehindPooler, found: Findings, fleet: Fleet) -> TwoTiers | None:
    """What the pooler needs by its own figures; None where they were out of reach."""
    asked = found.objective.but(
        replicas=fleet.replicas,
        workers=fleet.workers,
        max_connections=fleet.max_connections,
        reserved_connections=fleet.reserved,
        used_connections=fleet.in_use,
    )
    return two_tiers(pooler.trial, asked, pooler.trial.pool_size)


def set_up(
    settings: Mapping[str, int], pooler: BehindPooler, needed: TwoTiers | None
) -> pd.DataFrame:
    """A row a setting: as computed from the curve, most that was used, and needed by what was seen.

    Args:
        settings: default_pool_size, reserve_pool_size and max_client_conn.
        needed: by the figures of the pooler itself.
    """
    lent, size = pooler.tier.servers_most, pooler.tier.settings.pool_size or 0
    used = [min(lent, size), max(0, lent - size), pooler.trial.connections]
    by_its_figures = [None] * 3 if needed is None else [needed.servers, None, needed.clients]
    names = ["default_pool_size", "reserve_pool_size", "max_client_conn"]
    columns = {
        "computed from the curve": [settings[name] for name in names],
        "used at most": used if pooler.tier.samples else [None] * 3,
        "needed by what it showed": by_its_figures,
    }
    return pd.DataFrame(columns, index=names, dtype=float).rename_axis("parameter")


def hop(direct: Trial, pooler: BehindPooler) -> pd.DataFrame:
    """The same fleet directly and through the pooler: connections to the server, and times."""
    trials, tier, nan = [direct, pooler.trial], pooler.tier, math.nan
    at_server, waiting, longest = (
        (tier.servers_most, tier.clients_waiting, 1000 * tier.longest_wait)
        if tier.samples
        else (nan, nan, nan)
    )
    seen = frames.trials(trials).set_axis(["directly", "through PgBouncer"]).rename_axis("calls go")
    shown = pd.DataFrame({"connections to the server": [direct.connections, at_server]})
    shown = shown.set_axis(seen.index)
    for part in ("response_p50", "response_p99", "wait_p99"):
        shown[f"{part.replace('_', ' ')} (ms)"] = 1000 * seen[part]
    shown["clients that wait in the pooler"] = [nan, waiting]
    shown["longest wait there (ms)"] = [nan, longest]
    return shown


def too_few(pooler: BehindPooler, found: Findings) -> pd.DataFrame:
    """Calls/s by connections of the client: directly, and behind the pooler that lends too few."""
    curves = {
        "directly": found.sizing.points,
        "behind the pooler": pooler.lent_too_few.points,
    }
    rows = {
        name: {point.pool_size: point.throughput for point in points}
        for name, points in curves.items()
    }
    return pd.DataFrame(rows, dtype=float).sort_index().rename_axis("connections")


def asked_by(needed: TwoTiers | None) -> str:
    """Why the pooler needs what it needs, as a sentence."""
    if needed is None:
        return "The pooler's own figures were out of reach."
    said = f"By its own figures {needed.because}"
    return f"{said}; {needed.misfit}." if needed.misfit else f"{said}."


def too_few_finding(pooler: BehindPooler) -> str:
    """The title of the curve behind the pooler that lends too few."""
    small = pooler.lent_too_few
    if small.verdict.name != "pooler_bound" or small.plateau is None:
        return "Whether the pooler holds up what the database could do was not seen here"
    return (
        "Behind a pooler that lends too few no pool size brings more than "
        f"{rate(small.plateau.throughput)}"
    )


def bound(small: Sizing) -> str:
    """The verdict on that curve with its evidence, and what would raise it, in sentences."""
    said = f"Verdict {small.verdict.name}. {words.bound(small.verdict)}."
    return f"{said} It takes {small.raised_by}." if small.raised_by else said


def closing(
    one: Answer,
    plan: Answer,
    fleet: Fleet,
    *,
    replicas: Sequence[Trial],
    cold: ColdAdvice,
    split: Sequence[Trial],
    hosts: Sequence[Trial],
    pooler: BehindPooler,
) -> Part:
    """The closing cell of `05_database_budget`.

    Args:
        one: what a single pool for the whole rate needs.
        plan: what each pool of the fleet needs.
        replicas: the whole rate on all of them first, and with one lost last.
        cold: how they should begin.
        split: the same total and rate, without overflow first and with most of it last.
        hosts: a session for two hosts, behind one gate first and with a limit for each last.
        pooler: what came of trying one.
    """
    kept, dialled = split[0], split[-1]
    dials = Claim(
        "at one total, overflow buys dials",
        dialled.connections_opened > kept.connections_opened,
        f"{dialled.connections_opened} dials with overflow, {kept.connections_opened} without",
    )
    gated, limited = (trial.wait_time.p50 or 0.0 for trial in (hosts[0], hosts[-1]))
    hosts_apart = Claim(
        "behind one gate a slow host keeps the other's callers waiting",
        gated > 10 * limited,
        f"half wait {milliseconds(gated)} or more, with a limit for each {milliseconds(limited)}",
    )
    sums = _sums(one, plan, fleet)
    fleet_claims = [_lost(replicas, plan.objective.wait_p99), _first_callers(cold)]
    return claims.closing([*sums, *fleet_claims, dials, hosts_apart, *_of_pooler(pooler)])


def _sums(one: Answer, plan: Answer, fleet: Fleet) -> tuple[Claim, Claim]:
    asked = "what is divided over pools needs more connections than one pool for all"
    fits, size = "the sum fits while a version is rolled out", plan.size
    if size is None:
        return (
            Claim(asked, None, f"no size for this fleet: {plan.because}"),
            Claim(fits, None, "no size for this fleet"),
        )
    whole, rolling = size * plan.pools, size * (fleet.replicas + 1) * fleet.workers
    alone = NONE if one.size is None else str(one.size)
    seen = f"{whole} in {plural(plan.pools, 'pool')}, {alone} in one"
    return (
        Claim(asked, None if one.size is None else whole >= one.size, seen),
        Claim(fits, rolling <= fleet.room, f"{rolling} of {fleet.room} connections needed"),
    )


def _lost(replicas: Sequence[Trial], limit: float | None) -> Claim:
    says, longest = "with one replica lost no other keeps its callers waiting", None
    if len(replicas) > 1:
        longest = max((g.wait_p99 or 0.0 for g in replicas[-1].generators), default=None)
    if longest is None or limit is None:
        return Claim(says, None, "there is one replica, or no wait is asked")
    seen = f"p99 {milliseconds(longest)} at most, {milliseconds(limit)} allowed"
    return Claim(says, longest <= limit, seen)


def _first_callers(cold: ColdAdvice) -> Claim:
    says = "connections dialled before the first call spare the first callers the wait"
    lazy = [s.wait_p99 for s in cold.starts if not s.min_size and not s.is_warm]
    warm = [s.wait_p99 for s in cold.starts if s.is_warm]
    if not (lazy and warm):
        return Claim(says, None, cold.because)
    least = min(math.inf if wait is None else wait for wait in warm)
    return Claim(says, lazy[-1] is None or least < lazy[-1], cold.because)


def _of_pooler(pooler: BehindPooler) -> tuple[Claim, Claim]:
    fleet, held = pooler.trial.connections, pooler.tier
    fewer = "a pooler serves the fleet with fewer connections than it holds"
    said = (
        f"{held.servers_most} to the server for {fleet} of the fleet; "
        f"{number(held.clients_waiting)} clients wait on average"
    )
    is_enough = held.servers_most < fleet and held.waiting_share < WAITS
    verdict = pooler.lent_too_few.verdict
    return (
        Claim(fewer, is_enough if held.samples else None, said),
        Claim(
            "a pooler that lends too few holds up what the server could do",
            verdict.name == "pooler_bound",
            verdict.evidence,
        ),
    )
