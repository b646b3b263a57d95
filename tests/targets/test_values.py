"""Values of placeholders: within their bounds, the same for the same seed, in the right shape."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from poolkit.targets import Choice, Uniform, Zipf
from poolkit.targets.workload import SqlWork, drawn_values

BIGINT = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(-1e300, 1e300)


def values(draw, count=600, seed=1):
    """The first values of one parameter, over a chunk's end."""
    return [row["x"] for row in itertools.islice(drawn_values({"x": draw}, seed), count)]


@given(BIGINT, BIGINT, st.integers(0, 2**70))
def test_whole_numbers_stay_within_their_bounds(one, other, seed):
    """Both ends included, up to the ends of a bigint, and plain Python ints."""
    low, high = sorted((one, other))
    drawn = values(Uniform(low, high), seed=seed)
    assert all(type(value) is int and low <= value <= high for value in drawn)


@given(FLOATS, FLOATS)
def test_floats_stay_within_their_bounds(one, other):
    """Plain Python floats."""
    low, high = sorted((one, other))
    assert all(type(v) is float and low <= v <= high for v in values(Uniform(low, high)))


@given(st.lists(st.text() | st.integers() | st.floats(allow_nan=False), min_size=1, max_size=5))
def test_a_choice_gives_its_own_values(entries):
    """Each value is one of those written, of the same type."""
    kinds = [(type(entry), entry) for entry in entries]
    assert all((type(value), value) in kinds for value in values(Choice(tuple(entries))))


@given(st.integers(-(2**62), 2**62), st.integers(1, 2**53), st.floats(1e-6, 1000))
@settings(max_examples=200)
def test_zipf_stays_within_its_bounds(low, count, exponent):
    """However wide or steep it is; plain Python ints."""
    drawn = values(Zipf(low, low + count - 1, exponent), count=300)
    assert all(type(value) is int and low <= value < low + count for value in drawn)


@pytest.mark.parametrize(
    ("count", "exponent"),
    [(1, 1.1), (2, 1.0), (10, 0.5), (10, 1.0), (10, 1.0 + 1e-9), (10, 1.1), (10, 3.0), (200, 1.3)],
)
def test_zipf_has_the_shape_of_its_formula(count, exponent):
    """P(k) ~ 1 / k ** exponent by a chi-squared test of 20,000 values, from a fixed seed."""
    drawn = np.array(values(Zipf(5, 5 + count - 1, exponent), count=20_000)) - 4
    expected = np.arange(1, count + 1) ** -exponent
    expected *= len(drawn) / expected.sum()
    seen = np.bincount(drawn, minlength=count + 1)[1:]
    assert seen.sum() == len(drawn)
    if count > 1:
        assert stats.chisquare(seen, expected).pvalue > 0.001


@pytest.mark.parametrize("draw", [Uniform(0, 9), Choice(tuple(range(10)))])
def test_each_value_comes_as_often(draw):
    """Uniform and choice by a chi-squared test of 20,000 values, from a fixed seed."""
    seen = np.bincount(values(draw, count=20_000), minlength=10)
    assert stats.chisquare(seen).pvalue > 0.001


def test_floats_are_spread_evenly():
    """A Kolmogorov-Smirnov test of 20,000 values, from a fixed seed."""
    drawn = values(Uniform(2.0, 4.0), count=20_000)
    assert stats.kstest(drawn, stats.uniform(2, 2).cdf).pvalue > 0.001


PARAMETERS = {
    "a": Uniform(1, 10**9),
    "b": Uniform(0.0, 1.0),
    "c": Choice(("x", "y", "z")),
    "d": Zipf(1, 10**6, 1.1),
}


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
@settings(max_examples=20)
def test_the_seed_decides(seed, other):
    """The same seed gives the same values, another one others."""
    assume(seed != other)
    one, same, different = (
        [dict(row) for row in itertools.islice(drawn_values(PARAMETERS, s), 300)]
        for s in (seed, seed, other)
    )
    assert one == same
    assert one != different


def test_a_parameter_keeps_its_values_beside_others():
    """Adding a parameter, or another order, changes no other's values."""
    alone = [row["a"] for row in itertools.islice(drawn_values({"a": PARAMETERS["a"]}, 7), 300)]
    together = [row["a"] for row in itertools.islice(drawn_values(PARAMETERS, 7), 300)]
    turned = dict(reversed(PARAMETERS.items()))
    assert alone == together
    assert alone == [row["a"] for row in itertools.islice(drawn_values(turned, 7), 300)]


def test_two_parameters_are_independent():
    """Equal bounds and one seed, and yet no equal values by more than chance."""
    rows = itertools.islice(drawn_values({"a": Uniform(0, 9), "b": Uniform(0, 9)}, 3), 20_000)
    table = np.zeros((10, 10))
    for row in rows:
        table[row["a"], row["b"]] += 1
    assert stats.chi2_contingency(table).pvalue > 0.001


def test_a_call_without_parameters_costs_nothing():
    """One shared mapping that nobody can write to."""
    work = SqlWork(["select 1"])
    assert work.draw() is SqlWork(["select 2"]).draw()
    assert dict(work.draw()) == {}
    with pytest.raises(TypeError):
        work.draw()["x"] = 1


def test_each_call_draws_anew():
    """`draw` moves on; two works of one seed walk alike."""
    one, two = (SqlWork(["select :a, :c"], PARAMETERS, 5) for _ in range(2))
    rows = [one.draw() for _ in range(600)]
    assert rows == [two.draw() for _ in range(600)]
    assert len({row["a"] for row in rows}) > 590
    assert list(rows[0]) == list(PARAMETERS)
