"""Deadlines hand over every item in order of time and never early, whatever wakes them."""

from __future__ import annotations

import asyncio
import time

import pytest

from poolkit.lab import deadlines
from poolkit.lab.deadlines import Deadlines


def no_timerfd(*_arguments: object) -> None:
    raise OSError("timerfd is Linux's")


@pytest.fixture(params=[True, False], ids=["the best of this machine", "the event loop's"])
def any_alarm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr(deadlines, "Timerfd", no_timerfd)


def hand_over(offsets: list[float]) -> list[tuple[float, float, int]]:
    """(planned, handed over, item) in s from the start, in the order of handing over."""

    async def scenario() -> list[tuple[float, float, int]]:
        began = time.monotonic()
        seen: list[tuple[float, float, int]] = []
        everything = asyncio.Event()

        def on_due(at: float, item: int) -> None:
            seen.append((at - began, time.monotonic() - began, item))
            if len(seen) == len(offsets):
                everything.set()

        queue: Deadlines[int] = Deadlines(on_due)
        for item, offset in enumerate(offsets):
            queue.add(began + offset, item)
        await asyncio.wait_for(everything.wait(), 10)
        return seen

    return asyncio.run(scenario())


@pytest.mark.usefixtures("any_alarm")
@pytest.mark.parametrize(
    ("offsets", "order"),
    [
        ([0.02], [0]),
        ([0.03, 0.02, 0.01], [2, 1, 0]),  # each new one is earlier than the alarm
        ([0.01, 0.03, 0.02], [0, 2, 1]),
        ([0.02, 0.02, 0.02], [0, 1, 2]),  # ties keep the order of adding
        ([-1.0, 0.0, 0.01], [0, 1, 2]),  # the past is due at once
    ],
)
def test_items_come_in_order_and_never_early(offsets: list[float], order: list[int]) -> None:
    """A service time must not come out shorter than the model says."""
    seen = hand_over(offsets)
    assert [item for _, _, item in seen] == order
    assert all(handed_over >= planned for planned, handed_over, _ in seen)
