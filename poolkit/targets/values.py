"""Draws the values of placeholders from a seed, in chunks, so that a call pays little for them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import repeat
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from poolkit.targets.draws import Choice, Draw, Uniform, Value, Zipf

Values = Mapping[str, Value]
NO_VALUES: Values = MappingProxyType({})

# Larger chunks would halt the event loop for longer than a call's lag may be; smaller ones cost
# more a value.
_CHUNK = 256
_Floats = npt.NDArray[np.float64]


def drawn_values(parameters: Mapping[str, Draw], seed: int) -> Iterator[Values]:
    """One mapping of Python values a call, for ever; without parameters an empty one.

    Each parameter has a stream of its own, so that adding one leaves the others' values alone.
    """
    if not parameters:
        yield from repeat(NO_VALUES)
    names = tuple(parameters)
    samplers = [_sampler(draw, _generator(seed, name)) for name, draw in parameters.items()]
    while True:
        columns = [sample() for sample in samplers]
        if len(names) == 1:  # the most common case at a quarter of the cost
            (name,), (column,) = names, columns
            for value in column:
                yield {name: value}
        else:
            for row in zip(*columns, strict=True):
                yield dict(zip(names, row, strict=True))


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed % 2**64, zlib.crc32(name.encode())])


def _sampler(draw: Draw, random: np.random.Generator) -> Callable[[], list[Value]]:
    """Gives the next chunk as plain Python objects: the client libraries do not take numpy's."""
    match draw:
        case Choice(values):
            return lambda: [values[i] for i in random.integers(len(values), size=_CHUNK).tolist()]
        case Zipf(low, high, exponent):
            ranks = _zipf_ranks(random, high - low + 1, exponent)
            return lambda: (ranks() + (low - 1)).tolist()
        case Uniform(int(), int()):
            # Bound here, since a lambda would forget that they are whole.
            first, last = int(draw.low), int(draw.high)
            return lambda: random.integers(
                first, last, size=_CHUNK, dtype=np.int64, endpoint=True
            ).tolist()
        case Uniform(low, high):
            return lambda: random.uniform(low, high, size=_CHUNK).tolist()


def _zipf_ranks(
    random: np.random.Generator, count: int, exponent: float
) -> Callable[[], npt.NDArray[np.int64]]:
    """Gives ranks k from 1 to `count` with P(k) ~ 1 / k ** exponent, without a table of them.

    Rejection-inversion: W. Hoermann and G. Derflinger, "Rejection-inversion to generate variates
    from monotone discrete distributions", ACM TOMACS 6 (1996). h(x) = x ** -exponent, H its
    integral with H(1) = 0; u uniform between H(1.5) - 1 and H(count + 0.5); k = round(H^-1(u)) is
    taken when u >= H(k + 0.5) - h(k), which holds without looking where k - x <= squeeze.
    """
    lowest = _integral(np.array([1.5]), exponent)[0] - 1.0
    highest = _integral(np.array([count + 0.5]), exponent)[0]
    two = np.array([2.0])
    squeeze = 2.0 - _inverse(_integral(two + 0.5, exponent) - two**-exponent, exponent)[0]

    def candidates(size: int) -> npt.NDArray[np.int64]:
        u = highest + random.random(size) * (lowest - highest)
        x = _inverse(u, exponent)
        k = np.clip(np.floor(x + 0.5), 1.0, count)
        taken = (k - x <= squeeze) | (u >= _integral(k + 0.5, exponent) - k**-exponent)
        ranks: npt.NDArray[np.int64] = k[taken].astype(np.int64)
        return ranks

    def chunk() -> npt.NDArray[np.int64]:
        ranks = candidates(_CHUNK)
        while len(ranks) < _CHUNK:
            ranks = np.concatenate([ranks, candidates(_CHUNK - len(ranks))])
        return ranks

    return chunk


def _integral(x: _Floats, exponent: float) -> _Floats:
    """H(x) = (x ** (1 - exponent) - 1) / (1 - exponent), its limit log(x) at 1 included."""
    logarithm = np.log(x)
    return _near_zero(np.expm1, (1.0 - exponent) * logarithm) * logarithm


def _inverse(u: _Floats, exponent: float) -> _Floats:
    """x with H(x) = u."""
    # Rounding may take it a little below -1, where the logarithm ends.
    t = np.maximum(u * (1.0 - exponent), -1.0 + 1e-16)
    return np.asarray(np.exp(_near_zero(np.log1p, t) * u))


def _near_zero(function: np.ufunc, t: _Floats) -> _Floats:
    """function(t) / t for expm1 and log1p, whose limit at 0 is 1."""
    is_tiny = np.abs(t) < 1e-12
    safe = np.where(is_tiny, 1.0, t)
    return np.where(is_tiny, 1.0, function(safe) / safe)
