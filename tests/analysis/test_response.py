"""Predicted response times against the simulator."""

from __future__ import annotations

import numpy as np
import pytest

from poolkit.analysis import response
from poolkit.analysis.model import model
from poolkit.records import Sweep
from poolkit.targets.objective import Objective
from tests.analysis import simulate
from tests.analysis.simulate import CpuBound, Upstream, Workers
from tests.analysis.synthetic import simulated_trial


@pytest.mark.parametrize(
    ("upstream", "rate", "sizes", "asked"),
    [
        (Workers(16, 0.010, 0.5), 1200.0, (1, 2, 4, 8, 12, 14, 16, 18, 24, 32), (15, 20)),
        (CpuBound(0.010, 0.001, 0.3), 800.0, (1, 2, 4, 8, 10, 12, 16, 20, 24, 32), (14, 20)),
    ],
)
def test_p99_of_the_response(
    upstream: Upstream, rate: float, sizes: tuple[int, ...], asked: tuple[int, ...]
) -> None:
    """Within 12 % of an exact simulation, on either side of saturation."""
    trials = tuple(simulated_trial(upstream, n, seconds=3.0, seed=2) for n in sizes)
    queue = model(
        Sweep(target="simulated", trials=trials), Objective(target_rate=rate, wait_p99=0.01)
    )
    for size in asked:
        calls = simulate.open_loop(upstream, rate, size, 100_000, seed=4)
        truth = float(np.quantile((calls.released - calls.arrived)[2000:], 0.99))
        prediction = queue.predictions()[size - 1]
        assert response.p99(prediction, queue.holds) == pytest.approx(truth, rel=0.12)
