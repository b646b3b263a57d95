"""The service models are exact in virtual time: their truth can be computed without a clock."""

from __future__ import annotations

import heapq
import itertools
import math
from statistics import fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.errors import BadInput
from poolkit.lab import models
from poolkit.lab.models import (
    Arrive,
    Burner,
    Contended,
    CpuBound,
    Mixed,
    Model,
    Workers,
    duration,
    either,
)


def closed_loop(service: Arrive, callers: int, calls: int) -> float:
    """Calls/s of callers that send the next call at the very moment of their answer."""
    answers = [0.0] * callers
    for _ in range(calls):
        heapq.heapreplace(answers, service(answers[0]))
    return calls / answers[0]


@pytest.mark.parametrize("cv", [0.0, 0.3, 1.0, 2.0])
def test_durations_have_the_mean_and_the_variation_asked_for(cv: float) -> None:
    """By moments: 200,000 draws with a fixed seed."""
    draw = duration(0.025, cv, seed=3)
    drawn = [draw() for _ in range(200_000)]
    assert fmean(drawn) == pytest.approx(0.025, rel=0.02)
    assert pstdev(drawn) / fmean(drawn) == pytest.approx(cv, rel=0.05)


def test_a_seed_repeats_its_durations() -> None:
    """The same seed gives the same upstream, another seed another one."""
    first, again, other = (duration(1.0, 0.5, seed) for seed in (1, 1, 2))
    assert [first() for _ in range(5)] == (drawn := [again() for _ in range(5)])
    assert drawn != [other() for _ in range(5)]


def test_either_kind_has_its_share() -> None:
    """A tenth slow ones, neither in a row nor in step with how long the fast ones take."""
    fast = duration(0.008, 0.3, seed=3)
    draw = either(lambda: 1.0, 0.1, fast, seed=3)
    drawn = [draw() for _ in range(100_000)]
    slow = [time == 1.0 for time in drawn]
    assert fmean(slow) == pytest.approx(0.1, rel=0.05)
    assert fmean(a and b for a, b in itertools.pairwise(slow)) == pytest.approx(0.01, rel=0.1)
    assert fmean(time for time in drawn if time < 1.0) == pytest.approx(0.008, rel=0.02)


def test_workers_serve_in_order_of_arrival() -> None:
    """Two workers of 1 s: the third call waits for the first worker to be free."""
    service = Workers(workers=2, service_time=1.0).start()
    assert [service(at) for at in (0.0, 0.1, 0.2, 0.3, 9.0)] == [1.0, 1.1, 2.0, 2.1, 10.0]


@given(
    workers=st.integers(1, 4),
    gaps=st.lists(st.floats(0, 2), min_size=1, max_size=40),
    seed=st.integers(0, 50),
)
def test_workers_equal_the_multi_server_recursion(
    workers: int, gaps: list[float], seed: int
) -> None:
    """Kiefer and Wolfowitz (1955): the same draws through the sorted vector of workloads."""
    service = Workers(workers, service_time=1.0, cv=0.7, seed=seed).start()
    draw = duration(1.0, 0.7, seed)
    workloads = [0.0] * workers
    for gap, at in zip(gaps, itertools.accumulate(gaps), strict=True):
        workloads = sorted(max(0.0, left - gap) for left in workloads)
        workloads[0] += draw()
        assert service(at) == pytest.approx(at + workloads[0])


@pytest.mark.parametrize(
    ("model", "callers"),
    [
        (Workers(8, 0.012), 1),
        (Workers(8, 0.012), 8),
        (Workers(8, 0.012), 9),
        (Workers(8, 0.012, cv=0.5), 32),
        (Mixed(8, 0.004, 0.024, 0.1, cv=0.3), 4),
        (Mixed(8, 0.004, 0.024, 0.1, cv=0.3), 32),
        (Contended(0.009, 0.1, 0.001), 1),
        (Contended(0.009, 0.1, 0.001), 30),
        (Contended(0.009, 0.1, 0.001), 64),
    ],
)
def test_throughput_is_what_a_closed_loop_reaches(model: Model, callers: int) -> None:
    """The formula of the truth against the model's own answers."""
    reached = closed_loop(model.start(), callers, calls=60_000)
    assert reached == pytest.approx(model.throughput(callers), rel=0.02)


def test_a_contended_call_counts_those_in_service_when_it_starts() -> None:
    """base 1, sigma 1, kappa 0: n in service take n seconds; a finished one does not count."""
    service = Contended(base=1.0, sigma=1.0, kappa=0.0).start()
    assert service(0.0) == 1.0
    assert service(0.5) == 2.5
    assert service(1.0) == 3.0  # the first one is done at this very moment
    assert service(9.0) == 10.0


@pytest.mark.parametrize(
    ("model", "plateau"),
    [
        (Workers(24, 0.025), 960.0),
        (Mixed(16, 0.008, 0.048, 0.1), 16 / 0.012),
        (CpuBound(0.015, 0.00125), 800.0),
        (Contended(1.0, 0.0, 0.0), math.inf),
        (Contended(1.0, 0.5, 0.0), 2.0),
        (Contended(1.0, 2.0, 0.1), 1.0),  # slower from the second call on
    ],
)
def test_plateau(model: Model, plateau: float) -> None:
    """Each kind knows its highest throughput."""
    assert model.plateau == pytest.approx(plateau)


def test_contended_plateau_is_the_highest_point_of_its_curve() -> None:
    """The peak of the Universal Scalability Law lies at sqrt((1 - sigma) / kappa)."""
    model = Contended(0.009, 0.1, 0.001)
    assert model.plateau == max(model.throughput(callers) for callers in range(1, 200))


def test_the_thread_burns_one_call_after_the_other() -> None:
    """Calls that are ready together are answered `cpu` apart: a plateau of 1 / cpu."""
    burner = Burner(cpu=0.5)
    assert [burner.burn_until(1.0, now) for now in (1.0, 1.5, 2.0)] == [1.5, 2.0, 2.5]


@pytest.mark.parametrize(
    ("now", "until", "because"),
    [
        (1.0, 1.5, "on time"),
        (1.1, 1.5, "a little late: it catches up"),
        (9.0, 9.25, "after a stall: it still burns half of its time"),
    ],
)
def test_a_late_thread_catches_up_in_part(now: float, until: float, because: str) -> None:
    """Lateness does not lower the plateau, and no call is free."""
    assert Burner(cpu=0.5).burn_until(1.0, now) == until, because


@pytest.mark.parametrize(
    "model",
    [
        Workers(3, 0.01, 0.5, 7),
        Mixed(3, 0.01, 0.1, 0.2),
        CpuBound(0.01, 0.002),
        Contended(0.01, 0.1, 0.01),
    ],
)
def test_a_model_survives_its_command_line(model: Model) -> None:
    """A model reaches its process as JSON."""
    assert models.from_dict(models.to_dict(model)) == model


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"kind": "magic"}, "kind must be one of contended, cpu, mixed, workers, got 'magic'"),
        ({}, "got None"),
        ({"kind": "cpu", "delay": 0.1}, "not a cpu model"),
        ({"kind": "workers", "workers": 0, "service_time": 1}, "workers must be 1 or more, got 0"),
        ({"kind": "workers", "workers": 1, "service_time": 0}, "service_time must be above 0"),
        ({"kind": "cpu", "delay": -1, "cpu": 1}, "delay must be 0 or more"),
        ({"kind": "cpu", "delay": 0, "cpu": math.inf}, "cpu must be above 0"),
        (
            {"kind": "mixed", "workers": 1, "fast": 1, "slow": 2, "slow_share": 1.5},
            "slow_share must be between 0 and 1, got 1.5",
        ),
        ({"kind": "contended", "base": 1, "sigma": -1, "kappa": 0}, "sigma must be 0 or more"),
        ({"kind": "workers", "workers": 1, "service_time": 1, "cv": -1}, "cv must be 0 or more"),
    ],
)
def test_impossible_models_are_refused(data: dict[str, object], said: str) -> None:
    """With the name, the rule and the value."""
    with pytest.raises(BadInput, match=said):
        models.from_dict(data)
