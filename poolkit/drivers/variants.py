"""A driver's pool in several settings, and what is learned by comparing them.

A driver's file has `QUESTIONS` and `SKIPPED` (what cannot be asked of it, and why), `vary`, which
makes a pool one of the variants, and `keeping`, the arguments that say how long connections live.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from poolkit.drivers.base import Pool

BASE = "base"  # the library's defaults
NEVER = 1e6  # s; for libraries that must be told a number


@dataclass(frozen=True, slots=True)
class Question:
    """A cost as the difference of two variants of the pool: `dearer` less `cheaper`.

    `part` is what differs: the whole checkout, or only the giving back. One `is_of_prepared`
    statements is not asked behind a pooler, where there are none.
    """

    name: str
    dearer: str
    cheaper: str
    part: Literal["whole", "release"] = "whole"
    note: str = ""
    is_of_prepared: bool = False


class Variants:
    """One target's pool in the settings that cost something at each checkout.

    Args:
        make: a pool of the driver with so many connections (1 or more).
        driver: the driver's file, of whose questions `look` leaves those that the target allows.
    """

    def __init__(self, make: Callable[[int], Any], driver: Any) -> None:
        self._make = make
        self._vary = driver.vary
        self._session: dict[str, Any] = {}
        self._is_pooled = False
        self.questions: tuple[Question, ...] = driver.QUESTIONS
        self.skipped: dict[str, str] = dict(driver.SKIPPED)

    async def look(self) -> None:
        """Find out, once for all, what the target allows; raises what the library raises."""
        pool = self._make(1)
        await pool.look()
        self._session, self._is_pooled = pool.session, pool.is_pooled
        if self._is_pooled:
            self.questions = tuple(q for q in self.questions if not q.is_of_prepared)
            self.skipped["prepared statements"] = "behind a pooler nothing is prepared"

    async def open(self, variant: str, size: int) -> Pool:
        """The pool with `size` connections (1 or more), all dialled; `Unreachable` says why not."""
        pool: Any = self._make(size)
        pool.session, pool.is_pooled = dict(self._session), self._is_pooled
        self._vary(pool, variant)
        await pool.open()
        opened: Pool = pool
        return opened
