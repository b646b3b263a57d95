"""A trial of several generators: what each did, and a check that one fails fails for all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from poolkit.analysis.generators import of_generators, replicas_alike
from poolkit.analysis.summary import summarise
from poolkit.load.together import Part, together
from poolkit.records import GeneratorShare, Trial
from tests.load.test_together import OK, recorded


def even(calls: int) -> Part:
    """A generator that sent `calls` calls in 2 s, evenly."""
    return recorded([(2.0 * i / calls, 0.0, 0.0, 0.01, OK) for i in range(calls)], 4)


def planned(part: Part, rate: float) -> Part:
    return replace(part, measurement=replace(part.measurement, arrival_rate=rate))


def trial_of(parts: dict[str, Part]) -> Trial:
    whole = summarise(
        replace(together(list(parts.values())), pool_size=4),
        target="t",
        driver="aiohttp",
        fingerprint="f",
        purpose="verify",
        pools=len(parts),
    )
    return of_generators(whole, parts)


def test_each_generator_is_named_with_what_it_did() -> None:
    """In the order they were given; the sum is the trial's."""
    trial = trial_of({"generator 1": even(200), "generator 2": even(300)})
    assert [one.name for one in trial.generators] == ["generator 1", "generator 2"]
    assert [one.sent for one in trial.generators] == pytest.approx([100.0, 150.0], rel=0.02)
    assert sum(one.throughput for one in trial.generators) == pytest.approx(trial.throughput)


@pytest.mark.parametrize(("rate", "passed"), [(100.0, True), (101.9, True), (103.0, False)])
def test_a_replica_sends_its_share_to_two_per_cent(rate: float, passed: bool) -> None:
    """One that sends less than it was to is no replica of the others."""
    trial = trial_of({"a": planned(even(200), 100.0), "b": planned(even(200), rate)})
    (check,) = [one for one in trial.checks if one.name == "shares"]
    assert check.passed is passed
    assert passed or check.seen.startswith("b sent")


def replica(name: str, wait: float | None, throughput: float, pools: int = 1) -> GeneratorShare:
    return GeneratorShare(
        name=name,
        pools=pools,
        pool_size=4,
        planned=throughput,
        sent=throughput,
        throughput=throughput,
        wait_p99=wait,
        lag_p99=0.001,
        cpu_share=0.1,
        loop_lag_p99=None,
        skew=0.0,
    )


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        ([replica("a", 0.004, 100.0), replica("b", 0.007, 99.0)], True),
        ([replica("a", 0.004, 200.0, 2), replica("b", 0.004, 100.0)], True),  # each pool alike
        ([replica("a", 0.001, 100.0), replica("b", 0.015, 99.0)], True),  # nobody notices 15 ms
        ([replica("a", 0.010, 100.0), replica("b", 0.090, 99.0)], False),
        ([replica("a", 0.004, 100.0), replica("b", 0.004, 70.0)], False),
        ([replica("a", None, 0.0), replica("b", None, 0.0)], False),
    ],
)
def test_replicas_wait_and_carry_alike(found: list[GeneratorShare], passed: bool) -> None:
    """By the longest p99 wait against the others', and Jain's index of what each pool carried."""
    check = replicas_alike(found, hold=0.005)
    assert check.passed is passed
    assert check.name == "replicas_alike"
    if found[1].wait_p99 == 0.090:
        assert "Jain's index 0.61" in check.seen
        assert "the longest that of b" in check.seen


def test_one_busy_generator_makes_the_trial_doubtful() -> None:
    """Though all of them together were not busy."""
    calm, busy = even(200), even(200)
    samples = busy.measurement.samples
    late = samples._replace(cpu=0.99 * samples.at, waited=np.zeros(samples.at.size))
    busy = replace(busy, measurement=replace(busy.measurement, samples=late))
    calm_samples = calm.measurement.samples
    calm = replace(
        calm,
        measurement=replace(
            calm.measurement, samples=calm_samples._replace(cpu=0.1 * calm_samples.at)
        ),
    )
    trial = trial_of({"calm": calm, "busy": busy})
    (check,) = [one for one in trial.checks if one.name == "client_bound"]
    assert not check.passed


def test_a_trial_of_one_process_stays_as_it_is() -> None:
    """It has no generators to name."""
    part = even(200)
    trial = summarise(
        part.measurement, target="t", driver="aiohttp", fingerprint="f", purpose="verify"
    )
    assert of_generators(trial, {}) is trial
