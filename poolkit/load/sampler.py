"""The samples that the generator takes of itself and of its pool."""

from __future__ import annotations

import time

import numpy as np

from poolkit.drivers.base import Pool
from poolkit.load.ledger import Books
from poolkit.load.measurement import Samples


class Sampler:
    """Takes rows of `Samples`; `connections` is how many were open at the last one."""

    def __init__(self, pool: Pool, books: Books) -> None:
        self._pool = pool
        self._books = books
        self._rows: list[tuple[float, ...]] = []
        self.connections = 0

    def take(self, at: float, lag: float) -> None:
        """One row at `at` s, `lag` s later than was meant."""
        seen, books = self._pool.statistics(), self._books
        self.connections = seen.in_use + seen.idle
        self._rows.append(
            (
                at,
                books.in_system * at + books.balance,
                time.process_time(),
                lag,
                seen.connections_opened,
                seen.disconnects,
            )
        )

    def samples(self) -> Samples:
        """All rows, as columns."""
        rows = np.asarray(self._rows, dtype=np.float64).reshape(-1, 6)
        return Samples(*rows.T.copy())
