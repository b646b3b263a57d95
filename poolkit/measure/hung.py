"""What is said of a process that had to be ended because its event loop stood still."""

from __future__ import annotations

from poolkit.errors import BrakeStop, Cancelled, PoolkitError
from poolkit.measure.watchdog import HUNG_SECONDS, Reason
from poolkit.targets import Target


def why_ended(target: Target, reason: Reason) -> PoolkitError:
    """The failure to tell of; nothing else of the process could say so any more."""
    if reason in ("signal", "parent"):
        return Cancelled()
    remedy = (
        f"{target.work} blocks the event loop: await what it waits for, or move it to a thread "
        "with asyncio.to_thread"
        if target.work is not None
        else "a look-up or a library blocked it; please report it where it happens again"
    )
    standing = "the event loop stood still"
    if reason == "hung":
        return BrakeStop("hung", f"{standing} for {HUNG_SECONDS:g} s", remedy)
    return BrakeStop("deadline", f"{standing}, and the time was over", remedy)
