"""Steps in series that were measured again and again: found where they are, and kept quiet about
where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from poolkit.analysis.change_points import LEAST, PERSISTS, change_points

STABLE, STEPS = 200, 60  # series


def noise(seed: int, n: int) -> list[float]:
    return [float(x) for x in np.random.default_rng(seed).normal(100.0, 3.0, n)]


def stepped(seed: int, before: int, after: int, by: float) -> list[float]:
    values = noise(seed, before + after)
    return [value + by * (i >= before) for i, value in enumerate(values)]


def test_stable_series_raise_few_alarms() -> None:
    """At most one in twenty series that never change is said to."""
    assert sum(bool(change_points(noise(seed, 12))) for seed in range(STABLE)) <= 0.05 * STABLE


def test_a_step_of_three_sigma_is_seen_after_three_reviews() -> None:
    """In nine of ten, where the level before it is known from twelve."""
    found = [change_points(stepped(seed, 12, 3, 9.0)) for seed in range(STEPS)]
    assert sum(bool(steps) for steps in found) >= 0.9 * STEPS


def test_a_step_is_where_it_was_made() -> None:
    """Both levels, with intervals that hold the truth; and the same answer each time."""
    values = stepped(1, 12, 6, -15.0)
    (step,) = change_points(values)
    assert step.at == 12
    assert step.before.interval95[0] < 100.0 < step.before.interval95[1]
    assert step.after.interval95[0] < 85.0 < step.after.interval95[1]
    assert change_points(values) == (step,)


def test_there_and_back_are_two_steps() -> None:
    """Each level is that between its own two steps."""
    values = [v + 30.0 * (10 <= i < 20) for i, v in enumerate(noise(3, 30))]
    there, back = change_points(values)
    assert there.at == pytest.approx(10, abs=1)
    assert back.at == pytest.approx(20, abs=1)
    assert there.after.mean == pytest.approx(130.0, abs=3.0)
    assert back.after.mean == pytest.approx(100.0, abs=3.0)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [100.0] * 20,
        stepped(1, LEAST - 4, 3, 90.0),  # too few to tell a step from chance
        stepped(1, 20, PERSISTS - 1, 90.0),  # it may not last
        [*noise(1, 10), 190.0, *noise(2, 10)],  # one review that went wrong
    ],
    ids=["none", "constant", "few", "not yet borne out", "an outlier"],
)
def test_no_step_where_none_can_be_said(values: list[float]) -> None:
    """Silence, and no error."""
    assert change_points(values) == ()


def test_a_step_within_what_each_value_is_known_to_is_none() -> None:
    """Neither where the reviews' own intervals are wider, nor where it is no larger than asked."""
    values = [13.0] * 8 + [14.0] * 8
    assert len(change_points(values)) == 1
    assert change_points(values, [4.0] * 16) == ()
    assert change_points(values, least=2.0) == ()
