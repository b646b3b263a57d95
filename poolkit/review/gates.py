"""Gates: which figures of a target may not get worse, and whether they did; pure.

A gate fails only where its quantity got worse and the two 95 % intervals are apart. What cannot be
judged has not passed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from poolkit import units
from poolkit.analysis.change_points import LEAST
from poolkit.errors import BadInput
from poolkit.review.trend import QUANTITIES, Figure, Reviewed, Trend
from poolkit.targets.words import nearest

Outcome = Literal["passed", "failed", "no baseline", "cannot be judged"]


class Rule(NamedTuple):
    """What a gate looks at, and which way is worse."""

    quantity: str
    noun: str
    larger_is_worse: bool


RULES = {
    "size": Rule("recommended_size", "size", True),
    "plateau": Rule("plateau", "plateau", False),
    "p99": Rule("verification.wait_p99", "p99 wait at the target rate", True),
    "headroom": Rule("headroom", "headroom", False),
}
_EXAMPLE = "write it like this: --fail-on size,plateau=5%,p99,headroom=20%"
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+) ?(%?)", re.ASCII)
MOST = 10.0  # a share beyond it was meant as per cent


class Gate(NamedTuple):
    """One gate that was asked for.

    `share` is the least headroom as a share of the rate asked, or for the others the share of what
    was that they may be worse by (0 or more).
    """

    name: str
    share: float = 0.0

    def __str__(self) -> str:
        return f"{self.name} {units.number(self.share * 100)} %" if self.share else self.name


class Judgement(NamedTuple):
    """What a gate says of a target."""

    target: str
    gate: Gate
    outcome: Outcome
    seen: str
    why: str = ""
    next: str = ""


# -- the option -----------------------------------------------------------------------------------


def parse(text: str) -> tuple[Gate, ...]:
    """The gates of `--fail-on size,plateau=5%,p99,headroom=20%`, in that order.

    Raises:
        BadInput: a gate is unknown or stands there twice, or a share cannot be meant; all at once.
    """
    gates: list[Gate] = []
    wrong: list[str] = []
    for word in text.split(","):
        name, sign, share = (part.strip() for part in word.partition("="))
        if name not in RULES:
            known = f"the gates are {units.listed(list(RULES))}"
            wrong.append(f"no gate {name!r}: {known}{nearest(name, RULES)}")
        elif any(name == gate.name for gate in gates):
            wrong.append(f"{name} stands there twice")
        elif name == "headroom" and not sign:
            wrong.append("headroom needs the least share of the rate asked, such as headroom=20%")
        else:
            try:
                gates.append(Gate(name, _share(name, share) if sign else 0.0))
            except ValueError as error:
                wrong.append(str(error))
    if not wrong:
        return tuple(gates)
    if len(wrong) == 1:
        raise BadInput(f"--fail-on: {wrong[0]}", _EXAMPLE)
    lines = [f"{len(wrong)} mistakes in --fail-on", *(f"  {mistake}" for mistake in wrong)]
    raise BadInput("\n".join(lines), _EXAMPLE)


def _share(name: str, text: str) -> float:
    found = _SHARE.fullmatch(text)
    share = float(found[1]) / (100.0 if found[2] else 1.0) if found else math.nan
    # 20 is 20 %, said otherwise: as a share it would be 2000 %.
    if found and not found[2] and share > 1.0:
        raise ValueError(f"{name}={text} is more than the whole; did you mean {name}={text}%?")
    most = 1.0 if name == "plateau" else MOST
    if not share <= most or (name == "plateau" and share == most):
        least = "less than 100%" if name == "plateau" else f"at most {MOST:.0%}"
        raise ValueError(f"{name}={text} must be a share such as 20% or 0.2, {least}")
    return share


# -- the judgement --------------------------------------------------------------------------------


def judge(gates: Sequence[Gate], trend: Trend, *, must_persist: bool) -> tuple[Judgement, ...]:
    """What each of the gates says of the latest review of a target.

    Args:
        must_persist: over a history, where a step counts from the second review that bears it out;
            else the latest review is held against the one before it.
    """
    return tuple(_judged(gate, trend, must_persist=must_persist) for gate in gates)


def not_finished(gates: Sequence[Gate], target: str, why: str) -> tuple[Judgement, ...]:
    """The same of a target whose measurement came to no result."""
    seen, remedy = "no result of this review", "the same command goes on from what is finished"
    return tuple(Judgement(target, gate, "cannot be judged", seen, why, remedy) for gate in gates)


def _judged(gate: Gate, trend: Trend, *, must_persist: bool) -> Judgement:
    quantity, noun, _ = RULES[gate.name]
    latest = trend.reviews[-1]
    figure = latest.figures.get(quantity)

    def outcome(found: Outcome, seen: str, why: str = "", remedy: str = "") -> Judgement:
        return Judgement(trend.target, gate, found, seen, why, remedy)

    if figure is None:
        why = "no size was found, verified or pushed far enough to tell it"
        return outcome(
            "cannot be judged",
            f"this review knows no {noun}",
            why,
            "see the target's checks in its report",
        )
    if gate.name == "headroom":
        return outcome(*_headroom(gate, figure))
    run = trend.reviews[-max(trend.comparable, 1) :]
    if len(run) == 1 and len(trend.reviews) > 1:
        return outcome(
            "cannot be judged",
            f"{_said(quantity, figure)}; the earlier reviews are not comparable",
            latest.caution,
            "review on the machine and with the calls of before, or let this be the new baseline",
        )
    there = [review for review in run if quantity in review.figures]
    if len(there) == 1:
        return outcome(
            "no baseline",
            f"{_said(quantity, figure)}; no earlier review to hold it against",
            "a gate without a baseline has not passed",
            "this review is kept: the next one is held against it; or name one with --since",
        )
    if not must_persist:
        return outcome(*_against(gate, there[-2], [latest]))
    if len(there) < LEAST:
        return outcome(*_against(gate, there[0], there[-2:] if len(there) > 2 else [latest], True))
    return outcome(*_by_steps(gate, trend, there))


_Found = tuple[Outcome, str, str, str]


def _headroom(gate: Gate, figure: Figure) -> _Found:
    """Absolute: it fails where even the upper end of the interval is below what is asked."""
    least = units.share(gate.share)
    said = f"{_said('headroom', figure)}, at least {least} asked"
    if figure.interval95 is None:
        return _no_interval(said)
    if figure.interval95[1] >= gate.share:
        return "passed", said, "", ""
    return (
        "failed",
        said,
        "the rate within reach is too near the rate asked",
        "raise what the upstream carries, or lower what is asked of it",
    )


def _against(
    gate: Gate, baseline: Reviewed, latest: Sequence[Reviewed], must_persist: bool = False
) -> _Found:
    """Whether every one of the latest reviews is worse than the baseline, apart from it."""
    rule = RULES[gate.name]
    was, *now = (review.figures[rule.quantity] for review in (baseline, *latest))
    said = f"{_said(rule.quantity, was)} → {_said(rule.quantity, now[-1])}"
    worse = [is_worse(gate, was, figure) for figure in now]
    if worse[-1] is None:
        return _no_interval(said)
    if not worse[-1]:
        return "passed", said, "", ""
    if must_persist and (len(now) == 1 or not worse[0]):
        only = "the latest review alone is worse: a step must persist"
        if len(now) > 1 and worse[0] is False:
            return "passed", f"{said}; {only}", "", ""
        return "cannot be judged", said, only, "review again: a second one bears it out, or not"
    return _failed(said, baseline, latest[0])


def _by_steps(gate: Gate, trend: Trend, there: Sequence[Reviewed]) -> _Found:
    """Whether a step for the worse still stands: the level of now is apart from that before it."""
    quantity = RULES[gate.name].quantity
    steps = [
        step
        for step in trend.steps
        if step.quantity == quantity and step.measured > there[0].measured
    ]
    if not steps:
        figure = there[-1].figures[quantity]
        return "passed", f"{_said(quantity, figure)}; no step in {len(there)} reviews", "", ""
    level = steps[-1].after
    for step in steps:
        if is_worse(gate, step.before, level):
            said = f"{_said(quantity, step.before)} → {_said(quantity, level)}"
            first = next(one for one in there if one.measured == step.measured)
            found = _failed(said, there[0], first)
            return (*found[:2], f"since {step.measured[:10]}: {found[2]}", found[3])
    return "passed", f"{_said(quantity, level)}; no step for the worse that still stands", "", ""


def is_worse(gate: Gate, was: Figure, now: Figure) -> bool | None:
    """Whether the quantity got worse by more than the gate's share, the intervals being apart.

    None where an interval is not known.
    """
    if was.interval95 is None or now.interval95 is None:
        return None
    if RULES[gate.name].larger_is_worse:
        return now.interval95[0] > was.interval95[1] * (1.0 + gate.share)
    return now.interval95[1] < was.interval95[0] * (1.0 - gate.share)


def _failed(said: str, baseline: Reviewed, first: Reviewed) -> _Found:
    why = "; ".join(why.said for why in first.why) or "nothing else that is recorded changed"
    remedy = f"undo what changed since {baseline.measured[:10]}, or accept it with a waiver"
    return "failed", said, why, remedy


def _no_interval(said: str) -> _Found:
    why = "without an interval a difference cannot be told from noise"
    return "cannot be judged", said, why, "measure longer: raise --budget"


def _said(quantity: str, figure: Figure) -> str:
    """A figure with its unit and interval, in words."""
    unit, value, ends = QUANTITIES[quantity], figure.value, figure.interval95
    if unit == "connections":
        return units.plural(round(value), "connection")
    if unit == "s":
        within = "" if ends is None else f" ({units.interval((ends[0] * 1e3, ends[1] * 1e3))})"
        return f"{units.milliseconds(value)}{within}"
    if unit == "calls/s":
        return units.rate(value) + ("" if ends is None else f" ({units.interval(ends)})")
    within = "" if ends is None else f" ({units.share(ends[0])} to {units.share(ends[1])})"
    return f"{units.share(value)}{within}"
