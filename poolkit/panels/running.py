"""One measurement: what is asked of it, its run in a child process, and this kernel's runs."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from poolkit.errors import BadInput, Cancelled, ExitCode, PoolkitError
from poolkit.events import Event, Started
from poolkit.measure import SIZE_BUDGET, SWEEP_BUDGET
from poolkit.measure.child import Child, Order, command
from poolkit.measure.resume import counting
from poolkit.measure.sweep import spent
from poolkit.panels.sources import Source
from poolkit.panels.story import Story
from poolkit.recommend import recommend
from poolkit.records import Trial
from poolkit.review.before import check_trials, set_aside
from poolkit.review.outcome import trial_log
from poolkit.targets import Target, load_targets

GRACE = 1.5  # s that a cancelled child has to put its trials away: nothing is left after 2 s


@dataclass(frozen=True, slots=True)
class Request:
    """One measurement to make.

    Attributes:
        target: name of the target; empty: the one that the panel has.
        sizes: pool sizes to measure; empty: chosen while measuring. None with `verify`, which
            must choose them.
        budget: s of load, 1 to 3600; None: what the command uses (20, or 45 with `verify`).
        target_rate: calls/s to sustain, more than 0; None: what the target asks.
        wait_p99: s, longest good p99 wait for a connection; None: what the target asks.
        verify: whether the size found is tried under load.
        push: False: no load above the target rate, with `verify` alone; True: what the target says.
        again: whether to measure anew what the folder holds, which keeps that as a record.
    """

    target: str = ""
    sizes: tuple[int, ...] = ()
    budget: float | None = None
    target_rate: float | None = None
    wait_p99: float | None = None
    verify: bool = False
    push: bool = True
    again: bool = False

    def __post_init__(self) -> None:
        if self.verify and self.sizes:
            raise BadInput(
                "a verification chooses the sizes itself",
                "leave the sizes empty, or measure them without verification",
            )
        if not (self.push or self.verify):
            raise BadInput(
                "a sweep pushes: it raises the load until throughput no longer grows",
                "have the size verified under load, which works without pushing",
            )
        if self.budget is not None and not 1.0 <= self.budget <= 3600.0:
            raise BadInput(
                f"the budget must be from 1 to 3600 s, got {self.budget:g}",
                f"{SWEEP_BUDGET:g} s are enough for a sweep, {SIZE_BUDGET:g} s with verification",
            )
        for name, value in (("target rate", self.target_rate), ("wait target", self.wait_p99)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise BadInput(
                    f"the {name} must be more than 0, got {value:g}",
                    "leave it empty for what targets.toml asks",
                )


def read_sizes(text: str) -> tuple[int, ...]:
    """Pool sizes from `1, 2, 4`, each once and in order; empty where none are given.

    Raises:
        BadInput: one is not a whole number of 1 or more.
    """
    sizes = set()
    for word in text.replace(",", " ").split():
        if not (word.isascii() and word.isdigit()) or int(word) < 1:
            raise BadInput(
                f"sizes must be whole numbers of 1 or more, got {word!r}",
                "write them like this: 1, 2, 4, 8; or leave the field empty",
            )
        sizes.add(int(word))
    return tuple(sorted(sizes))


def read_number(text: str, name: str) -> float | None:
    """The number in a field, None where it is empty; BadInput where it is none."""
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise BadInput(f"the {name} must be a number, got {text.strip()!r}") from None


class Run:
    """One measurement; its story is told to whoever listens.

    The load is in a child process that ends with this one. A daemon thread reads its events; so
    nothing here depends on a loop, on the kernel's threads, or on a cell that still runs. Every
    method may be called from any thread.

    State: the story (what is known by now), and the child once there is one.
    """

    def __init__(self, request: Request, source: Source, out: Path) -> None:
        self.request = request
        self.source = source
        self.out = out
        doing = "starting: one call to see whether it answers"
        self.story = Story(request.target, "starting", doing=doing)
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
