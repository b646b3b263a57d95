"""Where the values of a statement's placeholders come from, as targets.toml writes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from poolkit.targets.words import nearest

Value = int | float | str

_BIGINT = range(-(2**63), 2**63)
_WIDEST_ZIPF = 2**53  # above it, floats skip whole numbers
_LARGEST_EXPONENT = 1000  # pgbench's own limit


@dataclass(frozen=True, slots=True)
class Uniform:
    """Every value from `low` to `high` alike: whole numbers, both ends included, or floats."""

    low: int | float
    high: int | float

    def written(self) -> dict[str, list[Value]]:
        """As targets.toml writes it."""
        return {"uniform": [self.low, self.high]}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of `values`, each entry alike; one that stands twice is drawn twice as often."""

    values: tuple[Value, ...]

    def written(self) -> dict[str, list[Value]]:
        """As targets.toml writes it."""
        return {"choice": list(self.values)}


@dataclass(frozen=True, slots=True)
class Zipf:
    """Whole numbers from `low` to `high`, P(low + k - 1) ~ 1 / k ** exponent: hot and cold rows."""

    low: int
    high: int
    exponent: float

    def written(self) -> dict[str, list[Value]]:
        """As targets.toml writes it."""
        return {"zipf": [self.low, self.high, self.exponent]}


Draw = Uniform | Choice | Zipf


def read_draw(value: object) -> Draw:
    """What a parameter's table says, such as `{ uniform = [1, 100] }`; ValueError: broken rule."""
    if isinstance(value, Uniform | Choice | Zipf):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError(
            "must be one of { uniform = [LOW, HIGH] }, { choice = [VALUE, ...] } and "
            "{ zipf = [LOW, HIGH, EXPONENT] }"
        )
    ((kind, given),) = value.items()
    read = _KINDS.get(kind)
    if read is None:
        raise ValueError(
            f"{kind} is no way to draw a value; use {', '.join(_KINDS)}{nearest(kind, _KINDS)}"
        )
    return read(list(given) if isinstance(given, list | tuple) else [])


def _uniform(given: Sequence[Any]) -> Draw:
    rule = "uniform must be [LOW, HIGH], two numbers with LOW <= HIGH"
    if len(given) != 2 or not _are_numbers(given) or given[0] > given[1]:
        raise ValueError(f"{rule}{_got(given)}")
    low, high = given
    if isinstance(low, int) and isinstance(high, int):
        return Uniform(low, high)
    if not math.isfinite(float(high) - float(low)):
        raise ValueError(f"{rule}, at most 1.7e308 apart{_got(given)}")
    return Uniform(float(low), float(high))


def _choice(given: Sequence[Any]) -> Draw:
    # A prepared statement has one type a placeholder, so a mixture would fail at the server.
    if not given or not (
        _are_numbers(given) or any(all(type(v) is kind for v in given) for kind in (str, bool))
    ):
        raise ValueError(
            'choice must be a list of 1 or more texts, numbers or booleans, such as ["a", "b"]'
        )
    return Choice(tuple(given))


def _zipf(given: Sequence[Any]) -> Draw:
    rule = "zipf must be [LOW, HIGH, EXPONENT], two whole numbers with LOW <= HIGH and a number"
    if (
        len(given) != 3
        or not _are_numbers(given)
        or not isinstance(given[0], int)
        or not isinstance(given[1], int)
        or given[0] > given[1]
    ):
        raise ValueError(f"{rule}{_got(given)}")
    low, high, exponent = given
    if high - low >= _WIDEST_ZIPF:
        raise ValueError(f"{rule}; HIGH - LOW must be less than 2 ** 53{_got(given)}")
    if not 0 < exponent <= _LARGEST_EXPONENT:
        raise ValueError(
            f"{rule}; EXPONENT must be more than 0 and at most {_LARGEST_EXPONENT}{_got(given)}"
        )
    return Zipf(low, high, float(exponent))


_KINDS: dict[str, Callable[[Sequence[Any]], Draw]] = {
    "uniform": _uniform,
    "choice": _choice,
    "zipf": _zipf,
}


def _are_numbers(given: Sequence[Any]) -> bool:
    """Whether all are finite numbers that a bigint or double precision column can hold."""
    return all(
        value in _BIGINT if type(value) is int else type(value) is float and math.isfinite(value)
        for value in given
    )


def _got(given: Sequence[Any]) -> str:
    """The numbers that were given; texts are not quoted."""
    if not given or not all(type(value) in (int, float) for value in given):
        return ""
    text = ", ".join(f"{value}" for value in given)
    return f", got [{text[:60]}{'...' if len(text) > 60 else ''}]"
