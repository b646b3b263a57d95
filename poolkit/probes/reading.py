"""What findings mean: the ends of idle connections, and what a reader has to act on; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from poolkit import units
from poolkit.drivers.parameters.findings import (
    AgeLimit,
    IdleKind,
    IdleLimit,
    LineOutcome,
    Observation,
    Proof,
    Session,
)
from poolkit.drivers.parameters.keep import SHORTEST, is_keepable
from poolkit.drivers.table import DRIVERS
from poolkit.probes.ladder import OVER, SLACK, telling, tolerance
from poolkit.probes.records import Doubt, UseLimit

ENOUGH = 3  # ends that agree
_SETTLED = 1.0  # s after the last witness's turn


@dataclass(frozen=True, slots=True)
class BusyEnd:
    """The end of the connection in use: its age (s) and the requests that it had carried."""

    age: float
    requests: int


@dataclass(frozen=True, slots=True)
class Silence:
    """One connection's silence: begun `start` s after the search, `idle` s long when it ended."""

    start: float
    idle: float
    outcome: LineOutcome

    @property
    def is_end(self) -> bool:
        """Whether the connection was found to be gone."""
        return self.outcome not in ("alive", "open")


def is_enough(silences: Sequence[Silence], now: float) -> bool:
    """Whether the search may end: ends that agree and a late witness among them, or time is up.

    `now` is in s since the search began.
    """
    ends = _ends(silences)
    if not ends:
        return False
    first = min(end.idle for end in ends)
    if now > OVER * first + SLACK * 0.6:
        return True
    agree = len(ends) >= ENOUGH and not _is_scattered(silences, ends)
    return agree and now > first + telling(first) + _SETTLED


def is_one_moment(silences: Sequence[Silence]) -> bool:
    """Whether connections of different ages ended together: a restart, not a timeout."""
    ends = [end for end in _ends(silences) if end.outcome == "closed"]
    if len(ends) < 2:
        return False
    ages = [end.idle for end in ends]
    moments = [end.start + end.idle for end in ends]
    return max(ages) - min(ages) > tolerance(min(ages)) and max(moments) - min(moments) < 0.25


def read_silences(
    silences: Sequence[Silence], *, cap: float, session: Session = "idle"
) -> IdleLimit:
    """The idle limit that the silences of one search speak for."""
    ends = _ends(silences)
    closes = [end.idle for end in ends if end.outcome == "closed"]
    if closes and median(closes) < SHORTEST:
        return not_kept(cap)
    lived = max((s.idle for s in silences if s.outcome == "alive"), default=0.0)
    kind, timeout, bounds = _limit(silences, ends, lived)
    longer_than = min(lived, bounds[0]) if bounds else lived
    ordered = sorted(silences, key=lambda silence: silence.idle)
    return IdleLimit(
        session=session,
        kind=kind,
        timeout=timeout,
        bounds=bounds,
        cap=cap,
        longer_than=longer_than,
        observations=tuple(Observation(idle=s.idle, outcome=s.outcome) for s in ordered),
        seen=_words(kind, timeout, bounds, longer_than, session),
    )


def not_kept(cap: float) -> IdleLimit:
    """The limit of a server that answers once on each connection."""
    return IdleLimit(
        kind="not_kept",
        timeout=0.0,
        bounds=(0.0, 0.0),
        cap=cap,
        seen="the server closes every connection after its first answer: none can be reused",
    )


def read_age(
    end: BusyEnd | None, oldest: float, silences: Sequence[Silence], uses: int | None
) -> AgeLimit:
    """The age limit that the connection in use speaks for.

    Args:
        end: how it ended; None: it lived for `oldest` s.
        silences: idle ones, which sent one request each: one that grew older shows that the number
            of requests ended the other.
        uses: requests that a connection is known to carry; None: not known.
    """
    if end is None:
        seen = f"a connection in use lived for longer than {oldest:.1f} s, as long as watched"
        return AgeLimit(seconds=None, longer_than=oldest, seen=seen)
    after = units.plural(end.requests, "request")
    lived = max((s.idle for s in silences if s.outcome in ("alive", "closed")), default=0.0)
    if (uses is not None and end.requests >= uses) or lived > end.age + tolerance(end.age):
        seen = f"a connection in use was closed after {after}, which is no age: idle ones live on"
        return AgeLimit(seconds=None, longer_than=max(oldest, lived), seen=seen)
    seen = f"a connection in use was closed at an age of {end.age:.1f} s, after {after}"
    return AgeLimit(seconds=end.age, longer_than=oldest, seen=seen)


def without_age(limit: IdleLimit, age: AgeLimit) -> IdleLimit:
    """The limit, unless a connection in use ended at the same age: then silence had no part."""
    if age.seconds is None or limit.timeout is None:
        return limit
    if abs(age.seconds - limit.timeout) > tolerance(limit.timeout):
        return limit
    seen = (
        f"connections end at an age of {units.number(age.seconds)} s, in use or not, so no longer "
        "silence can be seen"
    )
    return limit.model_copy(
        update={"kind": "longer", "timeout": None, "bounds": None, "seen": seen}
    )


# What to do about a limit, by its kind and by its session.
_NEXT: Mapping[str, str] = {
    "random": "no keep-alive value is safe: repeat calls that may be repeated (poolkit.retry), or "
    "find out who closes the connections",
    "not_kept": "turn keep-alive on at the server (nginx: keepalive_timeout), or every call pays "
    "for a dial",
    "silent": "something in between forgets connections: keep the value below, set a read timeout, "
    "and TCP keep-alives shorter than that",
    "in_transaction": "keep every transaction shorter; wait for nothing else while one is open",
    "behind_pooler": "the first calls after a quiet time wait for the pooler's dials: set its "
    "server_idle_timeout (or min_pool_size) higher where that hurts",
    "brief": "no keep-alive value is short enough to be safe: raise the server's timeout, or find "
    "out what closes its connections",
}


def doubts(
    driver: str,
    limits: Sequence[IdleLimit],
    uses: UseLimit | None,
    age: AgeLimit | None,
    proof: Proof | None,
) -> tuple[Doubt, ...]:
    """What a reader has to act on because no parameter cures it, each with what to do."""
    found: list[tuple[str, str]] = []
    for limit in limits:
        if limit.kind in _NEXT:
            found.append((limit.seen, _NEXT[limit.kind]))
        if limit.session in _NEXT and limit.timeout is not None:
            found.append((limit.seen, _NEXT[limit.session]))
        if limit.earliest is not None and not is_keepable(limit.earliest):
            found.append((limit.seen, _NEXT["brief"]))
    if age is not None and age.seconds is not None and not DRIVERS[driver].has_lifetime:
        next_ = (
            f"{driver} has no setting for a connection's age: repeat calls that may be repeated "
            "(poolkit.retry), or raise the age at the server or what is in between"
        )
        found.append((age.seen, next_))
    if uses is not None and uses.requests is not None:
        next_ = (
            f"at 1000 calls/s that is {units.number(1000 / max(1, uses.requests))} dials/s; raise "
            "the server's limit (nginx: keepalive_requests) where dials cost"
        )
        found.append((uses.seen, next_))
    if proof is not None and not proof.holds:
        found.append((proof.seen, "run the probe again when the target is quiet"))
    return tuple(Doubt(seen=seen, next=next_) for seen, next_ in found)


def _ends(silences: Sequence[Silence]) -> list[Silence]:
    return [silence for silence in silences if silence.is_end]


def _is_scattered(silences: Sequence[Silence], ends: Sequence[Silence]) -> bool:
    """Whether the ends contradict one timeout: some lived well beyond the first of them."""
    first = min(end.idle for end in ends)
    closes = [end.idle for end in ends if end.outcome == "closed"]
    # A connection that was not asked tells something only of a server that announces the end.
    lives = ("alive", "open") if closes else ("alive",)
    lived = [s.idle for s in silences if s.outcome in lives]
    # Rungs that were asked after the timeout end late by nature; closes and lives do not.
    return max([first, *closes, *lived]) - first > tolerance(first)


def _limit(
    silences: Sequence[Silence], ends: Sequence[Silence], lived: float
) -> tuple[IdleKind, float | None, tuple[float, float] | None]:
    if not ends:
        return "longer", None, None
    first = min(end.idle for end in ends)
    closes = sorted(end.idle for end in ends if end.outcome == "closed")
    if _is_scattered(silences, ends):
        survived = [s.idle for s in silences if s.outcome == "open"] if closes else []
        return "random", None, (first, max([lived, *closes, *survived]))
    if closes and 2 * len(closes) >= len(ends):
        return "closed", median(closes), (closes[0], closes[-1])
    asked = [end for end in ends if end.outcome != "closed"]
    kind: IdleKind = (
        "silent" if 2 * sum(e.outcome == "silent" for e in asked) > len(asked) else "closed_on_use"
    )
    below = max((s.idle for s in silences if s.outcome == "alive" and s.idle < first), default=0.0)
    return kind, (below + first) / 2, (below, first)


def _words(
    kind: IdleKind,
    timeout: float | None,
    bounds: tuple[float, float] | None,
    longer_than: float,
    session: Session,
) -> str:
    what = {
        "idle": "an idle connection",
        "in_transaction": "a session that is idle in a transaction",
        "behind_pooler": "an idle connection of the pooler to its server",
    }[session]
    if timeout is None or bounds is None:
        if bounds is not None:
            return (
                f"{what} is closed at random: after {units.number(bounds[0])} s at the earliest, "
                f"and some live for {units.number(bounds[1])} s and more"
            )
        return f"{what} is kept for longer than {units.number(longer_than)} s"
    at = units.number(timeout)
    if kind == "closed":
        return f"{what} is closed after {at} s ({units.interval(bounds, 4)} s)"
    between = f"between {units.number(bounds[0])} and {units.number(bounds[1])} s"
    if kind == "silent":
        return f"{what} is dropped without a word {between}: the next call gets no answer"
    return f"{what} ends {between}, which only its next use finds out"
