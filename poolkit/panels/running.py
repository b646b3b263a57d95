"""One measurement under way in a child process, and the register of those of this kernel."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from poolkit.errors import BadInput, Cancelled, ExitCode, PoolkitError
from poolkit.events import Event, Started
from poolkit.measure.child import Child, Order, command
from poolkit.measure.sweep import spent
from poolkit.panels import story as stories
from poolkit.panels.request import Request
from poolkit.panels.sources import Source
from poolkit.panels.story import Story
from poolkit.recommend import recommend
from poolkit.records import Trial
from poolkit.review.outcome import trial_log
from poolkit.targets import Target, load_targets

GRACE = 1.5  # s that a cancelled child has to put its trials away: nothing is left after 2 s
LOOK = 0.05  # s between two looks whether the end was asked for, while an upstream starts


class Run:
    """A measurement that this kernel started; its story is told to whoever listens.

    The load is in a child process that ends with this one. A daemon thread reads its events; so
    nothing here depends on a loop, on the kernel's threads, or on a cell that still runs. Every
    method may be called from any thread.

    State: the story, the child once there is one, the target, and whether the end was asked for.
    """

    def __init__(self, request: Request, source: Source, out: Path) -> None:
        self.request = request
        self.out = out
        self._source = source
        self._story = stories.starting(request.target)
        self._listeners: list[Callable[[Story], None]] = []
        self._child: Child | None = None
        self._target: Target | None = None
        self._is_cancelled = False
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="poolkit-run", daemon=True)

    def __repr__(self) -> str:
        return f"Run({self.request.target!r}, {self.story.phase})"

    @property
    def story(self) -> Story:
        """What is known by now."""
        return self._story

    @property
    def target(self) -> Target | None:
        """What targets.toml says of the target; None before it was read."""
        return self._target

    @property
    def pid(self) -> int | None:
        """Process id of the child; None before it was started."""
        return None if self._child is None else self._child.pid

    @property
    def is_over(self) -> bool:
        """Whether it has ended, its child gone."""
        return self._over.is_set()

    @property
    def is_ending(self) -> bool:
        """Whether its end was asked for or has been told, its child perhaps not yet gone."""
        return self._is_cancelled or self._story.is_over

    def is_of(self, source: Source) -> bool:
        """Whether this source's target is measured."""
        return self._source.identity == source.identity

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def listen(self, listener: Callable[[Story], None]) -> None:
        """Tell the story so far to `listener`, and each change of it (on the run's thread)."""
        with self._lock:
            self._listeners.append(listener)
            listener(self._story)

    def cancel(self) -> None:
        """Ask for the end; finished trials are kept. The second time it ends at once."""
        with self._lock:
            self._is_cancelled = True
            self._tell(stories.cancelling(self._story))
            if self._child is not None:
                self._child.cancel()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; whether it came within `timeout` (s)."""
        return self._over.wait(timeout)

    # -- the thread ---------------------------------------------------------------------------

    def _follow(self) -> None:
        try:
            self._measure()
        except PoolkitError as error:
            self._fail(error.cause, error.remedy, error.exit_code)
        except Exception as error:
            self._fail(
                f"poolkit itself failed: {type(error).__name__}: {error}",
                "please report it; finished trials are kept",
                ExitCode.STOPPED,
            )
        finally:
            self._over.set()

    def _measure(self) -> None:
        asked = self.request
        file = self._targets_file()
        target = load_targets(file, (asked.target,))[asked.target]
        order = Order(
            "size" if asked.verify else "sweep",
            asked.target,
            file,
            self.out,
            asked.sizes,
            budget=asked.budget,
            rate=asked.target_rate,
            wait=asked.wait_p99,
        )
        self._target = order.asked_of(target)
        with self._lock:
            if self._is_cancelled:
                raise Cancelled
            child = Child(command(order), target=asked.target, secrets=target.secrets, grace=GRACE)
            self._child = child
        with child:
            # The last event is told when the process is gone, so that "over" means over.
            last: Event | None = None
            for event in child.events():
                if last is not None:
                    self._take(last)
                last = event
        if last is not None:
            self._take(last)

    def _targets_file(self) -> Path:
        """The target's file, its endpoint ready; Cancelled where the end is asked for before.

        An upstream of the lab that starts then goes on starting, for whoever measures it next.
        """
        made: Future[Path] = Future()

        def make() -> None:
            try:
                made.set_result(self._source.targets_file(self.request.target))
            except Exception as error:
                made.set_exception(error)

        threading.Thread(target=make, name="poolkit-source", daemon=True).start()
        while True:
            if made.done():
                return made.result()
            with contextlib.suppress(TimeoutError):
                made.exception(LOOK)
            if self._is_cancelled and not made.done():
                raise Cancelled

    def _take(self, event: Event) -> None:
        resumed: list[Trial] = []
        if isinstance(event, Started) and event.resumed_trials and self._target is not None:
            resumed = trial_log(self.out, self._target).read()
        with self._lock:
            story = stories.after(self._story, event, resumed)
            self._tell(_recommended(story, self._target))

    def _fail(self, cause: str, remedy: str, code: ExitCode) -> None:
        with self._lock:
            self._tell(stories.failed(self._story, cause, remedy, code))

    def _tell(self, story: Story) -> None:
        self._story = story
        for listener in self._listeners:
            listener(story)


def _recommended(story: Story, target: Target | None) -> Story:
    """With a recommendation, where a sweep without verification ended in a sizing."""
    if story.phase != "done" or story.recommendation is not None:
        return story
    if story.sizing is None or target is None:
        return story
    trials = story.trials
    found = recommend(target, story.sizing, None, trials, "done", spent(trials))
    return replace(story, recommendation=found)


# -- the register: a panel that is made again finds what its name has under way --------------

_runs: dict[str, Run] = {}
_registering = threading.Lock()


def under_way(name: str) -> Run | None:
    """The latest run of the panels called `name` in this kernel, over or not."""
    return _runs.get(name)


def begin(name: str, run: Run) -> None:
    """Start a run under the panels' name; BadInput while another one is under way."""
    with _registering:
        former = _runs.get(name)
        if former is not None and not former.is_over:
            raise BadInput(
                f"{former.request.target} is being measured already", "wait for it or cancel it"
            )
        _runs[name] = run
        run.start()
