"""What changed between two reviews, and when it is more than noise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.records import (
    CurvePoint,
    HoldTimes,
    Interval,
    Knee,
    Plateau,
    Recommendation,
    RecommendedFile,
)
from poolkit.review.compare import Comparison, Difference, are_apart, compare
from tests.recommend import examples


def reviewed(created: str, *targets: Recommendation) -> RecommendedFile:
    return RecommendedFile(created=created, targets=targets)


def entry(name: str = "orders", **changes: object) -> Recommendation:
    settings: dict[str, object] = {
        "target": name,
        "driver": "aiohttp",
        "status": "done",
        "target_rate": 500.0,
        "wait_p99": 0.01,
        "recommended_size": 14,
        "plateau": Plateau(throughput=785.0, interval95=(770.0, 800.0)),
        "hold_time": HoldTimes(at_one=0.016, at_recommended=0.024),
    }
    return Recommendation.model_validate(settings | changes)


def differences(old: Recommendation, new: Recommendation) -> dict[str, Difference]:
    comparison = compare(reviewed("2026-01-01", old), reviewed("2026-04-01", new))
    return {difference.quantity: difference for difference in comparison.differences}


def test_the_same_review_twice_differs_in_nothing() -> None:
    """Every quantity is there, and none is larger than the noise."""
    found = differences(entry(), entry())
    assert list(found) == [
        "recommended_size",
        "plateau",
        "hold_time.at_one",
        "hold_time.at_recommended",
    ]
    assert not any(difference.is_larger_than_noise for difference in found.values())


@pytest.mark.parametrize(
    ("size", "is_larger"),
    [(14, False), (15, False), (16, False), (17, True), (11, True), (None, None)],
)
def test_a_size_is_known_to_one_connection(size: int | None, is_larger: bool | None) -> None:
    """Two sizes differ when the intervals of one connection around them do not meet."""
    found = differences(entry(), entry(recommended_size=size))["recommended_size"]
    assert found.is_larger_than_noise is is_larger
    assert (found.before, found.after) == (14, size)


@pytest.mark.parametrize(
    ("interval", "is_larger"),
    [((790.0, 830.0), False), ((801.0, 830.0), True), ((700.0, 769.0), True), (None, None)],
)
def test_a_plateau_differs_when_its_intervals_are_apart(
    interval: Interval | None, is_larger: bool | None
) -> None:
    """Without an interval it cannot be said, and the note says why."""
    new = entry(plateau=Plateau(throughput=800.0, interval95=interval))
    found = differences(entry(), new)["plateau"]
    assert found.is_larger_than_noise is is_larger
    assert bool(found.note) is (is_larger is None)


def test_hold_times_have_no_interval_so_nothing_is_claimed() -> None:
    """The numbers are shown, the judgement is not made up."""
    found = differences(entry(), entry(hold_time=HoldTimes(at_one=0.03, at_recommended=None)))
    assert found["hold_time.at_one"].is_larger_than_noise is None
    assert found["hold_time.at_one"].note == "no interval is known"
    assert found["hold_time.at_recommended"].note == "measured on one side only"


def test_settings_that_changed_are_told() -> None:
    """A higher rate explains a larger pool."""
    found = differences(entry(), entry(target_rate=600.0, wait_p99=0.02, status="stopped"))
    assert (found["target_rate"].before, found["target_rate"].after) == (500.0, 600.0)
    assert found["wait_p99"].unit == "s"
    assert (found["status"].before, found["status"].after) == ("done", "stopped")


def test_targets_that_came_and_went() -> None:
    """Both are told, the new review's order first."""
    comparison = compare(
        reviewed("2026-01-01", entry("old")), reviewed("2026-04-01", entry("new")), "caution"
    )
    rows = [(d.target, d.before, d.after) for d in comparison.differences]
    assert rows == [("new", None, "there"), ("old", "there", None)]
    assert Comparison.model_validate_json(comparison.model_dump_json()) == comparison


INTERVALS = st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)).map(lambda pair: tuple(sorted(pair)))


@given(INTERVALS, INTERVALS)
def test_apart_means_no_value_in_common(a: Interval, b: Interval) -> None:
    """It does not matter which came first, and an interval is never apart from itself."""
    assert are_apart(a, b) == are_apart(b, a)
    assert are_apart(a, b) == (max(a[0], b[0]) > min(a[1], b[1]))
    assert not are_apart(a, a)


def test_hold_times_vary_as_the_throughput_does_at_their_size() -> None:
    """In a closed loop hold = connections / throughput: its interval is that of the curve there."""
    points = tuple(
        CurvePoint(
            pool_size=n, throughput=x, interval95=(0.95 * x, 1.05 * x), hold_time=n / x, repeats=2
        )
        for n, x in ((1, 62.5), (16, 640.0))
    )
    sizing = examples.sizing().model_copy(update={"points": points})
    old, new = entry(), entry(hold_time=HoldTimes(at_one=0.0164, at_recommended=0.030))
    comparison = compare(
        reviewed("2026-01-01", old),
        reviewed("2026-04-01", new),
        sizings_before={"orders": sizing},
        sizings_after={"orders": sizing},
    )
    found = {d.quantity: d for d in comparison.differences}
    at_one = found["hold_time.at_one"]
    assert at_one.before_interval == pytest.approx((0.016 / 1.05, 0.016 / 0.95))
    assert at_one.is_larger_than_noise is False
    assert found["hold_time.at_recommended"].is_larger_than_noise is True


@pytest.mark.parametrize(("knee", "is_larger"), [(8.4, False), (9.6, True), (None, None)])
def test_the_knee_is_compared_too(knee: float | None, is_larger: bool | None) -> None:
    """The Little's Law knee, by the intervals of both; where one is not known it cannot be said."""
    old = entry(knees=(Knee(rule="littles_law", size=8.2, interval95=(7.9, 8.6)),))
    interval = None if knee is None else (knee - 0.3, knee + 0.3)
    new = entry(knees=(Knee(rule="littles_law", size=knee, interval95=interval),))
    assert differences(old, new)["knee"].is_larger_than_noise is is_larger
