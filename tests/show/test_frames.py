"""Data frames of records: one row each, in the records' units."""

from __future__ import annotations

import pytest

from poolkit.show import frames
from tests.show.cases import CASES, records


def test_trials_are_rows_in_seconds_and_calls_per_second() -> None:
    """The figures are those of the records, so a notebook may filter and plot them."""
    _, measured, _ = records(CASES["a soft knee"])
    frame = frames.trials(measured)
    assert len(frame) == len(measured)
    row, trial = frame.iloc[0], measured[0]
    assert (row.pool_size, row.purpose) == (trial.pool_size, trial.purpose)
    assert (row.throughput, row.wait_p99) == (trial.throughput, trial.wait_time.p99)
    assert (row.hold_p50, row.response_mean) == (trial.hold_time.p50, trial.response_time.mean)
    assert frame.attrs["units"]["wait_p99"] == "s"
    assert frame.attrs["units"]["throughput"] == "calls/s"
    curve = frame[frame.is_of_curve & frame.is_usable]
    assert curve.groupby("pool_size").throughput.mean().idxmax() > 8


def test_what_a_trial_does_not_have_is_not_a_number() -> None:
    """A closed loop has no arrival rate; the column is one of numbers all the same."""
    _, measured, _ = records(CASES["a soft knee"])
    closed = frames.trials([trial for trial in measured if trial.loop == "closed"])
    assert closed.arrival_rate.isna().all()
    assert closed.arrival_rate.dtype == float


@pytest.mark.parametrize("name", CASES)
def test_every_case_gives_frames(name: str) -> None:
    """Checks, parameters and recommendations have a row for each of the records."""
    _, measured, recommendation = records(CASES[name])
    assert len(frames.checks(measured)) == sum(len(trial.checks) for trial in measured)
    assert len(frames.checks([recommendation])) == len(recommendation.checks)
    assert len(frames.parameters([recommendation])) == len(recommendation.parameters)
    (row,) = frames.recommendations([recommendation]).to_dict("records")
    assert row["target_rate"] == recommendation.target_rate


def test_a_check_is_told_with_its_size() -> None:
    """Which trial failed which check can be asked of the frame."""
    _, measured, _ = records(CASES["a database, the largest size failed its checks"])
    failed = frames.checks(measured).query("not passed")
    assert set(failed["name"]) == {"client_bound"}
    assert set(failed["pool_size"]) == {12}
