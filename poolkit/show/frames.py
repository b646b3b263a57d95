"""Records as pandas data frames, one row each, for a notebook's own filters and plots.

Times are seconds and rates calls per second, as in the records: UNITS names the unit of each
column, and `frame.attrs["units"]` holds those of a frame. What a record does not have is NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from poolkit.errors import MissingExtra
from poolkit.records import (
    Check,
    GeneratorShare,
    Parameter,
    Recommendation,
    Sizing,
    TodaysWaits,
    Trial,
    WaitShare,
)

if TYPE_CHECKING:
    import pandas as pd

# Parts of a call's time -> the statistics of it that a frame of trials has.
TIMES = {
    "response": ("mean", "p50", "p99"),
    "wait": ("mean", "p50", "p99", "longest"),
    "hold": ("mean", "p50", "p99"),
    "dial": ("mean",),
    "service": ("mean",),
    "release": ("mean",),
}
_COLUMNS = {
    "connections": ("pool_size", "in_use", "most_in_use"),
    "pools": ("pools",),
    "callers": ("callers",),
    "calls": ("gate", "concurrency", "disconnects", "releases"),
    "calls/s": (
        "arrival_rate",
        "planned",
        "sent",
        "throughput",
        "throughput_low",
        "throughput_high",
    ),
    "dials": ("connections_opened",),
    "s": (
        *(f"{part}_{name}" for part, names in TIMES.items() for name in names),
        "longer_than",
        *("lag_p99", "loop_lag_p99", "skew", "warm_up", "window", "seconds"),
    ),
}
UNITS = {name: unit for unit, names in _COLUMNS.items() for name in names}
# Fields of a trial in the order of the columns: before the times, and after them.
_OF_LOAD = ("target", "purpose", "loop", "pool_size", "pools", "gate", "callers",
            "arrival_rate", "throughput")  # fmt: skip
_OF_WINDOW = ("concurrency", "most_in_use", "utilisation", "warm_up", "window")
_OF_CLIENT = ("connections_opened", "disconnects", "reuse_ratio", "cpu_share", "fairness",
              "wait_is_exact", "stopped", "is_of_curve", "is_usable")  # fmt: skip
_OF_STATE = ("in_use", "seconds", "releases", "throughput", "throughput_low", "throughput_high",
             "hold_mean")  # fmt: skip
_OF_RECOMMENDATION = ("target", "driver", "status", "verdict", "target_rate", "wait_p99",
                      "recommended_size", "trials", "seconds")  # fmt: skip


def trials(measured: Iterable[Trial]) -> pd.DataFrame:
    """One row a trial, in the order given.

    `throughput_low` and `throughput_high` are the ends of the 95 % interval; `utilisation`,
    `reuse_ratio`, `cpu_share` and `fairness` are shares (0 to 1); `is_usable`: no check failed and
    no brake stopped it; `is_of_curve`: a closed loop over sizes, not a size in service nor the
    climb to the target rate (`purpose` approach).
    """
    return _frame([_trial(trial) for trial in measured])


def generators(measured: Iterable[Trial]) -> pd.DataFrame:
    """One row a generator of each trial of a fleet: what it had of the load, and what it saw.

    `trial` counts the trials from 0; `planned` is what it was to send, `throughput` what it got.
    """
    rows = [
        {"trial": number, **share.model_dump()}
        for number, trial in enumerate(measured)
        for share in trial.generators
    ]
    return _frame(rows, ("trial", *GeneratorShare.model_fields))


def states(sizing: Sizing) -> pd.DataFrame:
    """One row a number of connections in use at once: throughput there.

    `seconds` is T(n), `releases` C(n), `throughput` C(n) / T(n), `hold_mean` n / throughput.
    """
    rows = []
    for state in sizing.states:
        low, high = state.interval95 or (None, None)
        rows.append(
            {
                "in_use": state.in_use,
                "seconds": state.seconds,
                "releases": state.releases,
                "throughput": state.throughput,
                "throughput_low": low,
                "throughput_high": high,
                "hold_mean": state.mean_hold,
            }
        )
    return _frame(rows, _OF_STATE)


def waits(today: TodaysWaits) -> pd.DataFrame:
    """One row a bound of a service's histogram of waits: the shares of calls that wait longer.

    `longer_than` is the bound; `counted` and `predicted` are shares (0 to 1).
    """
    return _frame([row.model_dump() for row in today.shares], tuple(WaitShare.model_fields))


def checks(found: Iterable[Trial | Recommendation]) -> pd.DataFrame:
    """One row a check of trials or recommendations: of what, its name, outcome and words."""
    rows = [
        {"target": record.target, "pool_size": _size(record), **check.model_dump()}
        for record in found
        for check in record.checks
    ]
    return _frame(rows, ("target", "pool_size", *Check.model_fields))


def parameters(found: Iterable[Recommendation]) -> pd.DataFrame:
    """One row a recommended parameter of the client library, with its unit and reason."""
    rows = [
        {"target": r.target, "driver": r.driver, **parameter.model_dump()}
        for r in found
        for parameter in r.parameters
    ]
    return _frame(rows, ("target", "driver", *Parameter.model_fields))


def recommendations(found: Iterable[Recommendation]) -> pd.DataFrame:
    """One row a target: the size, what was asked, what bounds it and what it was seen to carry."""
    rows = [
        {name: getattr(r, name) for name in _OF_RECOMMENDATION}
        | {
            "plateau": r.plateau.throughput if r.plateau else None,
            "achieved_rate": r.verification.achieved_rate if r.verification else None,
            "achieved_wait_p99": r.verification.wait_p99 if r.verification else None,
            "is_verified": r.is_verified,
        }
        for r in found
    ]
    return _frame(rows)


def _size(record: Trial | Recommendation) -> int | None:
    return record.pool_size if isinstance(record, Trial) else record.recommended_size


def _trial(trial: Trial) -> dict[str, Any]:
    low, high = trial.throughput_interval95 or (None, None)
    times = {
        f"{part}_{name}": getattr(getattr(trial, f"{part}_time"), name)
        for part, names in TIMES.items()
        for name in names
    }
    return {
        **{name: getattr(trial, name) for name in _OF_LOAD},
        "throughput_low": low,
        "throughput_high": high,
        **times,
        "lag_p99": trial.lag.p99,
        **{name: getattr(trial, name) for name in _OF_WINDOW},
        "calls": sum(trial.outcomes.values()),
        "errors": sum(n for outcome, n in trial.outcomes.items() if outcome != "ok"),
        **{name: getattr(trial, name) for name in _OF_CLIENT},
    }


def _frame(rows: list[dict[str, Any]], columns: Sequence[str] | None = None) -> pd.DataFrame:
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtra("pandas", "workbook") from error
    frame = pd.DataFrame(rows, columns=columns)
    for name in frame.columns.intersection(UNITS):
        # A column of None alone would else be one of objects.
        frame[name] = pd.to_numeric(frame[name])
    frame.attrs["units"] = {name: UNITS[name] for name in frame.columns if name in UNITS}
    return frame
