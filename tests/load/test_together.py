"""What several generators recorded adds up to what one would have, had it sent all the calls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolkit.load.measurement import Floats, Measurement, Samples
from poolkit.load.recorder import ERROR, OK, REJECTED, Recorder
from poolkit.load.stamps import CallStamps
from poolkit.load.together import Moments, Part, check_part, together
from poolkit.records import Distribution

SECONDS, SEGMENT, BIN = 2.0, 0.2, 0.005
CONNECTIONS = 4  # of each generator: more than calls that are there at once, so that none waits

# When it was due, how late it began, how long it waited, how long it held, and how it ended.
CALLS = st.lists(
    st.tuples(
        st.floats(0.0, 1.9),
        st.floats(0.0, 0.01),
        st.floats(0.0, 0.05),
        st.floats(0.0, 0.3),
        st.sampled_from((OK, OK, OK, ERROR, REJECTED)),
    ),
    max_size=40,
)


def recorded(calls: list[tuple[float, ...]], connections: int) -> Part:
    """The part of a generator that sent these calls."""
    moments = Moments()
    recorder = Recorder(SECONDS, SEGMENT, BIN, moments, connections=connections)
    for due, late, wait, hold, outcome in sorted(calls, key=lambda c: sum(c[:4])):
        stamps = CallStamps(lambda: 0.0, 0.0)
        stamps.acquired_at = due + late + wait
        stamps.dialled_at = stamps.acquired_at
        stamps.served_at = released = stamps.acquired_at + hold
        if outcome == OK:
            recorder.add(due, due + late, stamps, released, OK)
        else:
            recorder.add_failure(due, due + late, stamps, released, int(outcome), "a_kind")
    recorder.finish()
    measured = Measurement(
        loop="open",
        pool_size=CONNECTIONS,
        callers=None,
        arrival_rate=len(calls) / SECONDS,
        seed=1,
        started="2026-01-01T00:00:00+00:00",
        warm_up=0.0,
        seconds=SECONDS,
        segment_seconds=SEGMENT,
        segments=tuple(recorder.segments[:-1]),
        bin_seconds=BIN,
        completions=recorder.completions,
        samples=samples(np.linspace(0.0, SECONDS, 5), float(len(calls))),
    )
    return Part(measured, moments, 1, connections, 0.0, len(calls))


def samples(at: Floats, slope: float) -> Samples:
    """Rows in which all that adds up grows by `slope` a second."""
    return Samples(*[slope * at if name != "at" else at for name in Samples._fields])


@settings(max_examples=60)
@given(st.lists(CALLS, min_size=1, max_size=4))
def test_the_sum_is_what_one_generator_would_have_recorded(
    each: list[list[tuple[float, ...]]],
) -> None:
    """Outcomes, histograms, timeline, and how long how many connections were in use."""
    everything = [call for calls in each for call in calls]
    most = max(1, len(everything))
    whole = recorded(everything, most).measurement
    found = together([recorded(calls, most) for calls in each])
    assert found.arrival_rate == pytest.approx(len(everything) / SECONDS)
    assert (found.completions == whole.completions).all()
    for one, other in zip(found.segments, whole.segments, strict=True):
        assert one.outcomes == other.outcomes
        assert one.error_kinds == other.error_kinds
        for name in ("wait", "hold", "response", "lag", "lost_wait"):
            ours, theirs = getattr(one, name), getattr(other, name)
            assert (ours.counts == theirs.counts).all()
            assert ours.total == pytest.approx(theirs.total)
        assert one.held_seconds == pytest.approx(other.held_seconds)
        a, b = one.in_use.states(), other.in_use.states()
        assert sum(s for s, _, _ in a.values()) == pytest.approx(
            sum(s for s, _, _ in b.values()), abs=1e-6
        )
        long = {n: s for n, s in a.items() if s[0] > 1e-6 or s[1]}
        assert long.keys() == {n for n, s in b.items() if s[0] > 1e-6 or s[1]}
        for n, (seconds, released, rejected) in long.items():
            assert (released, rejected) == b[n][1:]
            assert seconds == pytest.approx(b[n][0], abs=1e-6)


def test_the_percentile_of_the_sum_is_that_of_all_calls() -> None:
    """Not a mean of percentiles: ten slow calls of one generator are the p99 of two."""
    fast = recorded([(0.01 * i, 0.0, 0.0, 0.01, OK) for i in range(100)], 100)
    slow = recorded([(0.01 * i, 0.0, 0.0, 0.2, OK) for i in range(10)], 100)
    holds = sum_of(together([fast, slow]))
    assert holds.p99 == pytest.approx(0.2, rel=0.01)
    assert holds.p50 == pytest.approx(0.01, rel=0.01)


def sum_of(measured: Measurement) -> Distribution:
    """The hold times of all segments."""
    whole = measured.segments[0]
    for segment in measured.segments[1:]:
        whole.merge(segment)
    return whole.hold.distribution()


def test_only_the_time_in_which_all_ran_counts() -> None:
    """A generator that was halted early cuts the trial for all."""
    one, other = recorded([(0.1, 0, 0, 0.1, OK)], 4), recorded([(1.5, 0, 0, 0.1, OK)], 4)
    short = replace(
        other.measurement,
        segments=other.measurement.segments[:5],
        completions=other.measurement.completions[:200],
        seconds=1.0,
    )
    found = together([one, replace(other, measurement=short)])
    assert found.seconds == pytest.approx(1.0)
    assert len(found.segments) == 5
    assert found.completions.size == 200


def test_machine_and_loop_are_the_busiest_generators() -> None:
    """One late generator makes the trial doubtful, however idle the others are."""
    idle, busy = recorded([], 4), recorded([(0.1, 0, 0, 0.1, OK)] * 3, 4)
    found = together([idle, busy]).samples
    assert found.cpu[-1] == pytest.approx(busy.measurement.samples.cpu[-1])
    assert found.area[-1] == pytest.approx(
        idle.measurement.samples.area[-1] + busy.measurement.samples.area[-1]
    )


def test_measurements_of_two_trials_do_not_add_up() -> None:
    """Their time is cut differently, so a sum would mean nothing."""
    one = recorded([], 4)
    other = replace(one, measurement=replace(one.measurement, segment_seconds=0.1))
    with pytest.raises(ValueError, match="one trial"):
        together([one, other])


def test_a_part_that_a_generator_measured_passes() -> None:
    """Whatever it sent."""
    for calls in ([], [(0.1, 0.0, 0.01, 0.1, OK), (0.2, 0.0, 0.0, 0.3, ERROR)]):
        part = recorded(calls, 4)
        assert check_part(part) is part


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"completions": np.zeros(391, dtype=np.int64)}, "the length of its timeline"),
        ({"completions": np.full(400, -1)}, "its timeline"),
        ({"samples": samples(np.full(5, np.nan), 1.0)}, "its samples"),
        ({"samples": samples(np.zeros(5), 1.0)._replace(cpu=np.zeros(4))}, "its samples"),
        ({"seconds": np.inf}, "its times"),
        ({"segments": (None,) * 10}, "not whole"),
    ],
)
def test_a_part_that_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    """It came over a network: what is wrong with it is said, and nothing of it is added up."""
    part = recorded([(0.1, 0.0, 0.01, 0.1, OK)], 4)
    wrong = replace(part, measurement=replace(part.measurement, **changes))
    with pytest.raises(ValueError, match=said):
        check_part(wrong)
    with pytest.raises(ValueError, match="no part"):
        check_part({"measurement": part.measurement})
