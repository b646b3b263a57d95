"""The event loop that a measurement runs on, and everything that may end it from outside."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from poolkit.errors import BrakeStop, Cancelled, ExitCode, PoolkitError
from poolkit.measure.watchdog import HUNG_SECONDS, Reason, Watchdog
from poolkit.targets import Target

SIGNALS = (signal.SIGTERM, signal.SIGINT)
CLOSE_SECONDS = 1.0
END_SECONDS = 0.3  # s for tasks that are left when the work is over


@contextlib.contextmanager
def on_signals(call: Callable[[], object]) -> Iterator[None]:
    """Have Ctrl-C and SIGTERM call this instead, where the thread is the one that may take them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = {number: signal.signal(number, lambda *_: call()) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def run_until_over(
    work: Coroutine[object, object, ExitCode],
    cancel: Callable[[Reason | None], None],
    deadline: float,
    last_words: Callable[[Reason], object] | None = None,
    new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> ExitCode:
    """Run the work; signals, the parent's end and the deadline cancel it.

    Args:
        cancel: asks the work to end soon and tells why (None: a signal); called in the loop,
            harmless when repeated.
        deadline: s from now after which the process must be over, whatever the work does.
        last_words: told why, in another thread, before a process is ended whose loop stands still.
        new_loop: makes the event loop; None: uvloop's where it is installed.
    """
    loop = (new_loop or _fastest_loop)()
    watchdog = Watchdog(
        lambda reason: loop.call_soon_threadsafe(cancel, None if reason == "signal" else reason),
        deadline,
        ask=loop.call_soon_threadsafe,
        last_words=last_words,
    )
    loop.set_exception_handler(_without_leftovers)
    try:
        asyncio.set_event_loop(loop)
        # Not the loop's own handlers, which a loop that stands still never runs.
        with on_signals(watchdog.call):
            watchdog.start()
            try:
                return loop.run_until_complete(work)
            finally:
                watchdog.finish()
    finally:
        loop.run_until_complete(_end_tasks())
        loop.run_until_complete(loop.shutdown_asyncgens())
        _close(loop)
        asyncio.set_event_loop(None)


def why_ended(target: Target, reason: Reason) -> PoolkitError:
    """What is said of a process that was ended because its event loop stood still."""
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


def _without_leftovers(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Print what went wrong in the loop, but not the ends of tasks that nobody waits for.

    Those are the libraries' own, such as a release that was shielded from a cancelled call: the
    generator looks at each of its tasks, and its record tells what became of the call. Nor those
    that were left because they resist their cancellation.
    """
    message = context.get("message", "")
    if "never retrieved" not in message and "destroyed but it is pending" not in message:
        loop.default_exception_handler(context)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Close the loop; one that waits for a look-up of a name, as uvloop's does, is left behind."""
    closing = threading.Thread(target=loop.close, daemon=True)
    closing.start()
    closing.join(CLOSE_SECONDS)


async def _end_tasks() -> None:
    """Cancel what libraries left behind, such as a release that a silent server never ended."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if rest:
        done, _ = await asyncio.wait(rest, timeout=END_SECONDS)
        for task in done:
            # Looked at, or the loop would print it; the measurement is over and nobody waits.
            if not task.cancelled():
                task.exception()


def _fastest_loop() -> asyncio.AbstractEventLoop:
    """A new loop of uvloop where it is installed, else of asyncio."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
