"""Gates: which figures of a target may not get worse, and whether they did; pure.

A gate fails only where its quantity got worse and the two 95 % intervals are apart. What cannot be
judged has not passed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import partial
from typing import Literal, NamedTuple

from poolkit import units
from poolkit.analysis.change_points import LEAST
from poolkit.errors import BadInput
from poolkit.review.compare import WAIT
from poolkit.review.trend import Figure, Reviewed, Skipped, Trend
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
    "p99": Rule(WAIT, "p99 wait at the target rate", True),
    "headroom": Rule("headroom", "headroom", False),
}
_EXAMPLE = "write it like this: --fail-on size,plateau=5%,p99,headroom=20%"
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+) ?(%?)", re.ASCII)
_NO_INTERVAL = "without an interval a difference cannot be told from noise"
_LONGER = "measure longer: raise --budget"
_BASELINE = "no baseline is not a pass; this review is kept, and the next is held against it"
# What would tell what production does not.
_OF_PRODUCTION = {
    "size": "do what its check sized names",
    "plateau": "measure it under load: poolkit review",
    "p99": "send load to that size: poolkit observe --verify",
    "headroom": "measure it under load: poolkit review",
}
_APART = "keep reviews and what production told in folders of their own (--history)"
_COMPARE = "review on that machine with those calls again; or let this one be the new baseline"
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
    """What a gate says of a target: `was` is its baseline, `now` what is held against that."""

    target: str
    gate: Gate
    outcome: Outcome
    now: Figure | None = None
    was: Figure | None = None
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


def not_finished(gates: Sequence[Gate], target: str) -> tuple[Judgement, ...]:
    """The same of a target whose measurement came to no result."""
    why, remedy = "it came to no result", "the same command goes on from what is finished"
    return tuple(
        Judgement(target, gate, "cannot be judged", why=why, next=remedy) for gate in gates
    )


def not_the_latest(judgements: Sequence[Judgement], later: Skipped | None) -> list[Judgement]:
    """The same where a later record was skipped: what is not of the latest review is no pass."""
    if later is None:
        return list(judgements)
    why = f"a later record was skipped, {later.path}: {later.cause}"
    return [
        one._replace(outcome="cannot be judged", why=why, next=later.remedy)
        if one.outcome == "passed"
        else one
        for one in judgements
    ]


def is_worse(gate: Gate, was: Figure, now: Figure) -> bool | None:
    """Whether the quantity got worse by more than the gate's share, the intervals being apart.

    None where an interval is not known.
    """
    if was.interval95 is None or now.interval95 is None:
        return None
    if RULES[gate.name].larger_is_worse:
        return now.interval95[0] > was.interval95[1] * (1.0 + gate.share)
    return now.interval95[1] < was.interval95[0] * (1.0 - gate.share)


def _judged(gate: Gate, trend: Trend, *, must_persist: bool) -> Judgement:
    quantity, noun, _ = RULES[gate.name]
    latest = trend.reviews[-1]
    now = latest.figures.get(quantity)
    judgement = partial(Judgement, trend.target, gate)
    if now is None and latest.source == "production":
        why, remedy = f"production does not tell the {noun}", _OF_PRODUCTION[gate.name]
        return judgement("cannot be judged", None, None, why, remedy)
    if now is None:
        why = f"this review knows no {noun}"
        return judgement("cannot be judged", None, None, why, "see the checks in its report")
    if gate.name == "headroom":
        return judgement(*_headroom(gate, now))
    run = trend.reviews[-max(trend.comparable, 1) :]
    if len(run) == 1 and len(trend.reviews) > 1:
        why = f"no earlier review compares: {latest.caution}"
        remedy = _COMPARE if trend.reviews[-2].source == latest.source else _APART
        return judgement("cannot be judged", now, None, why, remedy)
    there = [review for review in run if quantity in review.figures]
    if len(there) == 1:
        return judgement("no baseline", now, None, f"no earlier review knows a {noun}", _BASELINE)
    if not must_persist:
        return judgement(*_against(gate, there[-2], latest))
    if len(there) >= LEAST:
        return judgement(*_by_steps(gate, trend, there))
    return judgement(*_over_few(gate, there))


_Found = tuple[Outcome, Figure, Figure | None, str, str]


def _headroom(gate: Gate, now: Figure) -> _Found:
    """Absolute: it fails where even the upper end of the interval is below what is asked."""
    least = f"at least {units.share(gate.share)} asked"
    if now.interval95 is None:
        return "cannot be judged", now, None, _NO_INTERVAL, _LONGER
    if now.interval95[1] >= gate.share:
        return "passed", now, None, least, ""
    remedy = "raise what the upstream carries, or lower what is asked of it"
    return "failed", now, None, least, remedy


def _against(gate: Gate, baseline: Reviewed, latest: Reviewed) -> _Found:
    """One review against another."""
    was, now = (review.figures[RULES[gate.name].quantity] for review in (baseline, latest))
    match is_worse(gate, was, now):
        case None:
            return "cannot be judged", now, was, _NO_INTERVAL, _LONGER
        case False:
            return "passed", now, was, "", ""
    return "failed", now, was, _changes(latest), _undo(baseline)


def _over_few(gate: Gate, there: Sequence[Reviewed]) -> _Found:
    """The latest two reviews of a few, which must both be worse than the first."""
    found = _against(gate, there[0], there[-1])
    if found[0] != "failed":
        return found
    before = _against(gate, there[0], there[-2]) if len(there) > 2 else None
    if before and before[0] == "failed":
        return (*found[:3], _changes(there[-2]), found[4])
    alone = "the latest review alone is worse: a step must persist"
    if before and before[0] == "passed":
        return "passed", *found[1:3], alone, ""
    return "cannot be judged", *found[1:3], alone, "review again: a second one bears it out, or not"


def _by_steps(gate: Gate, trend: Trend, there: Sequence[Reviewed]) -> _Found:
    """Whether a step for the worse still stands: the level of now is apart from that before it."""
    quantity = RULES[gate.name].quantity
    began = there[0].measured
    steps = [step for step in trend.steps if step.quantity == quantity and step.measured > began]
    if not steps:
        steady = f"no step in {units.plural(len(there), 'review')}"
        return "passed", there[-1].figures[quantity], None, steady, ""
    level = steps[-1].after
    for step in steps:
        if is_worse(gate, step.before, level):
            at = next(i for i, one in enumerate(there) if one.measured == step.measured)
            why = f"since {step.measured[:10]}: {_changes(there[at])}"
            return "failed", level, step.before, why, _undo(there[at - 1])
    return "passed", level, steps[-1].before, "no step for the worse that still stands", ""


def _changes(review: Reviewed) -> str:
    """What else was not as in the review before it."""
    return "; ".join(why.said for why in review.why) or "nothing else that is recorded changed"


def _undo(baseline: Reviewed) -> str:
    return f"undo what changed since {baseline.measured[:10]}, or accept it with a waiver"
