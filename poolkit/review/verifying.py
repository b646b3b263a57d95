"""One verification, under load, of the size that production told; as a review makes it.

The trial, its child process, brakes and preflight are those of `poolkit size`, and so is what is
read off it. What production told stands whatever comes of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from poolkit import units
from poolkit.errors import ExitCode
from poolkit.events import Failed, TrialDone, Watcher
from poolkit.measure.child import Order
from poolkit.measure.run import VERIFIED
from poolkit.measure.verify import verification
from poolkit.observe.recommending import recommendation
from poolkit.observe.run import Observation
from poolkit.records import Check, Trial
from poolkit.review.outcome import carry_out
from poolkit.review.run import check_measurable
from poolkit.targets import Target


class Tried(NamedTuple):
    """What came of the load: its trial, how it ended, and why and what next where not whole."""

    trials: tuple[Trial, ...] = ()
    code: ExitCode = ExitCode.DONE
    cause: str = ""
    remedy: str = ""


def check(target: Target, order: Order) -> None:
    """BadInput where the target could not be sent load; told before anything is asked."""
    check_measurable({target.name: order.asked_of(target)})
    order.generators()


def verified(target: Target, found: Observation, order: Order, watcher: Watcher) -> Observation:
    """The same with its size verified, once, at the target rate.

    Without a size nothing is sent, nor where there are more or fewer pools in production than the
    load would come from; that is said.
    """
    size, told = found.recommendation.recommended_size, found.recommendation.production
    assert told is not None, "it was observed"
    if size is None:
        watcher.say(f"{target.name}: nothing was verified: production names no size")
        return found
    if told.pools != target.pools:
        pools = f"{units.plural(told.pools, 'pool')} in production, {target.pools} by targets.toml"
        tried = Tried(
            cause=f"not tried under load: {pools}",
            remedy="correct replicas and workers, then observe with --verify again",
        )
        watcher.say(f"{target.name}: {tried.cause}")
    else:
        tried = _tried(target, replace(order, verify=size), watcher)
    seen = verification(tried.trials, size, target, found.sizing)
    told_of = recommendation(
        target, found.sizing, found.trial, told, seen, tried.trials, is_asked=True
    )
    if tried.cause:
        checks = tuple(_with_cause(one, tried) for one in told_of.checks)
        told_of = told_of.model_copy(update={"checks": checks})
    return replace(found, recommendation=told_of, tried=tried.trials, ended=tried.code)


def _tried(target: Target, order: Order, watcher: Watcher) -> Tried:
    log = order.out / f"{order.name}.{VERIFIED}.jsonl"
    log.unlink(missing_ok=True)  # of a process that was killed
    latest, code = carry_out(target, order, watcher)
    log.unlink(missing_ok=True)  # it stands among the trials of the folder from now on
    done, failure = latest.get(TrialDone), latest.get(Failed)
    trials = (done.trial,) if isinstance(done, TrialDone) else ()
    if isinstance(failure, Failed):
        return Tried(trials, code, failure.cause, failure.remedy)
    return Tried(trials, code)


def _with_cause(one: Check, tried: Tried) -> Check:
    if one.name != "verified":
        return one
    update = {"passed": False, "seen": tried.cause, "next": tried.remedy}
    return one.model_copy(update=update)
