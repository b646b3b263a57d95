"""Waiting for a due time on a real loop: never early, whatever the timer."""

from __future__ import annotations

import asyncio
import sys

import pytest

from poolkit.load.timer import Timer, TimerfdTimer, best_timer


def timers() -> list[object]:
    return [
        Timer,
        pytest.param(
            TimerfdTimer,
            marks=pytest.mark.skipif(sys.platform != "linux", reason="timerfd is Linux's"),
        ),
    ]


@pytest.mark.parametrize("kind", timers())
@pytest.mark.parametrize("ahead", [-1.0, 0.0, 0.0004, 0.02])
def test_no_timer_returns_early(kind: type[Timer], ahead: float) -> None:
    """`wait_until` returns at the moment or after it; a moment gone by returns at once."""

    async def go() -> float:
        timer: Timer = kind(asyncio.get_running_loop())
        at = timer.now() + ahead
        await timer.wait_until(at)
        late = timer.now() - at
        timer.close()
        return late

    # A loop may round its own timers down by its clock's resolution.
    assert asyncio.run(go()) >= -1e-6


def test_a_timerfd_can_be_used_again_and_again() -> None:
    """A hundred due times in a row arrive in order."""

    async def go() -> list[float]:
        timer = best_timer(asyncio.get_running_loop())
        begin = timer.now()
        seen = []
        for i in range(100):
            await timer.wait_until(begin + i * 0.0005)
            seen.append(timer.now() - begin - i * 0.0005)
        timer.close()
        return seen

    assert min(asyncio.run(go())) >= -1e-6
