"""The same target over many reviews: its figures, what changed and why, and steps; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from poolkit import units
from poolkit.analysis.change_points import LEAST, Step, change_points
from poolkit.analysis.outlook import Outlook
from poolkit.drivers.table import DRIVERS
from poolkit.records import (
    LARGEST,
    Amount,
    Count,
    FromProduction,
    Interval,
    Moment,
    Recommendation,
    RecommendedFile,
    Record,
)
from poolkit.review.before import of_load
from poolkit.review.compare import (
    SIZE_RESOLUTION,
    WAIT,
    Curve,
    Difference,
    Unit,
    compare,
    measured,
)
from poolkit.review.manifest import Manifest, is_same_machine

Cause = Literal["rate", "asked", "load", "upstream", "versions", "machine"]
# What a history shows of a target, in this order.
QUANTITIES: dict[str, Unit] = {
    "recommended_size": "connections",
    "plateau": "calls/s",
    "headroom": "",
    "hold_time.at_recommended": "s",
    WAIT: "s",
    "target_rate": "calls/s",
}
_STEPS_OF = ("recommended_size", "plateau", "headroom", "hold_time.at_recommended", WAIT)
# A step in sizes that compare() would not tell from the same size is none.
_LEAST = {"recommended_size": 2.0 * SIZE_RESOLUTION}


@dataclass(frozen=True, slots=True)
class Kept:
    """One target in one review, as it was read; without a manifest little is known of the how."""

    measured: str  # ISO 8601, UTC
    recommendation: Recommendation
    sizing: Curve | None = None
    manifest: Manifest | None = None
    folder: Path | None = None  # where it was read

    @property
    def settings(self) -> Mapping[str, Any] | None:
        """The public settings of the target then; None: not known."""
        found = None if self.manifest is None else self.manifest.targets.get(self.target)
        return found or None

    @property
    def target(self) -> str:
        """The target's name."""
        return self.recommendation.target


class Figure(Record):
    """A value with its 95 % interval, where that is known."""

    value: float
    interval95: Interval | None = None


class Why(Record):
    """Something that was not as it was in the review before, in words."""

    kind: Cause
    said: str


class Reviewed(Record):
    """A target in one review.

    `differences` and `why` are from the review before it; `caution` says why the two may not be
    comparable at all, and is empty where they are.
    """

    measured: Moment
    figures: dict[str, Figure]
    differences: tuple[Difference, ...] = ()
    why: tuple[Why, ...] = ()
    caution: str = ""
    source: Literal["load", "production"] = "load"


class Stepped(Record):
    """A step that one quantity of a target took and kept."""

    quantity: str
    unit: Unit
    measured: Moment  # of the first review after it
    before: Figure  # the level, with its interval
    after: Figure
    reviews: Count  # that bear it out
    chance: Amount  # the share of shuffled series that part as far
    why: tuple[Why, ...] = ()


class Trend(Record):
    """The history of one target, oldest review first.

    `comparable` is how many of the latest reviews may be compared with each other.
    """

    target: str
    driver: str
    reviews: tuple[Reviewed, ...]
    steps: tuple[Stepped, ...] = ()
    comparable: Count
    outlook: Outlook | None = None  # from the newest review, where demand was given
    no_outlook: str = ""  # why there is none although it was

    @property
    def too_few(self) -> str:
        """Why nothing is said of steps; empty where something is."""
        if self.comparable >= LEAST or self.steps:
            return ""
        few = units.plural(self.comparable, "comparable review")
        return f"{few}: steps are looked for from {LEAST} on, until then only intervals tell"


class Skipped(Record):
    """What could not be read, and what to do about it."""

    path: str
    cause: str
    remedy: str


class History(Record):
    """The whole of history.json."""

    schema_: Literal["poolkit.history/1"] = Field("poolkit.history/1", alias="schema")
    trends: tuple[Trend, ...]
    skipped: tuple[Skipped, ...] = ()

    @property
    def reviews(self) -> int:
        """The most reviews that any target has."""
        return max((len(trend.reviews) for trend in self.trends), default=0)

    @property
    def outlooks(self) -> dict[str, Outlook]:
        """Target -> when its size runs out, where that was asked and can be told."""
        return {trend.target: trend.outlook for trend in self.trends if trend.outlook is not None}


def trend(kept: Sequence[Kept]) -> Trend:
    """What became of one target over its reviews, which are at least one, in order of time."""
    first = kept[0]
    source = first.recommendation.source
    reviews = [Reviewed(measured=first.measured, figures=_figures(first), source=source)]
    for before, after in pairwise(kept):
        caution = "; ".join(cautions(before, after))
        found = _compared(before, after, caution)
        # On another machine the upstream is not to blame.
        why = tuple(reasons(before, after, () if caution else found))
        figures = _figures(after)
        reviews.append(
            Reviewed(
                measured=after.measured,
                figures=figures,
                differences=found,
                why=why,
                caution=caution,
                source=after.recommendation.source,
            )
        )
    starts = [0, *(i for i, one in enumerate(reviews) if one.caution), len(reviews)]
    runs = [reviews[start:end] for start, end in pairwise(starts)]
    return Trend(
        target=kept[-1].target,
        driver=kept[-1].recommendation.driver,
        reviews=tuple(reviews),
        steps=tuple(sorted((s for run in runs for s in _steps(run)), key=lambda s: s.measured)),
        comparable=len(runs[-1]),
    )


def cautions(before: Kept, after: Kept) -> Iterator[str]:
    """Why figures of two reviews of a target may not compare; nothing where they may.

    What production told is compared with nothing else. It hangs neither on the machine that asked
    nor on calls sent, unless both were verified by some.
    """
    if before.recommendation.driver != after.recommendation.driver:
        yield (
            f"another client library: {before.recommendation.driver}, then "
            f"{after.recommendation.driver}"
        )
    was, now = before.recommendation.production, after.recommendation.production
    if was is not None and now is not None:
        if (was.averages is None) != (now.averages is None):
            yield "one size is of averages, the other of counts by connections in use"
        if before.recommendation.verification is None or after.recommendation.verification is None:
            return
    elif was is not None or now is not None:
        sources = ("load" if one is None else "production" for one in (was, now))
        yield "one size rests on {}, the next on {}".format(*sources)
        return
    if before.manifest is None or after.manifest is None:
        yield "one of them has no manifest, so they may have run on different machines"
        return
    if not is_same_machine(before.manifest.host, after.manifest.host):
        yield "another kind of machine: differences may be the machine's"
    if changed := of_load(_changed(before, after)):
        yield f"other calls were sent: {units.listed(changed)} changed"


def reasons(before: Kept, after: Kept, found: Sequence[Difference]) -> Iterator[Why]:
    """What else was not as it was: rate, what was asked, upstream, versions, machine."""
    a, b = before.recommendation, after.recommendation
    if a.target_rate != b.target_rate:
        source = f", from {b.target_rate_from}" if b.target_rate_from else ""
        rates = f"{units.number(a.target_rate)} → {units.rate(b.target_rate)}"
        yield Why(kind="rate", said=f"{rates}{source}")
    was, now = before.settings or {}, after.settings or {}
    for key in _changed(before, after):
        if key not in ("target_rate", "driver", "rate_from"):
            kind: Cause = "load" if of_load([key]) else "asked"
            shown = (was.get(key), now.get(key))
            plain = all(isinstance(value, int | float | str | None) for value in shown)
            yield Why(kind=kind, said=f"{key} {shown[0]} → {shown[1]}" if plain else key)
    yield from (Why(kind="upstream", said=said) for said in _of_upstream(a, b, found))
    if a.production is not None and b.production is not None:
        yield from _of_production(a.production, b.production)
        return
    if before.manifest is None or after.manifest is None:
        return
    versions = before.manifest.versions, after.manifest.versions
    for name in ("poolkit", "python", *DRIVERS[b.driver].libraries, "uvloop"):
        old, new = (one.get(name) or one.get(name.replace("_", "-")) for one in versions)
        if old and new and old != new:
            yield Why(kind="versions", said=f"{name} {old} → {new}")
    hosts = before.manifest.host, after.manifest.host
    for part in ("cpu", "cores", "cores_total", "memory", "os", "kernel"):
        old, new = (getattr(host, part) for host in hosts)
        if old != new and not (part == "memory" and is_same_machine(*hosts)):
            yield Why(kind="machine", said=f"{part.replace('_', ' ')} {old} → {new}")


def _of_upstream(
    a: Recommendation, b: Recommendation, found: Sequence[Difference]
) -> Iterator[str]:
    """What the measurement itself saw of the upstream, and saw otherwise before."""
    if a.verdict != b.verdict and a.verdict and b.verdict:
        yield f"verdict {a.verdict.replace('_', ' ')} → {b.verdict.replace('_', ' ')}"
    if a.bound_by != b.bound_by and b.bound_by:
        yield f"bound by {b.bound_by}"
    if {(x.kind, x.value) for x in a.limits} != {(x.kind, x.value) for x in b.limits}:
        yield "limits at which the server turns calls away"
    for one in found:
        if one.quantity == "hold_time.at_one" and one.is_larger_than_noise:
            old, new = (units.milliseconds(float(x or 0)) for x in (one.before, one.after))
            yield f"hold time at one connection {old} → {new}"


def _of_production(was: FromProduction, now: FromProduction) -> Iterator[Why]:
    """What production was otherwise; the machine that asked and its libraries are of no matter."""
    old, new = units.number(was.peak_rate), units.rate(now.peak_rate)
    if old != units.number(now.peak_rate):
        yield Why(kind="rate", said=f"busiest window {old} → {new}")
    if was.pools != now.pools:
        yield Why(kind="asked", said=f"pools in production {was.pools} → {now.pools}")


def _changed(before: Kept, after: Kept) -> list[str]:
    """Keys whose values both reviews know and that differ.

    A version of poolkit that knows more keys writes more of them, which is no change.
    """
    was, now = before.settings or {}, after.settings or {}
    return [key for key in was if key in now and was[key] != now[key]]


def _compared(before: Kept, after: Kept, caution: str) -> tuple[Difference, ...]:
    def told(one: Kept) -> RecommendedFile:
        return RecommendedFile(created=one.measured, targets=(one.recommendation,))

    def curve(one: Kept) -> dict[str, Curve]:
        return {} if one.sizing is None else {one.target: one.sizing}

    found = compare(
        told(before),
        told(after),
        caution,
        sizings_before=curve(before),
        sizings_after=curve(after),
    )
    return found.differences


def _figures(kept: Kept) -> dict[str, Figure]:
    """What is known of the quantities of `QUANTITIES`."""
    r, found = kept.recommendation, {}
    for quantity, figure in measured(r, kept.sizing).items():
        if quantity in QUANTITIES and isinstance(figure.value, int | float):
            found[quantity] = Figure(value=figure.value, interval95=figure.interval)
    found["target_rate"] = Figure(value=r.target_rate)
    if (room := headroom(r)) is not None:
        found["headroom"] = room
    return {quantity: found[quantity] for quantity in QUANTITIES if quantity in found}


def headroom(r: Recommendation) -> Figure | None:
    """How far what is reachable lies above the rate asked, as a share of that; None: not known.

    Out of reach it is below 0. Else the plateau counts, which no size gets beyond; it was not
    looked for where nothing above the target rate was sent. A curve measured too low is so all
    along, so either is known as well as the plateau.
    """
    top, rate = r.plateau, r.reachable_rate
    if rate is None and top is not None:
        rate = top.throughput
    # Of a rate of next to nothing it is no figure.
    if rate is None or rate >= LARGEST * r.target_rate:
        return None
    shares = None
    if top is not None and top.interval95 is not None and top.throughput > 0.0:
        low, high = (rate * end / top.throughput / r.target_rate - 1 for end in top.interval95)
        shares = (low, high) if max(-low, high) <= LARGEST else None
    return Figure(value=rate / r.target_rate - 1, interval95=shares)


def _steps(run: Sequence[Reviewed]) -> Iterator[Stepped]:
    """The steps of each quantity over reviews that may be compared with each other."""
    for quantity in _STEPS_OF:
        there = [one for one in run if quantity in one.figures]
        figures = [one.figures[quantity] for one in there]
        widths = [0.0 if f.interval95 is None else _half(f.interval95) for f in figures]
        least = _LEAST.get(quantity, 0.0)
        found = change_points([f.value for f in figures], widths, least=least)
        for number, step in enumerate(found):
            end = found[number + 1].at if number + 1 < len(found) else len(there)
            # Noise may move a step by one review.
            around = [there[i] for i in (step.at, step.at - 1, step.at + 1) if i < len(there)]
            why = next((one.why for one in around if one.why), ())
            yield _stepped(quantity, step, there[step.at].measured, end - step.at, why)


def _stepped(
    quantity: str, step: Step, measured: str, reviews: int, why: tuple[Why, ...]
) -> Stepped:
    before, after = (
        Figure(value=level.mean, interval95=level.interval95) for level in (step.before, step.after)
    )
    return Stepped(
        quantity=quantity,
        unit=QUANTITIES[quantity],
        measured=measured,
        before=before,
        after=after,
        reviews=reviews,
        chance=step.chance,
        why=why,
    )


def _half(interval: Interval) -> float:
    return (interval[1] - interval[0]) / 2
