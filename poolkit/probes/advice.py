"""From what was found to the driver's parameters, each with its reason; pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from poolkit import units
from poolkit.probes.records import AgeLimit, Costs, Doubt, IdleLimit, Proof, StaleCount, UseLimit
from poolkit.probes.settings import DEFAULT_KEEP, KEEP, PINGS, Way
from poolkit.records import Parameter

# A timer that is late, a reply on its way: what must fit between our close and the server's.
MARGIN = 1.0  # s
MARGIN_SHARE = 0.1
# Times the server's timeout: what the proof holds against the recommended value. pool_recycle
# counts from the dial, so it has to be longer than the whole run.
TOO_LONG = 10.0


def below(seconds: float) -> float:
    """A value safely below an end after `seconds` s: 1 s or 10 % less, at least half of it."""
    seconds = float(f"{seconds:.2g}")  # 1.997 s measured are 2 s configured
    value = max(seconds / 2, min((1 - MARGIN_SHARE) * seconds, seconds - MARGIN))
    exponent = math.floor(math.log10(value)) - 1
    steps = math.floor(round(value / 10**exponent, 9))
    return float(round(steps * 10**exponent, 12))


def recommended_way(driver: str, limit: IdleLimit) -> Way | None:
    """What keeps a pool from meeting the server's close; None: nothing has to."""
    if limit.earliest is None:
        return None
    if driver == "psycopg":
        return Way(keep=None, ping=True)
    return Way(keep=below(limit.earliest))


def too_long_way(driver: str, limit: IdleLimit) -> Way | None:
    """A setting that outlives the server's patience, to show what then happens."""
    if limit.bounds is None:
        return None
    return Way() if driver == "psycopg" else Way(keep=TOO_LONG * limit.bounds[1])


def parameters(
    driver: str,
    limit: IdleLimit | None,
    age: AgeLimit | None,
    costs: Costs | None,
    proof: Proof | None,
    target_rate: float,
) -> tuple[Parameter, ...]:
    """The parameters that follow from the idle limit, the age limit and the costs."""
    rows = []
    pings = driver == "sqlalchemy" and is_ping_cheaper(limit, costs, target_rate)
    if limit is not None and limit.kind != "not_kept":
        rows.append(_recycled_late(limit) if pings else _keep(driver, limit, age, proof))
        if driver == "psycopg" and limit.earliest is not None:
            rows.append(_max_idle(limit.earliest))
        if driver == "asyncpg" and limit.earliest is not None:
            rows.append(_MIN_SIZE)
    if driver == "psycopg" and age is not None and age.seconds is not None:
        rows.append(_lifetime("max_lifetime", age.seconds))
    if driver == "sqlalchemy" and (limit is not None or costs is not None):
        rows.append(_pre_ping(limit, costs, target_rate))
    return tuple(rows)


def doubts(
    limits: Sequence[IdleLimit],
    uses: UseLimit | None,
    proof: Proof | None,
    stale: Sequence[StaleCount] = (),
) -> tuple[Doubt, ...]:
    """What a reader has to act on beyond setting the parameters."""
    found = []
    for limit in limits:
        if limit.kind == "random":
            found.append(
                Doubt(
                    seen=limit.seen,
                    next="no keep-alive value is safe: repeat calls that may be repeated "
                    "(poolkit.retry), or find out who closes the connections",
                )
            )
        if limit.kind == "not_kept":
            found.append(
                Doubt(
                    seen=limit.seen,
                    next="turn keep-alive on at the server (nginx: keepalive_timeout), or every "
                    "call pays for a dial",
                )
            )
        if limit.kind == "silent":
            found.append(
                Doubt(
                    seen=limit.seen,
                    next="something in between forgets connections: keep the value below, set a "
                    "read timeout, and TCP keep-alives shorter than that",
                )
            )
        if limit.session == "in_transaction" and limit.timeout is not None:
            found.append(
                Doubt(
                    seen=limit.seen,
                    next="keep every transaction shorter; wait for nothing else while one is open",
                )
            )
        if limit.session == "behind_pooler" and limit.timeout is not None:
            found.append(
                Doubt(
                    seen=limit.seen,
                    next="the first calls after a quiet time wait for the pooler's dials: set its "
                    "server_idle_timeout (or min_pool_size) higher where that hurts",
                )
            )
    if uses is not None and uses.requests is not None:
        found.append(
            Doubt(
                seen=uses.seen,
                next=f"at 1000 calls/s that is {units.number(1000 / max(1, uses.requests))} dials/s"
                "; raise the server's limit (nginx: keepalive_requests) where dials cost",
            )
        )
    if proof is not None and not proof.holds:
        found.append(Doubt(seen=proof.seen, next="run the probe again when the target is quiet"))
    return tuple(found)


def _keep(driver: str, limit: IdleLimit, age: AgeLimit | None, proof: Proof | None) -> Parameter:
    name = KEEP[driver]
    end = limit.earliest
    if end is None:
        return _kept(driver, name, limit)
    proven = f"; {proof.seen}" if proof is not None and proof.holds else ""
    if driver == "psycopg":
        because = (
            f"{limit.seen}; psycopg_pool looks at no age when it hands a connection out (max_idle "
            f"and max_lifetime do not help), so each checkout asks for a sign of life{proven}"
        )
        return Parameter(name=name, value=True, unit="", because=because, source="measured")
    if limit.kind == "random":
        because = f"{limit.seen}; below the earliest, which helps but does not cure{proven}"
    else:
        because = f"{limit.seen}; less than that, so that no call is on its way then{proven}"
    if driver == "sqlalchemy":
        because += "; it counts from the dial, so it replaces connections in use as well"
        if age is not None and age.seconds is not None:
            end = min(end, age.seconds)
    return Parameter(name=name, value=below(end), unit="s", because=because, source="measured")


def _kept(driver: str, name: str, limit: IdleLimit) -> Parameter:
    """The driver's own value, where no end was seen."""
    if driver == "psycopg":
        because = f"{limit.seen}: no checkout has to ask for a sign of life"
        return Parameter(name=name, value=False, unit="", because=because, source="measured")
    default = DEFAULT_KEEP[driver]
    if default < limit.longer_than:
        because = f"the usual value; {limit.seen}"
    else:
        because = (
            f"the usual value; {limit.seen}, which leaves open what comes before {default:g} s: "
            f"probe with --cap {default * 1.1:.0f} to know"
        )
    return Parameter(name=name, value=default, unit="s", because=because, source="library")


def _max_idle(earliest: float) -> Parameter:
    return Parameter(
        name="max_idle",
        value=below(earliest),
        unit="s",
        because=(
            "closes one unused connection beyond min_size each time it passes: a pool that was "
            "grown shrinks before the server ends its connections"
        ),
        source="measured",
    )


_MIN_SIZE = Parameter(
    name="min_size",
    value=0,
    unit="connections",
    because=(
        "asyncpg 0.32 leaves connections up to min_size alone, however long they idle: with "
        "min_size = max_size the server closes them first"
    ),
    source="library",
)


def _lifetime(name: str, age: float) -> Parameter:
    because = f"connections end at an age of {units.number(age)} s, in use or not; less than that"
    return Parameter(name=name, value=below(age), unit="s", because=because, source="measured")


def _pre_ping(limit: IdleLimit | None, costs: Costs | None, target_rate: float) -> Parameter:
    """Off where recycling is enough and cheaper."""
    name = PINGS["sqlalchemy"]
    is_random = limit is not None and limit.kind == "random"
    figures = _figures(limit, costs, target_rate)
    if is_random:
        because = "the server closes at random, so no age is safe: each checkout has to ask"
        return _switch(name, True, because + figures)
    if limit is not None and limit.kind == "silent":
        because = (
            "a dropped connection makes a ping wait as long as a call, so pool_recycle has to "
            "prevent it"
        )
        return _switch(name, False, because + figures)
    if is_ping_cheaper(limit, costs, target_rate):
        because = "asking each connection costs less here than replacing them before the timeout"
        return _switch(name, True, because + figures)
    because = "pool_recycle keeps clear of the server's timeout, and a restart costs errors once"
    return _switch(name, False, because + figures)


def is_ping_cheaper(limit: IdleLimit | None, costs: Costs | None, target_rate: float) -> bool:
    """Whether a ping in each call keeps fewer connections busy than recycling; False: not known.

    A ping is paid by every call: target_rate * ping. Recycling is a dial for each connection every
    `pool_recycle` s: pool_size / pool_recycle * dial. A silent drop makes every ping wait in vain.
    """
    busy = _busy(limit, costs, target_rate)
    if limit is None or not limit.is_steady or limit.kind == "silent" or busy is None:
        return False
    pinging, recycling = busy
    return pinging < recycling


def _recycled_late(limit: IdleLimit) -> Parameter:
    value = DEFAULT_KEEP["sqlalchemy"]
    because = f"{limit.seen}; pool_pre_ping replaces the dead ones, so this need not come first"
    return Parameter(name="pool_recycle", value=value, unit="s", because=because, source="measured")


def _busy(
    limit: IdleLimit | None, costs: Costs | None, target_rate: float
) -> tuple[float, float] | None:
    """Connections kept busy by pinging and by recycling, on average; None: not measured."""
    if costs is None:
        return None
    by_name = {cost.name: max(0.0, cost.seconds) for cost in costs.costs}
    ping, dial = by_name.get(PINGS["sqlalchemy"]), by_name.get("dial")
    if ping is None or dial is None:
        return None
    return target_rate * ping, costs.pool_size / _recycle(limit) * dial


def _recycle(limit: IdleLimit | None) -> float:
    end = limit.earliest if limit is not None else None
    return DEFAULT_KEEP["sqlalchemy"] if end is None else below(end)


def _figures(limit: IdleLimit | None, costs: Costs | None, target_rate: float) -> str:
    busy = _busy(limit, costs, target_rate)
    if busy is None:
        return ""
    return (
        f"; at {units.rate(target_rate)} pings keep {units.number(busy[0], 2)} connections busy, "
        f"recycling after {_recycle(limit):g} s keeps {units.number(busy[1], 2)}"
    )


def _switch(name: str, value: bool, because: str) -> Parameter:
    return Parameter(name=name, value=value, unit="", because=because, source="measured")
