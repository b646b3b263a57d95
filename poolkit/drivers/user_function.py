"""Running the user's own coroutine as the work of a call, whatever it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from poolkit.errors import CallFailed, CallTimedOut
from poolkit.targets.workload import WorkFunction


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


def outcome_of(
    failure: CallFailed,
    library: tuple[type[Exception], ...],
    translated: Callable[[Exception], CallFailed],
) -> CallFailed:
    """What a call ended with: the library's own error where the user's function let one through.

    A refused dial or a lost connection is the same outcome then as without a function, so that the
    brakes see it.

    Args:
        library: what the client library raises and nobody else does.
        translated: the adapter's translation of those.
    """
    cause = failure.__cause__
    # One that ran out of time may end by any error; that it did is what counts.
    if type(failure) is CallFailed and isinstance(cause, library):
        return translated(cause)
    return failure
