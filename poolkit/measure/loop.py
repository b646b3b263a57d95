"""The event loop that a measurement runs on, and everything that may end it from outside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from queue import Empty, SimpleQueue
from typing import Any, Literal

from poolkit.errors import ExitCode
from poolkit.measure.local import local
from poolkit.measure.parent import is_orphan

SIGNALS = (signal.SIGTERM, signal.SIGINT)
CLOSE_SECONDS = 1.0
END_SECONDS = 0.3  # s for tasks that are left when the work is over
CHECK_SECONDS = 0.25
# s between the polite request and the end of the process: nothing is left 2 s after its parent.
GRACE = 1.5
PATIENCE = 5.0  # s, the same after a signal while the event loop turns: it is tidying up
HUNG_SECONDS = 30.0  # s that the event loop may stand still
WORDS_SECONDS = 0.5  # s for the last words; whoever should read them may be gone

Reason = Literal["parent", "deadline", "signal", "hung"]


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
    cancel: Callable[[Reason], None],
    deadline: float,
    last_words: Callable[[Reason], object] | None = None,
    new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> ExitCode:
    """Run the work; signals, the parent's end and the deadline cancel it.

    Args:
        cancel: asks the work to end soon, for this reason; called in the loop.
        deadline: s from now after which the process must be over, whatever the work does.
        last_words: called in another thread before a process is ended whose loop stands still.
        new_loop: makes the event loop; None: uvloop's where it is installed.
    """
    loop = (new_loop or _fastest_loop)()
    watchdog = Watchdog(
        lambda reason: loop.call_soon_threadsafe(cancel, reason),
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
        # A loop that waits for a look-up of a name, as uvloop's does, is left behind.
        closing = threading.Thread(target=loop.close, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)
        asyncio.set_event_loop(None)


def _fastest_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return local(asyncio.SelectorEventLoop)()
    return local(uvloop.Loop)()


def _without_leftovers(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Print what went wrong in the loop, but not the ends of tasks without a waiter.

    Those are the libraries' own, such as a release that was shielded from a cancelled call: the
    generator checks each of its own tasks and records what became of the call. Nor those
    that were left because they resist their cancellation.
    """
    message = context.get("message", "")
    if "never retrieved" not in message and "destroyed but it is pending" not in message:
        loop.default_exception_handler(context)


async def _end_tasks() -> None:
    """Cancel what libraries left behind, such as a release that a silent server never ended."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if rest:
        done, _ = await asyncio.wait(rest, timeout=END_SECONDS)
        for task in done:
            # Retrieved, or the loop would print it; the measurement is over.
            if not task.cancelled():
                task.exception()


class Watchdog:
    """A daemon thread that calls `stop` once, and ends the process when that has no effect.

    Args:
        stop: thread-safe request to end the measurement, for this reason.
        deadline: s from now after which the process must be over.
        ask: thread-safe; has a function called by the event loop, which so shows that it turns.
            None: a hung loop goes unnoticed.
        last_words: called before a process is ended that did not end itself.
    """

    def __init__(
        self,
        stop: Callable[[Reason], object],
        deadline: float,
        *,
        ask: Callable[[Callable[[], None]], object] | None = None,
        last_words: Callable[[Reason], object] | None = None,
    ) -> None:
        self._stop = stop
        self._deadline = time.monotonic() + deadline
        self._ask = ask
        self._last_words = last_words
        self._parent = os.getppid()
        self._over = threading.Event()
        # The only way in for a signal handler: its put can interrupt another without a deadlock.
        self._called: SimpleQueue[bool] = SimpleQueue()
        # Questions since the loop last answered. Counted, not timed: a process that was halted as a
        # whole (SIGSTOP, a sleeping laptop) has not hung.
        self._unanswered = 0
        self._thread = threading.Thread(target=self._watch, name="poolkit-watchdog", daemon=True)

    def start(self) -> None:
        """Begin watching."""
        self._thread.start()

    def call(self) -> None:
        """A signal came: end the measurement; for signal handlers."""
        self._called.put(True)

    def finish(self) -> None:
        """The measurement is over; stop watching."""
        self._over.set()
        self._called.put(False)
        self._thread.join()

    def _watch(self) -> None:
        reason: Reason | None = None
        while reason is None:
            try:
                is_called = self._called.get(timeout=CHECK_SECONDS)
            except Empty:
                is_called = False
            if self._over.is_set():
                return
            self._ask_loop()
            # The kernel's signal at the parent's end is no request of somebody who waits.
            reason = "parent" if self._is_orphan() else "signal" if is_called else self._reason()
        self._stop(reason)
        if not self._ends_in_time(reason):
            if self._last_words is not None:
                words = threading.Thread(target=self._last_words, args=(reason,), daemon=True)
                words.start()
                words.join(WORDS_SECONDS)
            is_cancelled = reason in ("parent", "signal")
            os._exit(ExitCode.CANCELLED if is_cancelled else ExitCode.STOPPED)

    def _reason(self) -> Reason | None:
        if time.monotonic() > self._deadline:
            return "deadline"
        return "hung" if self._unanswered * CHECK_SECONDS > HUNG_SECONDS else None

    def _is_orphan(self) -> bool:
        # A process whose parent died is handed to another one.
        return os.getppid() != self._parent or is_orphan()

    def _ask_loop(self) -> None:
        if self._ask is not None:
            self._unanswered += 1
            self._ask(self._answered)

    def _answered(self) -> None:
        self._unanswered = 0

    def _ends_in_time(self, reason: Reason) -> bool:
        patience = PATIENCE if reason == "signal" and self._ask is not None else GRACE
        began = time.monotonic()
        while time.monotonic() < began + patience:
            if self._over.wait(min(CHECK_SECONDS, patience)):
                return True
            self._ask_loop()
            if self._unanswered * CHECK_SECONDS > GRACE:
                return False
        return False
