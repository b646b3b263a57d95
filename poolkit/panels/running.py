"""One measurement: its run in a child process, and this kernel's runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from poolkit.errors import BadInput, Cancelled, ExitCode, PoolkitError
from poolkit.events import Event, Started
from poolkit.measure.child import Child, Order, command
from poolkit.measure.resume import counting
from poolkit.measure.sweep import spent
from poolkit.panels.request import Request
from poolkit.panels.sources import Source
from poolkit.panels.story import STARTING, Story
from poolkit.recommend import recommend
from poolkit.records import Trial
from poolkit.review.before import check_trials, set_aside
from poolkit.review.outcome import trial_log
from poolkit.targets import Target, load_targets

GRACE = 1.5  # s that a cancelled child has to put its trials away: nothing is left after 2 s


class Run:
    """One measurement; its story is told to whoever listens.

    The load is in a child process that ends with this one. A daemon thread reads its events; so
    nothing here depends on a loop, on the kernel's threads, or on a cell that still runs. Every
    method may be called from any thread.

    State: the story (what is known by now), and the child once there is one.

    Args:
        out: folder for the trials; those that are there already count where they answer the
            same question.
        former: how a measurement ended that this one goes on with.
    """

    def __init__(
        self, request: Request, source: Source, out: Path, former: Story | None = None
    ) -> None:
        self.request = request
        self.source = source
        self.out = out
        begun = Story(request.target)
        if former is not None and not request.again:
            begun = former.taken_up()
        self.story = replace(begun, phase="starting", doing=STARTING)
        self._child: Child | None = None
        self._listeners: list[Callable[[Story], None]] = []
        self._lock = threading.RLock()
        self._over = threading.Event()

    def __repr__(self) -> str:
        return f"Run({self.request.target!r}, {self.story.phase})"

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
        """Whether its end was asked for or has come, its child perhaps not yet gone."""
        return self.story.phase == "cancelling" or self.story.is_over

    def start(self) -> None:
        """Begin; returns at once."""
        threading.Thread(target=self._follow, name="poolkit-run", daemon=True).start()

    def listen(self, listener: Callable[[Story], None]) -> None:
        """Call `listener` with the story so far, and with each later one (on the run's thread)."""
        with self._lock:
            self._listeners.append(listener)
            listener(self.story)

    def cancel(self) -> None:
        """Ask for the end; finished trials are kept. The second time it ends at once."""
        with self._lock:
            self._tell(self.story.cancelling())
            if self._child is not None:
                self._child.cancel()
            else:
                # An upstream of the lab that starts goes on, for whoever measures it next.
                self._end(Cancelled())

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; whether it came within `timeout` (s)."""
        return self._over.wait(timeout)

    # -- the thread ---------------------------------------------------------------------------

    def _follow(self) -> None:
        try:
            self._measure()
        except PoolkitError as error:
            self._end(error)
        except Exception as error:
            cause = f"poolkit itself failed: {type(error).__name__}: {error}"
            failure = PoolkitError(cause, "please report it; finished trials are kept")
            failure.exit_code = ExitCode.STOPPED
            self._end(failure)
        finally:
            self._over.set()

    def _measure(self) -> None:
        asked = self.request
        file = self.source.targets_file(asked.target)
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
            push=asked.push,
            cold=asked.cold,
            fleet=asked.fleet,
        )
        target = order.asked_of(target)
        said = "" if asked.again else check_trials(self.out, target)
        with self._lock:
            if self.is_over:
                return
            if asked.again:
                set_aside(self.out, (target.name,))
            self._tell(replace(self.story, objective=target, note=said and f"{said}."))
            child = Child(command(order), target=asked.target, secrets=target.secrets, grace=GRACE)
            self._child = child
        with child:
            # The last event is taken when the process is gone, so that "over" means over.
            last: Event | None = None
            for event in child.events():
                if last is not None:
                    self._take(last)
                last = event
        if last is not None:
            self._take(last)

    def _take(self, event: Event) -> None:
        target, resumed = self.story.objective, list[Trial]()
        assert isinstance(target, Target)
        if isinstance(event, Started) and event.resumed is not None:
            resumed = counting(trial_log(self.out, target).read(), target)
        with self._lock:
            story = self.story.after(event, resumed)
            if story.phase == "done" and story.sizing is not None and story.recommendation is None:
                # A sweep without verification ends in a sizing.
                trials = story.trials
                found = recommend(target, story.sizing, None, trials, "done", spent(trials))
                found = found.model_copy(update={"resumed": story.resumed})
                story = replace(story, recommendation=found)
            self._tell(story)

    def _end(self, error: PoolkitError) -> None:
        """Over, without a child or after it; a run that is over already stays as it ended."""
        with self._lock:
            if not self.is_over:
                self._tell(self.story.failed(error.cause, error.remedy, error.exit_code))
                self._over.set()

    def _tell(self, story: Story) -> None:
        self.story = story
        for listener in self._listeners:
            listener(story)


# Of this kernel, by the panels' name: a panel that is made again finds the latest, over or not.
latest: dict[str, Run] = {}
_registering = threading.Lock()


def under_way(name: str, source: Source) -> Run | None:
    """The run of the panels called `name` that is not over, where it is of this source."""
    run = latest.get(name)
    is_shown = run is not None and not run.is_over and run.source.identity == source.identity
    return run if is_shown else None


def begin(name: str, run: Run) -> None:
    """Start a run under the panels' name; BadInput while another one is under way."""
    with _registering:
        former = latest.get(name)
        if former is not None and not former.is_over:
            raise BadInput(
                f"{former.request.target} is being measured already", "wait for it or cancel it"
            )
        latest[name] = run
        run.start()
