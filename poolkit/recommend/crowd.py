"""What the gate is good for here: more callers than connections, without it and with it."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit import units
from poolkit.records import Trial


def effect_of_gate(trials: Sequence[Trial], size: int) -> str | None:
    """The longest waits of the crowded trials at this size, in one clause; None: not tried."""
    crowded = [t for t in trials if t.purpose == "fairness" and t.pool_size == size]
    without = next((t for t in reversed(crowded) if t.gate is None), None)
    gated = next((t for t in reversed(crowded) if t.gate is not None), None)
    if without is None or gated is None:
        return None
    callers = units.plural(without.callers or 0, "caller")
    return f"{callers} at once: {_wait(without)} without the gate, {_wait(gated)} with it"


def is_without_gate(trial: Trial) -> bool:
    """Whether the trial left the gate out to show what happens: no doubt of the result."""
    return trial.purpose == "fairness" and trial.gate is None


def _wait(trial: Trial) -> str:
    longest = units.milliseconds(trial.wait_time.longest)
    starved = any(check.name == "fair" and not check.passed for check in trial.checks)
    return f"longest wait {longest}{' (callers starve)' if starved else ''}"
