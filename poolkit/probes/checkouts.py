"""What the modules that know a driver's settings offer to the one that compares them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol


class Checkouts(Protocol):
    """An open pool with one set of settings."""

    async def once(self) -> tuple[float, float]:
        """Check out, do the target's work, give back: s of all of it, and of the giving back."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """A cost as the difference of two variants of the pool: `dearer` less `cheaper`.

    `part` is what differs: the whole checkout, or only the giving back.
    """

    name: str
    dearer: str
    cheaper: str
    part: Literal["whole", "release"] = "whole"
    note: str = ""


BASE = "base"  # the library's defaults


class Variants(Protocol):
    """A driver's pool in several settings, and what can be learned by comparing them."""

    questions: tuple[Question, ...]
    skipped: dict[str, str]

    async def open(self, variant: str, size: int) -> Checkouts:
        """The pool with `size` connections (1 or more), all dialled."""
        ...
