"""Where a label finds room: a grid of pixels, and the free place nearest to what the label names.

What must stay readable is marked as taken; what may be crossed at need (a band) costs a little.
Nothing here draws: positions are pixels from the lower left corner of a pair of axes.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

PAD = 3  # px of air around a label
GAP = 5  # px between a label and what it names, where there is room
_STEP = 4  # px between the places tried
_BESIDE = 16  # px; nearer than this a label needs no line to what it names
_TRIED = 300  # places looked at for one whose connecting line crosses no other label
_CROSSED = 60.0  # px of distance that covering a soft thing completely is worth

Point = tuple[float, float]
Along = Literal["", "x", "y"]


class Taken:
    """Pixels of which boxes can be counted fast.

    State: the pixels, a row each from the lowest up, and their sums, until one is taken.
    """

    def __init__(self, pixels: NDArray[np.bool_]) -> None:
        self.pixels = pixels
        self._sums: NDArray[np.int32] | None = None

    def take(self, middle: Point, half: Point) -> None:
        """Take a box."""
        rows, columns = self._slices(middle, half)
        self.pixels[rows, columns] = True
        self._sums = None

    def is_free(self, middle: Point, half: Point) -> bool:
        """Whether a box has no taken pixel."""
        return not self.pixels[self._slices(middle, half)].any()

    def covered(
        self, xs: NDArray[np.float64], ys: NDArray[np.float64], half: Point
    ) -> NDArray[np.int32]:
        """How many taken pixels a box covers at each of `ys` (rows) and `xs`.

        By a summed-area table, so that a large box costs no more than a small one.
        """
        rows, columns = self.pixels.shape
        if self._sums is None:
            self._sums = np.zeros((rows + 1, columns + 1), dtype=np.int32)
            np.cumsum(self.pixels, axis=1, dtype=np.int32, out=self._sums[1:, 1:])
            np.cumsum(self._sums[1:, 1:], axis=0, out=self._sums[1:, 1:])
        sums = self._sums
        top = np.clip(ys + half[1], 0, rows).astype(int)
        bottom = np.clip(ys - half[1], 0, rows).astype(int)
        right = np.clip(xs + half[0], 0, columns).astype(int)
        left = np.clip(xs - half[0], 0, columns).astype(int)
        between = sums[top] - sums[bottom]
        found: NDArray[np.int32] = between[:, right] - between[:, left]
        return found

    def _slices(self, middle: Point, half: Point) -> tuple[slice, slice]:
        rows, columns = self.pixels.shape
        top, bottom = int(min(rows, middle[1] + half[1] + 1)), int(max(0, middle[1] - half[1]))
        right, left = int(min(columns, middle[0] + half[0] + 1)), int(max(0, middle[0] - half[0]))
        return slice(bottom, max(bottom, top)), slice(left, max(left, right))


class Room:
    """The taken pixels of one pair of axes.

    State: what may not be covered (`_hard`), what had better not be (`_soft`), and the words.

    Args:
        width, height: px, 1 or more.
        taken: pixels that may not be covered, a row each from the lowest up; none where None.
    """

    def __init__(self, width: int, height: int, taken: NDArray[np.bool_] | None = None) -> None:
        self.shape = (height, width)
        none = np.zeros(self.shape, dtype=np.bool_)
        self._hard = Taken(none if taken is None else taken.copy())
        self._soft = Taken(none.copy())
        self._words = Taken(none.copy())

    def take(self, middle: Point, half: Point, *, soft: bool = False) -> None:
        """Mark a box as taken."""
        (self._soft if soft else self._hard).take(middle, half)

    def take_words(self, middle: Point, half: Point) -> None:
        """Mark a label's box as taken, and its inside as one that no connecting line may cross."""
        self.take(middle, half)
        self._words.take(middle, (half[0] - PAD, half[1] - PAD))

    def is_free(self, middle: Point, half: Point) -> bool:
        """Whether a box there covers nothing that must stay readable."""
        return self._hard.is_free(middle, half)

    def place(
        self,
        half: Point,
        anchor: Point,
        side: Point,
        along: Along = "",
        within: Point | None = None,
    ) -> Point | None:
        """The middle of the best place for a label; None where `within` has no room at all.

        Args:
            half: half of its width and height, its air included.
            anchor: what it names.
            side: where it should stand: (0, 1) above, (-1, 0) to the left.
            along: `anchor` is only one point of a horizontal ("x") or vertical ("y") line.
            within: px from the left that the label must not leave; the whole width where None.
        """
        ideal = (anchor[0] + side[0] * (half[0] + GAP), anchor[1] + side[1] * (half[1] + GAP))
        rows, columns = self.shape
        left, right = (0.0, float(columns)) if within is None else within
        if within is not None and right - left < 2 * half[0]:
            return None
        across = np.arange(left + half[0] + 1, max(left + half[0] + 2, right - half[0] - 1), _STEP)
        up = np.arange(half[1] + 1, max(half[1] + 2, rows - half[1] - 1), _STEP)
        # Sliding along the line that it names costs a label little.
        cost = np.hypot(
            (across[None, :] - ideal[0]) * (0.1 if along == "x" else 1.0),
            (up[:, None] - ideal[1]) * (0.1 if along == "y" else 1.0),
        )
        cost += _CROSSED * self._soft.covered(across, up, half) / (4 * half[0] * half[1])
        # Any taken pixel outweighs every distance, so the least bad place wins when none is free.
        cost += 1e5 * np.minimum(1.0, 0.05 * self._hard.covered(across, up, half))

        def at(place: int) -> Point:
            return float(across[place % len(across)]), float(up[place // len(across)])

        middle = at(int(np.argmin(cost)))
        if not self._is_cut_off(middle, half, anchor, along):
            return middle
        for place in np.argsort(cost.ravel(), kind="stable")[1:_TRIED]:
            other = at(int(place))
            if not self._is_cut_off(other, half, anchor, along):
                return other
        return middle

    def tie(
        self, middle: Point, half: Point, anchor: Point, along: Along = ""
    ) -> tuple[Point, Point] | None:
        """The line from a label to what it names; None where it stands beside it."""
        end = nearest_on(middle, anchor, along)
        start = _edge(middle, half, end)
        return None if math.dist(start, end) < _BESIDE else (start, end)

    def take_tie(self, start: Point, end: Point) -> None:
        """Mark a connecting line as taken."""
        for t in np.linspace(0.0, 1.0, 60):
            x, y = start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])
            self.take((x, y), (2, 2))

    def _is_cut_off(self, middle: Point, half: Point, anchor: Point, along: Along) -> bool:
        """Whether other words stand between a label and what it names."""
        tie = self.tie(middle, half, anchor, along)
        if tie is None:
            return False
        (x0, y0), (x1, y1) = tie
        rows, columns = self.shape
        t = np.linspace(0.0, 1.0, 50)
        xs = np.clip(x0 + t * (x1 - x0), 0, columns - 1).astype(int)
        ys = np.clip(y0 + t * (y1 - y0), 0, rows - 1).astype(int)
        return bool(self._words.pixels[ys, xs].any())


def nearest_on(middle: Point, anchor: Point, along: Along) -> Point:
    """The point of the named line that is nearest to a label."""
    if along == "x":
        return middle[0], anchor[1]
    if along == "y":
        return anchor[0], middle[1]
    return anchor


def _edge(middle: Point, half: Point, anchor: Point) -> Point:
    """The point of a label's box that is nearest to `anchor`."""
    return (
        min(max(anchor[0], middle[0] - half[0]), middle[0] + half[0]),
        min(max(anchor[1], middle[1] - half[1]), middle[1] + half[1]),
    )
