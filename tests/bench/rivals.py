"""Other ways to a pool size, on the same sweep: what poolkit's answer is held against."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from poolkit.analysis.curve import is_clean
from poolkit.analysis.model import model
from poolkit.analysis.sizing import size
from poolkit.records import Sweep, Trial
from poolkit.targets.objective import Objective
from tests.analysis.formulas import erlang_c, finite_source

ALLOWANCE = 0.01
CALLERS = 100  # of the finite source

Method = Callable[[Sweep, Objective], int | None]


def poolkit_size(sweep: Sweep, objective: Objective) -> int | None:
    """The answer of a sizing."""
    return size(sweep, objective).size


def power_form(sweep: Sweep, objective: Objective) -> int | None:
    """The chain of the first plan on poolkit's curve: odds to the power 2 / (1 + e + (1 - e) Cd2).

    P(W > w) = C exp(-m (X(c) - lambda) w), m = 2 / (1 + Cd2), C the chain's mass at c and above.
    """
    if size(sweep, objective).limited_by == "unknown":
        return None
    queue = model(sweep, objective)
    rate, sizes = objective.rate, np.arange(1, queue.most + 1)
    rates = queue.curve.throughputs(sizes)
    slope = np.gradient(np.log(rates), np.log(sizes)) if sizes.size > 1 else np.ones(1)
    elastic = np.clip(slope, 0.0, 1.0)
    powers = 2.0 / (1.0 + elastic + (1.0 - elastic) * queue.dispersion)
    last = 2.0 / (1.0 + queue.dispersion)
    logs = np.concatenate(([0.0], np.cumsum(powers * np.log(rate / rates))))
    shares = np.exp(logs - logs.max())

    def late(pool_size: int) -> float:
        if pool_size > sizes.size or rates[pool_size - 1] <= rate:
            return 1.0
        carried = float(rates[pool_size - 1])
        above = shares[pool_size] / (1.0 - (rate / carried) ** last)
        waiting = above / (shares[:pool_size].sum() + above)
        return float(waiting * math.exp(-last * (carried - rate) * _wait(objective)))

    return _smallest(late, objective)


def plain_erlang_c(sweep: Sweep, objective: Objective) -> int | None:
    """Erlang C with the mean hold time at the smallest size."""
    alone = _alone(sweep)
    if alone is None:
        return None
    hold = alone.hold_time.mean or 0.0
    return _smallest(lambda c: _erlang(c, hold, objective, None), objective)


def finite_callers(sweep: Sweep, objective: Objective) -> int | None:
    """The same for 100 callers that think between their calls."""
    alone = _alone(sweep)
    if alone is None:
        return None
    hold = alone.hold_time.mean or 0.0
    think = CALLERS / objective.rate - hold
    return (
        None if think <= 0 else _smallest(lambda c: _erlang(c, hold, objective, think), objective)
    )


def rule_of_thumb(name: str) -> Method:
    """One of poolkit's rules of thumb."""

    def method(sweep: Sweep, objective: Objective) -> int | None:
        rules = size(sweep, objective).rules_of_thumb
        return next((rule.size for rule in rules if rule.name == name), None)

    return method


def _erlang(pool_size: int, hold: float, objective: Objective, think: float | None) -> float:
    load = objective.rate * hold
    if load >= pool_size:
        return 1.0
    waiting = (
        erlang_c(pool_size, load)
        if think is None
        else finite_source(pool_size, CALLERS, think, hold)
    )
    return waiting * math.exp(-(pool_size / hold - objective.rate) * _wait(objective))


def _wait(objective: Objective) -> float:
    assert objective.wait_p99 is not None
    return objective.wait_p99


def _smallest(late: Callable[[int], float], objective: Objective) -> int | None:
    sizes = range(1, objective.max_size + 1)
    return next((one for one in sizes if late(one) <= ALLOWANCE), None)


def _alone(sweep: Sweep) -> Trial | None:
    clean = [trial for trial in sweep.trials if is_clean(trial)]
    return min(clean, key=lambda trial: trial.pool_size, default=None)


def climb_alone(sweep: Sweep, objective: Objective) -> int | None:
    """poolkit's own, from nothing beyond the target rate."""
    climb = tuple(trial for trial in sweep.trials if not trial.is_of_curve)
    return size(sweep.model_copy(update={"trials": climb}), objective).size


METHODS: dict[str, Method] = {
    "poolkit": poolkit_size,
    "climb alone": climb_alone,
    "first plan's power form": power_form,
    "Erlang C, hold at one": plain_erlang_c,
    "finite source, 100 callers": finite_callers,
    "p50 x rate x 1.3": rule_of_thumb("littles_law_x1.3"),
    "concurrent x 1.5": rule_of_thumb("concurrent_x1.5"),
    "cores x 2 + spindles": rule_of_thumb("cores*2+spindles"),
    "small/medium/high table": rule_of_thumb("small/medium/high table"),
}
