"""What is asked of one measurement, and how a form's texts are read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from poolkit.errors import BadInput
from poolkit.measure import SIZE_BUDGET, SWEEP_BUDGET
from poolkit.targets.fleet import MOST_WORKERS

_DIGITS = 6  # of a size, at most
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Request:
    """One measurement to make.

    Attributes:
        target: name of the target; empty: the one that the panel has.
        sizes: pool sizes to measure; empty: chosen while measuring. None with `verify`, which
            must choose them.
        budget: s of load, 1 to 3600; None: what the command uses (20, or 45 with `verify`, and 15
            more with `cold`).
        target_rate: calls/s to sustain, more than 0; None: what the target asks.
        wait_p99: s, longest good p99 wait for a connection; None: what the target asks.
        verify: whether the size found is tried under load.
        push: False: no load above the target rate, with `verify` alone; True: what the target says.
        again: whether to measure anew what the folder holds, which keeps that as a record.
        fleet: generators that send the load, 1 to 256; None: as targets.toml says.
        cold: whether starts with empty pools are tried at the size; with `verify` alone.
    """

    target: str = ""
    sizes: tuple[int, ...] = ()
    budget: float | None = None
    target_rate: float | None = None
    wait_p99: float | None = None
    verify: bool = False
    push: bool = True
    again: bool = False
    fleet: int | None = None
    cold: bool = False

    def __post_init__(self) -> None:
        mistakes = list(_mistakes(self))
        if mistakes:
            raise together(mistakes)


def _mistakes(asked: Request) -> Iterator[BadInput]:
    """What cannot be meant: numbers out of bounds before what does not go together."""
    if asked.budget is not None and not 1.0 <= asked.budget <= 3600.0:
        yield BadInput(
            f"the budget must be from 1 to 3600 s, got {asked.budget:g}",
            f"{SWEEP_BUDGET:g} s are enough for a sweep, {SIZE_BUDGET:g} s with verification",
        )
    wait = None if asked.wait_p99 is None else asked.wait_p99 * 1000
    for name, value, unit in (
        ("target rate", asked.target_rate, "calls/s"),
        ("wait target", wait, "ms"),
    ):
        if value is not None and not (math.isfinite(value) and value > 0):
            yield BadInput(
                f"the {name} must be more than 0 {unit}, got {value:g}",
                "leave it empty for what the target asks",
            )
    if asked.fleet is not None and not 1 <= asked.fleet <= MOST_WORKERS:
        yield BadInput(
            f"there must be 1 to {MOST_WORKERS} generators, got {asked.fleet}",
            "1 is this machine's measuring process alone; leave it empty for what the file says",
        )
    if asked.verify and asked.sizes:
        yield BadInput(
            "a verification chooses the sizes itself",
            "leave the sizes empty, or measure them without verification",
        )
    if not (asked.push or asked.verify):
        yield BadInput(
            "a sweep pushes: it raises the load until throughput no longer grows",
            "have the size verified under load, which works without pushing",
        )
    if asked.cold and not asked.verify:
        yield BadInput(
            "cold starts are tried at a size that was verified",
            "have the size verified under load, or leave the cold starts out",
        )


def together(mistakes: Sequence[BadInput]) -> BadInput:
    """Several mistakes (one at least) as one, the first with its remedy, the others below it."""
    first, *others = mistakes
    also = "".join(f"\nAlso: {other.cause}; {other.remedy}" for other in others)
    return BadInput(first.cause, first.remedy + also)


def read_sizes(text: str, most: int | None = None) -> tuple[int, ...]:
    """Pool sizes from `1, 2, 4`, each once and in order; empty where none are given.

    Args:
        most: connections that the target may have; None: not known.

    Raises:
        BadInput: one is not a whole number of 1 or more, or more than the target may have.
    """
    sizes = set()
    for word in text.replace(",", " ").split():
        if not (word.isascii() and word.isdigit()) or not word.strip("0"):
            raise BadInput(
                f"sizes must be whole numbers of 1 or more, got {word!r}",
                "write them like this: 1, 2, 4, 8; or leave the field empty",
            )
        if len(word) > _DIGITS or (most is not None and int(word) > most):
            allowed = 10**_DIGITS - 1 if most is None else most
            raise BadInput(
                f"a size of {word[: _DIGITS + 3]} is more than the {allowed} connections allowed",
                "take smaller sizes, or raise max_size of the target in targets.toml",
            )
        sizes.add(int(word))
    return tuple(sorted(sizes))


def read_count(text: str, name: str) -> int | None:
    """The whole number in a field, None where it is empty; BadInput where it is none."""
    number = read_number(text, name, name)
    if number is None:
        return None
    if not number.is_integer():
        raise BadInput(f"the {name} must be a whole number, got {text!r}", "write it like this: 2")
    return int(number)


def read_number(text: str, name: str, unit: str) -> float | None:
    """The number in a field, None where it is empty; BadInput where it is none."""
    text = text.strip()
    if not text:
        return None
    if _NUMBER.fullmatch(text):
        return float(text)
    hint = f"write it in {unit}, without the unit, like this: 20 or 2.5; or leave the field empty"
    if "," in text and _NUMBER.fullmatch(text.replace(",", ".")):
        hint = f"write it with a point: {text.replace(',', '.')}"
    raise BadInput(f"the {name} must be a number of {unit}, got {text!r}", hint)
