"""Cd2 pooled over trials: right on what is known, held back where little was seen."""

from __future__ import annotations

import pytest

from poolkit.analysis.saturation import pooled_dispersion
from tests.analysis.simulate import CpuBound, Upstream, Workers
from tests.analysis.synthetic import drawn_trial, simulated_trial


@pytest.mark.parametrize(
    ("upstream", "low", "high"),
    [
        (Workers(16, 0.01, 0.5), 0.15, 0.35),  # cv^2 = 0.25
        (Workers(16, 0.01, 1.0), 0.65, 1.2),  # cv^2 = 1
        (CpuBound(0.01, 0.001, 0.3), 0.0, 0.12),  # one thread, constant work
        (CpuBound(0.01, 0.001, 0.3, 1.0), 0.6, 1.3),  # one thread, random work
    ],
)
def test_known_upstreams(upstream: Upstream, low: float, high: float) -> None:
    """A few short trials near saturation tell how random the departures are."""
    trials = [simulated_trial(upstream, n, seconds=2.0, seed=n) for n in (1, 8, 16, 20, 24, 32)]
    found = pooled_dispersion(trials)
    assert found is not None
    assert low <= found <= high


def test_trials_far_from_saturation_say_little() -> None:
    """Only trials with most of the top throughput count."""
    trials = [drawn_trial(1, 40.0, dispersion=9.0), drawn_trial(24, 960.0, dispersion=0.2)]
    assert pooled_dispersion(trials) == pytest.approx(0.2, abs=0.05)


def test_the_interval_stands_in() -> None:
    """A trial too short for a dispersion gives the one that its throughput's interval implies."""
    drawn = drawn_trial(24, 960.0, dispersion=0.5)
    without = drawn.model_copy(update={"dispersion": None})
    assert pooled_dispersion([without]) == pytest.approx(0.37, abs=0.1)


def test_nothing_seen() -> None:
    """No usable trial, no figure."""
    assert pooled_dispersion([]) is None
    assert pooled_dispersion([drawn_trial(8, 300.0, stopped="errors")]) is None
