"""How a trial went from slice to slice: rate, connections in use, and when none was free."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from poolkit.recommend.checks import IN_SERVICE
from poolkit.records import Trial
from poolkit.units import rate

MOST = 6  # trials side by side; the latest, which are those of the size that was settled on


class Slice(NamedTuple):
    """A part of a trial's window, all pools together."""

    begin: float  # s of the window
    end: float
    rate: float  # calls/s that gave their connection back, without those that were rejected
    in_use: float  # mean
    most_in_use: int
    all_busy: float  # share of the time with no connection free: who comes then has to wait


def slices(trial: Trial) -> list[Slice]:
    """The slices of a trial in order of time; empty where they were not recorded."""
    spent = [sum(seconds for seconds, _, _ in batch.values()) for batch in trial.in_use]
    ends = itertools.accumulate(spent)
    return [
        Slice(
            begin=end - seconds,
            end=end,
            rate=sum(done - rejected for _, done, rejected in batch.values()) / seconds,
            in_use=sum(n * each for n, (each, _, _) in batch.items()) / seconds,
            most_in_use=max(batch),
            all_busy=sum(t for n, (t, _, _) in batch.items() if n >= trial.connections) / seconds,
        )
        for batch, seconds, end in zip(trial.in_use, spent, ends, strict=True)
        if seconds > 0
    ]


def verifications(trials: Sequence[Trial]) -> list[Trial]:
    """The trials of a size in service, in the order in which they ran; at most the latest `MOST`.

    At the target rate, above it and after it; those without slices are left out.
    """
    shown = [t for t in trials if t.loop == "open" and t.purpose in IN_SERVICE and slices(t)]
    return sorted(shown, key=lambda t: t.started)[-MOST:]


def trial_name(trial: Trial) -> str:
    """`13 at 450 calls/s`, or `4 × 5 at 450 calls/s` where there are several pools."""
    size = str(trial.pool_size) if trial.pools == 1 else f"{trial.pools} × {trial.pool_size}"
    return f"{size} at {rate(trial.arrival_rate)}"
