"""The arithmetic of a live chart: data to pixels, ticks, and pixels to a PNG; no drawing here."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]  # px: left, bottom, right, top


@dataclass(frozen=True, slots=True)
class Plot:
    """A pair of axes: a log scale of pool sizes, and a linear one from `low` to `top`."""

    box: Box
    limits: tuple[float, float]
    low: float
    top: float

    def pixels(self, xs: Sequence[float], ys: Sequence[float]) -> NDArray[np.float64]:
        """Where points of the data lie, in px from the lower left corner of the picture."""
        left, bottom, right, top = self.box
        low, high = self.limits
        across = np.log(np.asarray(xs, dtype=float) / low) / math.log(high / low)
        up = (np.asarray(ys, dtype=float) - self.low) / (self.top - self.low)
        return np.column_stack((left + across * (right - left), bottom + up * (top - bottom)))


def png(seen: NDArray[np.uint8]) -> bytes:
    """A picture as a PNG; rows from the top, a pixel three bytes.

    matplotlib's own writer looks for the best filter row by row and takes longer than painting;
    here each row is told as its difference from the one above, of which most is nothing.
    """
    height, width = seen.shape[:2]
    rows = np.empty((height, 1 + 3 * width), dtype=np.uint8)
    rows[:, 0] = 2  # the filter "up" of the PNG specification
    rows[0, 1:] = seen[0].reshape(-1)
    rows[1:, 1:] = (seen[1:] - seen[:-1]).reshape(height - 1, -1)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 1)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def round_numbers(top: float, most: int) -> list[float]:
    """Multiples of 1, 2, 2.5 or 5 times a power of ten up to `top`, at most `most` above 0."""
    unit = 10.0 ** math.floor(math.log10(top / most))
    step = next(s * unit for s in (1, 2, 2.5, 5, 10) if top / (s * unit) <= most + 1e-9)
    return [i * step for i in range(int(top / step + 1e-9) + 1)]
