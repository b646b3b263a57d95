"""What is asked of one sweep, and the texts of a form read as such."""

from __future__ import annotations

import math
from dataclasses import dataclass

from poolkit.errors import BadInput
from poolkit.measure import SIZE_BUDGET, SWEEP_BUDGET


@dataclass(frozen=True, slots=True)
class Request:
    """One measurement to make.

    Attributes:
        target: name of the target; empty: the one that the panel has.
        sizes: pool sizes to measure; empty: chosen while measuring. None with `verify`, which
            must choose them.
        budget: s of load, 1 to 3600; None: what the command uses (20, or 45 with `verify`).
        target_rate: calls/s to sustain, more than 0; None: what the target asks.
        wait_p99: s, longest good p99 wait for a connection; None: what the target asks.
        verify: whether the size found is tried under load.
    """

    target: str = ""
    sizes: tuple[int, ...] = ()
    budget: float | None = None
    target_rate: float | None = None
    wait_p99: float | None = None
    verify: bool = False

    def __post_init__(self) -> None:
        if self.verify and self.sizes:
            raise BadInput(
                "a verification chooses the sizes itself",
                "leave the sizes empty, or measure them without verification",
            )
        if self.budget is not None and not 1.0 <= self.budget <= 3600.0:
            raise BadInput(
                f"the budget must be from 1 to 3600 s, got {self.budget:g}",
                f"{SWEEP_BUDGET:g} s are enough for a sweep, {SIZE_BUDGET:g} s with verification",
            )
        for name, value in (("target rate", self.target_rate), ("wait target", self.wait_p99)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise BadInput(
                    f"the {name} must be more than 0, got {value:g}",
                    "leave it empty for what targets.toml asks",
                )


def read_sizes(text: str) -> tuple[int, ...]:
    """Pool sizes from `1, 2, 4`, each once and in order; empty where none are given.

    Raises:
        BadInput: one is not a whole number of 1 or more.
    """
    sizes = set()
    for word in text.replace(",", " ").split():
        if not (word.isascii() and word.isdigit()) or int(word) < 1:
            raise BadInput(
                f"sizes must be whole numbers of 1 or more, got {word!r}",
                "write them like this: 1, 2, 4, 8; or leave the field empty",
            )
        sizes.add(int(word))
    return tuple(sorted(sizes))


def read_number(text: str, name: str) -> float | None:
    """The number in a field, None where it is empty; BadInput where it is none."""
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise BadInput(f"the {name} must be a number, got {text.strip()!r}") from None
