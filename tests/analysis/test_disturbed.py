"""Disturbed trials: measured again, left out where the second one differs; no false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from poolkit.analysis.curve import points
from poolkit.analysis.disturbed import MOST_AGAIN, QUIET, marked, settled, to_repeat
from poolkit.analysis.model import Fitted
from poolkit.analysis.sizing import size
from poolkit.measure.store import TrialLog
from poolkit.recommend.assemble import nearest_trial, parameters_of_trials
from poolkit.records import Check, Sizing, Sweep, Trial
from poolkit.show import tables
from tests.analysis.synthetic import distribution, drawn_trial
from tests.bench.population import FAMILIES, LARGEST, rows
from tests.bench.sizing_population import BUDGET, swept
from tests.recommend.examples import http_target

ROOT = Path(__file__).parents[2]
# A sweep of two cores that somebody else used while 17 connections were measured.
CURVE = {1: 59.0, 4: 237.0, 16: 771.0, 20: 761.0}
TARGET = http_target(target_rate=620.0, wait_p99=0.030, max_size=64)


def busy(n: int, throughput: float, p99: float, **changes: Any) -> Trial:
    """A trial with nearly every connection busy, its throughput known to 8 %."""
    mean = 0.98 * n / throughput
    hold = distribution(mean, cv=0.2).model_copy(update={"p99": p99})
    interval = (0.92 * throughput, 1.08 * throughput)
    return drawn_trial(n, throughput, **changes).model_copy(
        update={"hold_time": hold, "throughput_interval95": interval}
    )


SOUND = [busy(n, rate, 0.040 if n == 20 else 0.033) for n, rate in CURVE.items()]
DISTURBED = busy(17, 593.0, 0.147, purpose="refine").model_copy(
    update={"throughput_interval95": (503.0, 683.0)}
)
SECOND = busy(17, 766.0, 0.034, purpose="repeat")


def sized(trials: Sequence[Trial]) -> Sizing:
    return size(Sweep(target="t", trials=tuple(trials)), TARGET)


def left_out(trials: Sequence[Trial]) -> list[int]:
    return [n for n, trial in enumerate(settled(trials)) if trial.failed_checks]


def test_the_dip_is_measured_again_and_moves_nothing() -> None:
    """593 calls/s at 17 between 771 and 761 at 16 and 20: the size stays 13, and the limits."""
    assert sized(SOUND).size == 13
    moved = sized([*SOUND, DISTURBED]).size
    assert moved is None or moved > 13
    again = to_repeat([*SOUND, DISTURBED])
    assert again is not None
    assert again.pool_size == 17
    assert again.because == "again: 593 calls/s between 771 calls/s at 16 and 761 calls/s at 20"
    trials = settled([*SOUND, DISTURBED, SECOND])
    assert [trial.pool_size for trial in trials if not trial.is_usable] == [17]
    assert to_repeat(trials) is None
    found = sized(trials)
    assert found.size == 13
    at_17 = next(point for point in found.points if point.pool_size == 17)
    assert (at_17.throughput, at_17.repeats) == (pytest.approx(766.0), 1)
    assert nearest_trial(trials, 17) is trials[-1]
    reads = {
        row.value
        for kept in ([*SOUND, SECOND], trials)
        for row in parameters_of_trials(TARGET, found, 17, None, kept)
        if row.name == "sock_read"
    }
    (spoilt,) = (
        row.value
        for row in parameters_of_trials(TARGET, found, 17, None, [*SOUND, DISTURBED])
        if row.name == "sock_read"
    )
    assert len(reads) == 1
    assert spoilt not in reads
    # The same holds of the hold times that responses are read off.
    holds, sound = (
        Fitted.of(Sweep(target="t", trials=tuple(kept))).holds
        for kept in (trials, [*SOUND, SECOND])
    )
    assert (holds.above == sound.above).all()


def test_the_table_says_why_and_what_stands_in_its_place() -> None:
    """Both trials of the size in a row, the reason beside the one that is not fitted."""
    table = tables.trials(settled([*SOUND, DISTURBED, SECOND]))
    fitted = [row[-1] for row in table.rows if row[0] == "17"]
    assert fitted == [
        "✗ this machine was busy with other work: 593 calls/s between 771 calls/s at 16 and "
        "761 calls/s at 20; "
        "766 calls/s in another trial of this size",
        "✓ yes",
    ]


def test_which_came_first_is_no_matter() -> None:
    """A sound trial, and a disturbed one when it is repeated."""
    first = SECOND.model_copy(update={"purpose": "refine"})
    again = DISTURBED.model_copy(update={"purpose": "repeat"})
    assert left_out([*SOUND, first, again]) == [len(SOUND) + 1]
    # ... or where the sizes that show it come last.
    assert left_out([*SOUND[:3], DISTURBED, SECOND, SOUND[3]]) == [3]


def test_a_ramp_step_that_reads_low_is_found_when_the_next_is_there() -> None:
    """No dip, as 16 connections bring a little more than 8: but 32 serve each call sooner."""
    ramp = [drawn_trial(n, n / 0.025) for n in (1, 2, 4, 8)]
    ramp.append(drawn_trial(16, 350.0))
    assert to_repeat(ramp) is None
    ramp.append(drawn_trial(32, 1000.0))
    again = to_repeat(ramp)
    assert again is not None
    assert (again.pool_size, again.because) == (16, "again: 350 calls/s before 1000 calls/s at 32")
    assert left_out([*ramp, drawn_trial(16, 640.0, purpose="repeat")]) == [4]


@pytest.mark.parametrize(
    ("second", "again", "out"),
    [
        (300.0, False, []),  # the same: it is the endpoint's own
        (310.0, False, []),
        (345.0, True, []),  # neither the same nor sound: one more
        (395.0, False, [3]),
    ],
)
def test_a_true_dip_is_measured_twice_and_kept(second: float, again: bool, out: list[int]) -> None:
    """An upstream that serves 12 connections worse than 8 or 16 is no machine's fault."""
    curve = {1: 50.0, 4: 200.0, 8: 400.0, 12: 300.0, 16: 400.0, 32: 400.0}
    trials = [drawn_trial(n, rate, dispersion=0.02) for n, rate in curve.items()]
    assert to_repeat(trials) is not None
    trials.append(drawn_trial(12, second, purpose="repeat", dispersion=0.02))
    assert (to_repeat(trials) is not None) is again
    assert left_out(trials) == out


def test_measuring_again_ends() -> None:
    """Whatever the trials say: for each size, and for all of them together."""
    trials = [drawn_trial(n, n / 0.02) for n in (1, 2, 4)]
    trials += [drawn_trial(8, 300.0), drawn_trial(12, 250.0), drawn_trial(16, 310.0)]
    trials.append(drawn_trial(32, 1600.0))
    rate = 1.0
    for _ in range(20):
        again = to_repeat(settled(trials))
        if again is None:
            break
        rate *= 0.9  # never the same, and never sound
        trials.append(drawn_trial(again.pool_size, 300.0 * rate, purpose="repeat"))
    sizes = [trial.pool_size for trial in trials]
    assert max(sizes.count(n) for n in sizes) <= 1 + MOST_AGAIN
    assert len(trials) <= 7 + 2 * MOST_AGAIN


def noisy(n: int, **changes: Any) -> Trial:
    check = Check(name=QUIET, passed=False, seen="others took 97%", why="", next="")
    return drawn_trial(n, 0.8 * n / 0.02, checks=[check], **changes)


def test_a_trial_on_a_busy_machine_is_measured_again_a_few_times() -> None:
    """At once; not for ever, and no more where many were disturbed."""
    calm = [drawn_trial(n, n / 0.02) for n in (1, 2)]
    again = to_repeat([*calm, noisy(4)])
    assert again is not None
    assert (again.pool_size, again.because) == (
        4,
        "again: the machine was not quiet (others took 97%)",
    )
    assert to_repeat([*calm, noisy(4), drawn_trial(4, 200.0)]) is None
    assert to_repeat([*calm, noisy(4), noisy(4)]) is not None
    assert to_repeat([*calm, noisy(4), noisy(4), noisy(4)]) is None
    assert to_repeat([*calm, noisy(4), noisy(4), noisy(4), noisy(8)]) is None
    assert to_repeat([*calm, *(noisy(n) for n in (4, 8, 16))]) is not None
    assert to_repeat([*calm, *(noisy(n) for n in (4, 8, 16, 32))]) is None
    # Neither a size in service nor the last look is a point of the curve.
    assert to_repeat([*calm, noisy(2, purpose="sentinel")]) is None


@pytest.mark.parametrize(
    ("others", "again"),
    [
        # The server's own: a millisecond of two cores for each call, whatever the size.
        ({4: 0.10, 8: 0.20, 12: 0.25, 16: 0.25}, False),
        # A call costs more the more of them there are.
        ({4: 0.10, 8: 0.30, 12: 0.60, 16: 0.70}, False),
        # Somebody else's.
        ({4: 0.10, 8: 0.55, 12: 0.25, 16: 0.25}, True),
        # Their work goes on all the time: nothing sets the one trial apart.
        ({4: 0.60, 8: 0.65, 12: 0.70, 16: 0.70}, False),
        # Much for a call, but little of the machine.
        ({4: 0.01, 8: 0.12, 12: 0.02, 16: 0.02}, False),
    ],
)
def test_cpu_that_others_take_is_held_against_the_next_sizes(
    others: dict[int, float], again: bool
) -> None:
    """On a lab run the endpoint's own CPU is among it, and no disturbance."""
    rates = {4: 200.0, 8: 385.0, 12: 500.0, 16: 500.0}
    trials = [drawn_trial(n, rates[n], others_cpu=share) for n, share in others.items()]
    found = to_repeat(trials)
    assert (found is not None) is again
    if found is None:
        return
    assert found.because == (
        "again: 385 calls/s while others took 55% of the cores' time, 25% at most at 4 and 12"
    )
    # A second one that is as fast shows that no harm was done.
    second = drawn_trial(8, 390.0, others_cpu=0.2, purpose="repeat")
    assert left_out([*trials, second]) == []
    assert to_repeat([*trials, second]) is None
    assert left_out([*trials, second.model_copy(update={"throughput": 450.0})]) == [1]


def test_marks_do_not_depend_on_when_they_are_asked_for() -> None:
    """Trial by trial while it is measured, or read from the file afterwards."""
    trials = [*SOUND[:3], DISTURBED, SECOND, SOUND[3], busy(16, 600.0, 0.1, purpose="repeat")]
    live: list[Trial] = []
    for trial in trials:
        live = marked([*live, trial])
    assert live == settled(trials)
    assert marked(live) == live
    assert [bool(trial.failed_checks) for trial in live] == [n in (3, 6) for n in range(7)]
    assert {point.repeats for point in points(live)} == {1}


@pytest.mark.parametrize(
    "log", sorted((ROOT / "data" / "recordings").glob("*/*.trials.jsonl")), ids=lambda p: p.stem
)
def test_no_recording_was_disturbed(log: Path) -> None:
    """Measured on a quiet machine: after no trial is one of them doubted, and all are kept."""
    trials = TrialLog(log).read()
    assert trials
    assert not any(check.name == QUIET for trial in trials for check in trial.failed_checks)
    assert [to_repeat(trials[:end]) for end in range(1, len(trials) + 1)] == [None] * len(trials)


def test_simulated_upstreams_hardly_ever_look_disturbed() -> None:
    """Fourteen kinds, those that slow down and pause among them: one sweep in ten at most."""
    again = out = sweeps = trials = 0
    for family in FAMILIES:
        for row in rows(family, 1, seed=3):
            objective = http_target(target_rate=row.rate, wait_p99=row.wait, max_size=LARGEST)
            measured = swept(row, objective, BUDGET, seed=5).trials
            doubts = (to_repeat(settled(measured[:end])) for end in range(1, len(measured)))
            again += sum(doubt is not None for doubt in doubts)
            out += len(left_out(measured)) - sum(not trial.is_usable for trial in measured)
            sweeps, trials = sweeps + 1, trials + len(measured)
    assert sweeps >= 14
    assert again <= 0.1 * sweeps
    assert out <= 0.01 * trials
