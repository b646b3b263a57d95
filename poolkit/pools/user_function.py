"""Running the user's own coroutine as the work of a call, whatever it does."""

from __future__ import annotations

import asyncio
from typing import Any

from poolkit.errors import CallFailed, CallTimedOut
from poolkit.workload import WorkFunction


async def run_function(
    function: WorkFunction, handle: Any, call_timeout: float, name: str = "work"
) -> None:
    """Await `function(handle)` for at most `call_timeout` s; `name` is what targets.toml calls it.

    Whatever it raises is the outcome of this call and not the end of the run: named after the
    exception's class, without its text, which may hold anything.
    """
    try:
        async with asyncio.timeout(call_timeout) as limit:
            await function(handle)
    except CallFailed:
        raise
    except Exception as error:
        if limit.expired():
            raise CallTimedOut(f"{name}_timeout") from error
        raise CallFailed(f"{name}_{type(error).__name__}") from error
