"""The queue read off a curve: Erlang C where it must be, the simulator's answer elsewhere."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from poolkit.analysis.queueing import Throughput, WaitPrediction, waits
from tests.analysis import simulate
from tests.analysis.formulas import erlang_c, finite_source
from tests.analysis.simulate import Contended, CpuBound, Upstream, Workers


class Law(Throughput):
    """X(n) = n / (S * (1 + alpha (n - 1) + beta n (n - 1))), at most `top`."""

    def __init__(
        self, hold: float, alpha: float = 0.0, beta: float = 0.0, top: float = math.inf
    ) -> None:
        self.hold, self.alpha, self.beta, self.top = hold, alpha, beta, top

    def throughputs(self, sizes: ArrayLike) -> NDArray[np.float64]:
        n = np.asarray(sizes, dtype=float)
        slowdown = 1 + self.alpha * (n - 1) + self.beta * n * (n - 1)
        return np.asarray(np.minimum(n / self.hold / slowdown, self.top))


def wait(curve: Throughput, rate: float, pool_size: int, *shape: float) -> WaitPrediction:
    """What callers meet at one size."""
    return waits(curve, rate, (pool_size,), *shape)[0]


@pytest.mark.parametrize(
    ("servers", "load", "expected"),
    [
        (1, 0.0, 0.0),
        (1, 0.5, 0.5),  # M/M/1: P(wait) = rho
        (2, 1.0, 1 / 3),
        (10, 8.0, 0.409180),  # tabulated
        (3, 3.0, 1.0),  # exactly full: every call waits in the end
        (3, 4.0, 1.0),
    ],
)
def test_erlang_c(servers: int, load: float, expected: float) -> None:
    """Known values, the limits 0 and exactly full included."""
    assert erlang_c(servers, load) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("servers", "callers", "think", "expected"),
    [
        (3, 3, 0.1, 0.0),  # a connection for everyone
        (1, 2, 0.0, 1.0),  # nobody thinks: the other one always holds it
        (1, 2, 0.01, 0.5),  # the other one holds it half of the time
    ],
)
def test_finite_source(servers: int, callers: int, think: float, expected: float) -> None:
    """A caller meets the others only."""
    assert finite_source(servers, callers, think, 0.01) == pytest.approx(expected)


def test_many_callers_are_a_poisson_stream() -> None:
    """With ever more callers that think ever longer, the finite source becomes Erlang C."""
    callers = 20_000
    think = callers / 400.0 - 0.02
    assert finite_source(10, callers, think, 0.02) == pytest.approx(erlang_c(10, 8.0), rel=0.01)


@given(st.integers(1, 60), st.floats(0.01, 0.98), st.floats(1e-4, 1.0))
def test_reduces_to_erlang_c(servers: int, load: float, hold: float) -> None:
    """X(n) = n / S and Cd2 = 1 give M/M/c: P(wait), mean wait, busy connections."""
    rate = load * servers / hold
    found = wait(Law(hold), rate, servers, 1.0)
    assert found.waiting == pytest.approx(erlang_c(servers, load * servers), rel=1e-6, abs=1e-12)
    assert found.busy == pytest.approx(load * servers, rel=1e-6)
    assert found.hold_time == pytest.approx(hold, rel=1e-6)
    expected = erlang_c(servers, load * servers) / (servers / hold - rate)
    assert found.wait == pytest.approx(expected, rel=1e-6, abs=1e-12)


curves = st.builds(
    Law,
    st.floats(1e-3, 0.1),
    st.floats(0, 0.3),
    st.floats(0, 0.005),
)


@given(curves, st.floats(1, 3000), st.floats(0, 6), st.floats(0, 0.1))
def test_probabilities_are_probabilities(
    law: Law, rate: float, dispersion: float, limit: float
) -> None:
    """P(wait > w) lies in [0, 1] and falls with w, at every size."""
    for found in waits(law, rate, range(1, 41), dispersion):
        late = found.exceedance(limit)
        assert 0.0 <= late <= found.exceedance(0.0) <= 1.0
        assert found.exceedance(2 * limit) <= late
        assert 0.0 <= found.utilisation <= 1.0
        if found.is_stable:
            assert found.wait_p99 is not None
            assert found.exceedance(found.wait_p99) <= 0.01 + 1e-9


@given(curves, st.floats(1, 2000), st.floats(1.0, 1.5), st.floats(0, 6), st.floats(0, 0.1))
def test_more_rate_means_more_waiting(
    law: Law, rate: float, factor: float, dispersion: float, limit: float
) -> None:
    """At every size, more calls/s never wait less."""
    slow = waits(law, rate, range(1, 31), dispersion)
    fast = waits(law, rate * factor, range(1, 31), dispersion)
    for one, other in zip(slow, fast, strict=True):
        assert other.exceedance(limit) >= one.exceedance(limit) - 1e-12


rising = st.builds(Law, st.floats(1e-3, 0.1), st.floats(0, 0.3))


@given(
    rising,
    st.floats(1, 2000),
    st.floats(0, 6),
    st.one_of(st.none(), st.floats(0.5, 5)),
    st.floats(0, 0.1),
    st.floats(0, 0.1),
)
def test_more_connections_and_more_patience_mean_less_waiting(
    law: Law, rate: float, dispersion: float, factor: float | None, limit: float, more: float
) -> None:
    """Where throughput rises, P(W > w) falls with the pool size; and with w everywhere."""
    found = waits(law, rate, range(1, 41), dispersion, factor)
    late = [one.exceedance(limit) for one in found]
    assert all(0.0 <= share <= 1.0 for share in late)
    assert all(b <= a + 1e-9 for a, b in itertools.pairwise(late))
    assert all(one.exceedance(limit + more) <= one.exceedance(limit) for one in found)


@given(rising, st.floats(1, 2000), st.floats(0.5, 3), st.floats(1, 2), st.integers(1, 40))
def test_a_larger_plateau_factor_means_more_waiting(
    law: Law, rate: float, factor: float, times: float, pool_size: int
) -> None:
    """v only lengthens the queue, and 1 leaves the chain as random as it can be."""
    less, more = (wait(law, rate, pool_size, 0.5, v) for v in (factor, factor * times))
    assert more.waiting >= less.waiting - 1e-12
    plain = wait(law, rate, pool_size, 1.0)
    assert wait(law, rate, pool_size, 1.0, 1.0) == plain


def test_one_size_or_many_is_the_same() -> None:
    """Sizes are computed together, and each as if it were alone."""
    law = Law(0.01, 0.05, 0.0005)
    together = waits(law, 400.0, (12, 5, 30), 0.3)
    assert together == tuple(wait(law, 400.0, size, 0.3) for size in (12, 5, 30))


@pytest.mark.parametrize(
    ("upstream", "law", "dispersion", "rate", "sizes"),
    [
        (Workers(24, 0.025, 0.5), Law(0.025, top=960.0), 0.25, 768.0, (24, 25, 28)),
        (Workers(24, 0.025, 1.0), Law(0.025, top=960.0), 0.9, 600.0, (19, 20, 21)),
        (Workers(8, 0.010, 0.5), Law(0.010, top=800.0), 0.25, 640.0, (8, 10, 12)),
        (Contended(0.01, 0.05, 0.0005, 0.3), Law(0.01, 0.05, 0.0005), 0.1, 500.0, (9, 10, 11)),
    ],
)
def test_holds_against_the_simulator(
    upstream: Upstream, law: Law, dispersion: float, rate: float, sizes: tuple[int, ...]
) -> None:
    """P(wait > 10 ms) is within a factor of 1.6 of an exact simulation, near the needed size."""
    for size in sizes:
        simulated = simulate.open_loop(upstream, rate, size, 150_000, seed=8).waits[3000:]
        truth = float((simulated > 0.010).mean())
        predicted = wait(law, rate, size, dispersion).exceedance(0.010)
        assert truth / 1.6 <= predicted <= truth * 1.6


def test_waiting_share_does_not_depend_on_the_spread() -> None:
    """Within the workers, P(wait) is Erlang C's whatever the dispersion; its length is not."""
    for dispersion in (0.0, 0.25, 4.0):
        found = wait(Law(0.025), 600.0, 18, dispersion)
        assert found.waiting == pytest.approx(erlang_c(18, 15.0))


def test_deterministic_single_server() -> None:
    """M/D/1: the mean wait is half of M/M/1's (Pollaczek and Khinchine)."""
    found = wait(Law(0.01), 80.0, 1, 0.0)
    assert found.wait == pytest.approx(0.5 * 0.8 / (100.0 - 80.0))


def test_a_plateau_factor_is_more_than_zero() -> None:
    """0 would let no call wait."""
    with pytest.raises(ValueError, match="plateau_factor must be more than 0, got 0"):
        wait(Law(0.01), 80.0, 1, 0.0, 0.0)


def test_cpu_bound_delay_and_one_thread() -> None:
    """Delay and one thread, the curve by mean value analysis: a product form."""
    delay, burn, queue, rates = 0.015, 0.002, 0.0, []
    for n in range(1, 41):
        response = burn * (1 + queue)
        rates.append(n / (delay + response))
        queue = rates[-1] * response

    class Exact(Throughput):
        def throughputs(self, sizes: ArrayLike) -> NDArray[np.float64]:
            return np.asarray(np.array(rates)[np.asarray(sizes) - 1])

    found = wait(Exact(), 300.0, 12, 1.0)
    calls = simulate.open_loop(CpuBound(delay, burn, 0.3, 1.0), 300.0, 12, 200_000, seed=3)
    truth = float((calls.waits[4000:] > 0.005).mean())
    assert found.exceedance(0.005) == pytest.approx(truth, rel=0.35)


@pytest.mark.parametrize(
    ("rate", "sizes", "dispersion"), [(0.0, (1,), 1.0), (1.0, (0,), 1.0), (1.0, (1,), -1.0)]
)
def test_impossible_questions_are_refused(
    rate: float, sizes: tuple[int, ...], dispersion: float
) -> None:
    """A rate of 0, a pool of 0 and a negative dispersion are named."""
    with pytest.raises(ValueError, match="must be"):
        waits(Law(0.01), rate, sizes, dispersion)
