"""One timer for the calls of a pool: whose time is over is ended, and nobody else."""

from __future__ import annotations

import asyncio

import pytest

from poolkit.drivers.calls import Holds, timed_out
from poolkit.errors import CallTimedOut


async def hold(holds: Holds[str], name: str, seconds: float, times: float = 1.0) -> str:
    """As an adapter does it."""
    holds.begin(name, times)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if holds.end(name):
            outcome = timed_out()
            if outcome is not None:
                raise outcome from None
        raise
    finally:
        holds.end(name)
    return "served"


def test_only_those_that_hold_for_too_long_are_ended() -> None:
    """The slow one times out, the quick one and the one with more time are served."""

    async def go() -> list[object]:
        holds: Holds[str] = Holds(0.2)
        holds.start()
        found = await asyncio.gather(
            hold(holds, "slow", 30.0),
            hold(holds, "quick", 0.0),
            hold(holds, "patient", 0.4, times=100.0),
            return_exceptions=True,
        )
        assert len(holds) == 0
        holds.stop()
        return list(found)

    slow, quick, patient = asyncio.run(asyncio.wait_for(go(), 10.0))
    assert isinstance(slow, CallTimedOut)
    assert (quick, patient) == ("served", "served")


def test_a_task_goes_on_after_its_call_timed_out() -> None:
    """The cancellation is used up: a closed-loop caller makes its next call."""

    async def go() -> list[str]:
        holds: Holds[str] = Holds(0.05)
        holds.start()
        with pytest.raises(CallTimedOut):
            await hold(holds, "a", 30.0)
        return [await hold(holds, "a", 0.0), await hold(holds, "b", 0.0)]

    assert asyncio.run(asyncio.wait_for(go(), 10.0)) == ["served", "served"]


def test_a_cancellation_from_elsewhere_is_passed_on() -> None:
    """Whoever cancels a call gets a cancelled task, whether its time is over or not."""

    async def go() -> None:
        holds: Holds[str] = Holds(30.0)
        holds.start()
        call = asyncio.create_task(hold(holds, "a", 30.0))
        await asyncio.sleep(0.01)
        assert holds.connections == ("a",)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert len(holds) == 0

    asyncio.run(asyncio.wait_for(go(), 10.0))


def test_nobody_is_ended_after_the_stop() -> None:
    """A pool that is being closed ends its calls in its own way."""

    async def go() -> str:
        holds: Holds[str] = Holds(0.02)
        holds.start()
        holds.stop()
        return await hold(holds, "a", 0.1)

    assert asyncio.run(asyncio.wait_for(go(), 10.0)) == "served"
