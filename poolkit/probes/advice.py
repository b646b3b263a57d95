"""From what was found to the driver's parameters, each with its reason; pure."""

from __future__ import annotations

import math

from poolkit import units
from poolkit.probes.ladder import SHORTEST
from poolkit.probes.records import AgeLimit, Costs, IdleLimit, Proof
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


def is_keepable(end: float) -> bool:
    """Whether a value below an end after `end` s is worth setting at all."""
    return end > 0 and below(end) >= SHORTEST


def recommended_way(driver: str, limit: IdleLimit) -> Way | None:
    """What keeps a pool from meeting the server's close; None: nothing has to, or can."""
    if limit.earliest is None:
        return None
    if driver == "psycopg":
        return Way(keep=None, ping=True)
    return Way(keep=below(limit.earliest)) if is_keepable(limit.earliest) else None


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
    oldest = None if age is None else age.seconds
    rows = []
    if limit is not None and limit.kind != "not_kept":
        end = _end(limit, age)
        if driver == "psycopg":
            rows.append(_check(limit, age, proof))
            if limit.earliest is not None and is_keepable(limit.earliest):
                rows.append(_max_idle(limit.earliest))
        elif driver == "sqlalchemy" and is_ping_cheaper(limit, costs, target_rate, age):
            rows.append(_recycled_late(limit, age))
        elif end is None:
            rows.append(_kept(driver, limit))
        elif is_keepable(end):
            rows.append(_keep(driver, limit, age, proof))
        if driver == "asyncpg" and end is not None:
            rows.append(_MIN_SIZE)
    if driver == "psycopg" and oldest is not None:
        rows.append(_lifetime("max_lifetime", oldest))
    # Costs alone say what a ping takes, not whether any connection needs one.
    if driver == "sqlalchemy" and limit is not None:
        rows.append(_pre_ping(limit, age, costs, target_rate))
    return tuple(rows)


def _keep(driver: str, limit: IdleLimit, age: AgeLimit | None, proof: Proof | None) -> Parameter:
    """The value below whichever comes first: the silence or the age that ends a connection."""
    name, end = KEEP[driver], limit.earliest
    if age is not None and age.seconds is not None and (end is None or age.seconds < end):
        return _below_age(driver, age)
    assert end is not None
    proven = f"; {proof.seen}" if proof is not None and proof.holds else ""
    if limit.kind == "random":
        because = f"{limit.seen}; below the earliest, which helps but does not cure{proven}"
    else:
        because = f"{limit.seen}; less than that, so that no call is on its way then{proven}"
    if driver == "sqlalchemy":
        because += "; it counts from the dial, so it replaces connections in use as well"
    return Parameter(name=name, value=below(end), unit="s", because=because, source="measured")


def _below_age(driver: str, age: AgeLimit) -> Parameter:
    """SQLAlchemy counts from the dial, as the server does; the others only know idle times."""
    assert age.seconds is not None
    value = below(age.seconds)
    if driver == "sqlalchemy":
        because = f"{age.seen}; less than that: it counts from the dial, as the server does"
    else:
        value = min(DEFAULT_KEEP[driver], value)
        because = (
            f"{age.seen}; at least no idle one is kept that long, but {driver} has no setting for "
            "the age of those in use"
        )
    return Parameter(name=KEEP[driver], value=value, unit="s", because=because, source="measured")


def _check(limit: IdleLimit, age: AgeLimit | None, proof: Proof | None) -> Parameter:
    """psycopg asks before it hands out, where anything was seen to end a connection."""
    by_age = age is not None and age.seconds is not None
    if limit.earliest is None and not by_age:
        because = f"{limit.seen}: no checkout has to ask for a sign of life"
        return _switch(KEEP["psycopg"], False, because)
    proven = f"; {proof.seen}" if proof is not None and proof.holds else ""
    because = (
        f"{limit.seen}; psycopg_pool looks at no age when it hands a connection out (max_idle "
        f"and max_lifetime do not help), so each checkout asks for a sign of life{proven}"
    )
    return _switch(KEEP["psycopg"], True, because)


def _kept(driver: str, limit: IdleLimit) -> Parameter:
    """The driver's own value, where no end was seen."""
    default = DEFAULT_KEEP[driver]
    if default < limit.longer_than:
        because = f"the usual value; {limit.seen}"
    else:
        because = (
            f"the usual value; {limit.seen}, which leaves open what comes before {default:g} s: "
            f"probe with --cap {default * 1.1:.0f} to know"
        )
    return Parameter(name=KEEP[driver], value=default, unit="s", because=because, source="library")


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


def _pre_ping(
    limit: IdleLimit | None, age: AgeLimit | None, costs: Costs | None, target_rate: float
) -> Parameter:
    """Off where recycling is enough and cheaper."""
    name = PINGS["sqlalchemy"]
    figures = _figures(limit, age, costs, target_rate)
    if limit is not None and limit.kind == "random":
        because = "the server closes at random, so no age is safe: each checkout has to ask"
        return _switch(name, True, because + figures)
    if limit is not None and limit.earliest is not None and not is_keepable(limit.earliest):
        because = "connections end too soon for any pool_recycle: each checkout has to ask"
        return _switch(name, True, because)
    if limit is not None and limit.kind == "silent":
        because = (
            "a dropped connection makes a ping wait as long as a call, so pool_recycle has to "
            "prevent it"
        )
        return _switch(name, False, because + figures)
    if is_ping_cheaper(limit, costs, target_rate, age):
        because = "asking each connection costs less here than replacing them before the timeout"
        return _switch(name, True, because + figures)
    if _end(limit, age) is None:
        because = "nothing was seen to end a connection, and a restart costs errors once"
    else:
        because = "pool_recycle keeps clear of the server's end, and a restart costs errors once"
    return _switch(name, False, because + figures)


def is_ping_cheaper(
    limit: IdleLimit | None, costs: Costs | None, target_rate: float, age: AgeLimit | None = None
) -> bool:
    """Whether a ping in each call keeps fewer connections busy than recycling; False: not known.

    A ping is paid by every call: target_rate * ping. Recycling is a dial for each connection every
    `pool_recycle` s: pool_size / pool_recycle * dial. A silent drop makes every ping wait in vain.
    """
    busy = _busy(limit, age, costs, target_rate)
    if limit is None or not limit.is_steady or limit.kind == "silent" or busy is None:
        return False
    pinging, recycling = busy
    return pinging < recycling


def _recycled_late(limit: IdleLimit, age: AgeLimit | None) -> Parameter:
    """Pings replace what the silence ended; the age is still worth keeping clear of."""
    if age is not None and age.seconds is not None and is_keepable(age.seconds):
        return _below_age("sqlalchemy", age)
    value = DEFAULT_KEEP["sqlalchemy"]
    because = f"{limit.seen}; pool_pre_ping replaces the dead ones, so this need not come first"
    return Parameter(name="pool_recycle", value=value, unit="s", because=because, source="measured")


def _busy(
    limit: IdleLimit | None, age: AgeLimit | None, costs: Costs | None, target_rate: float
) -> tuple[float, float] | None:
    """Connections kept busy by pinging and by recycling, on average; None: not measured."""
    if costs is None:
        return None
    by_name = {cost.name: max(0.0, cost.seconds) for cost in costs.costs}
    ping, dial = by_name.get(PINGS["sqlalchemy"]), by_name.get("dial")
    if ping is None or dial is None:
        return None
    return target_rate * ping, costs.pool_size / _recycle(limit, age) * dial


def _recycle(limit: IdleLimit | None, age: AgeLimit | None) -> float:
    end = _end(limit, age)
    return DEFAULT_KEEP["sqlalchemy"] if end is None else max(SHORTEST, below(end))


def _end(limit: IdleLimit | None, age: AgeLimit | None) -> float | None:
    """s after which a connection ends, by silence or by age; None: neither was seen."""
    ends = (limit.earliest if limit else None, age.seconds if age else None)
    return min((end for end in ends if end is not None), default=None)


def _figures(
    limit: IdleLimit | None, age: AgeLimit | None, costs: Costs | None, target_rate: float
) -> str:
    busy = _busy(limit, age, costs, target_rate)
    if busy is None:
        return ""
    return (
        f"; at {units.rate(target_rate)} pings keep {units.number(busy[0], 2)} connections busy, "
        f"recycling after {_recycle(limit, age):g} s keeps {units.number(busy[1], 2)}"
    )


def _switch(name: str, value: bool, because: str) -> Parameter:
    return Parameter(name=name, value=value, unit="", because=because, source="measured")
