"""A fleet as the source of a session's load: every trial divided, begun together, added up."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from poolkit.errors import BadInput, BrakeStop, Cancelled, PoolkitError, Unreachable
from poolkit.load.brakes import out_of_calls
from poolkit.load.measurement import Measurement
from poolkit.load.together import Part, together
from poolkit.measure.child import RESUMES
from poolkit.measure.fleet.cluster import Cluster
from poolkit.measure.fleet.generator import LostError, RemoteGenerator
from poolkit.measure.fleet.process import LOADS, facts
from poolkit.measure.fleet.shares import shares
from poolkit.measure.generating import Load, LostGenerators, Sent, is_narrow
from poolkit.measure.preflight import first_calls
from poolkit.records import CURVE_PURPOSES
from poolkit.targets import Target
from poolkit.targets.fleet import Fleet
from poolkit.targets.reading import read_toml

AHEAD = 0.1  # s between the order to begin and the moment
MOST_DOUBT = 0.002  # s by which a clock may be wrong
END_SECONDS = 3.0  # for generators that are told to stop
SILENT_SECONDS = 6.0  # a process under load that says nothing for so long is lost
ATTEMPTS = 4  # generators that may fail to start, each on another worker


class FleetSource:
    """Generators in processes of their own, here or on the workers of a Dask cluster.

    Args:
        targets: the targets.toml; its text travels, and each process reads the secrets that it
            names from its own environment.
        say: told what takes a while.

    State: the cluster and its generators, those that are being ended, workers that failed before,
    and of the trial under way the task and its calls.
    """

    def __init__(self, fleet: Fleet, targets: Path, say: Callable[[str], None]) -> None:
        self._fleet = fleet
        self._targets = targets
        self._say = say
        self._cluster = Cluster(fleet)
        self._is_open = False
        self._generators: list[RemoteGenerator] = []
        self._ends: set[asyncio.Task[None]] = set()
        self._doubtful: set[str] = set()
        self._numbers = count(1)
        self._task: asyncio.Task[Any] | None = None
        self._is_cancelled = False
        self.calls = 0

    def cancel(self) -> None:
        """End the load under way now."""
        self._is_cancelled = True
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """End all generators, and the cluster where it is ours."""
        for generator in self._generators:
            self._end(generator)
        self._generators = []
        try:
            if self._ends:
                await asyncio.wait(self._ends, timeout=END_SECONDS)
        finally:
            await self._cluster.close()

    async def send(
        self, target: Target, load: Load, on_progress: Callable[[float, int, float], None]
    ) -> Sent:
        """Divide the load, send it from all generators at once, and add up what they measured.

        Where a generator is lost the others end, and `lost` of the result says so.
        """
        self.calls, self._is_cancelled = 0, False
        self._task = asyncio.current_task()
        busy: Sequence[RemoteGenerator] = ()
        try:
            await self._provide(target, load.max_calls)
            load = replace(load, max_calls=load.max_calls - self.calls)
            divided = shares(load, self._fleet.workers)
            busy = self._generators[: len(divided)]
            await self._read_clocks(busy)
            trial = _Trial(next(self._numbers), target, load, divided, busy, on_progress)
            try:
                return await trial.run()
            finally:
                self.calls += trial.calls
                for index in trial.lost:
                    self._drop(busy[index])
        except asyncio.CancelledError:
            await _all(one.tell({"do": "cancel"}) for one in busy)
            if self._is_cancelled:
                raise Cancelled from None
            raise
        finally:
            self._task = None

    def _drop(self, generator: RemoteGenerator) -> None:
        """Give up a generator: whatever it may still do, it is not asked again."""
        self._generators.remove(generator)
        self._doubtful.add(generator.address)
        self._end(generator)
        self._cluster.drop(generator.address)

    def _end(self, generator: RemoteGenerator) -> None:
        task = asyncio.create_task(_quietly(generator.stop()))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    async def _provide(self, target: Target, most: int) -> None:
        """As many generators as are asked for, each checked; those that were lost are replaced.

        Counts the calls that the checks send, fewer than `most`.
        """
        if not self._is_open:
            self._say(f"starting {self._fleet.workers} generators")
            await self._cluster.open()
            self._is_open = True
        await asyncio.gather(*(self._look_at(one) for one in list(self._generators)))
        question = _question(self._targets, target)
        failed: dict[str, BrakeStop] = {}  # by address: why the generator there did not start
        while len(failed) < ATTEMPTS:
            have = {one.name: one.address for one in self._generators}
            names = [f"generator {number + 1}" for number in range(self._fleet.workers)]
            missing = [name for name in names if name not in have]
            if not missing:
                break
            try:
                free = await self._cluster.workers(
                    len(missing), {*have.values(), *failed}, self._doubtful
                )
            except BrakeStop as stop:
                raise next(iter(failed.values()), stop) from None
            new = [
                RemoteGenerator(self._cluster.client, name, address)
                for name, address in zip(missing, free, strict=True)
            ]
            first = len(new) * first_calls(target)
            if self.calls + first >= most:
                raise out_of_calls(most)
            self.calls += first
            self._generators += new
            failed |= await self._start(new, question)
            _check(target, [one for one in new if one in self._generators])
        else:
            raise next(iter(failed.values()))
        self._generators.sort(key=lambda one: int(one.name.split()[1]))

    async def _look_at(self, generator: RemoteGenerator) -> None:
        """Drop a generator that is gone since it was last asked."""
        try:
            news = await generator.news()
        except LostError:
            self._drop(generator)
        else:
            if any(answer.get("answer") == "gone" for answer in news):
                self._drop(generator)

    async def _start(
        self, new: Sequence[RemoteGenerator], question: Mapping[str, Any]
    ) -> dict[str, BrakeStop]:
        """Start generators, and drop those that do not; why, by address."""
        failed = {}
        starts = (one.start(question) for one in new)
        ends = await asyncio.gather(*starts, return_exceptions=True)
        for generator, end in zip(new, ends, strict=True):
            if isinstance(end, LostError):
                self._drop(generator)
                failed[generator.address] = BrakeStop(
                    "generators",
                    f"{generator.name} on {generator.address} did not start: {end}",
                    f"see that poolkit and the target's driver are installed there; {RESUMES}",
                )
            elif isinstance(end, BaseException):
                raise end
        return failed

    async def _read_clocks(self, busy: Iterable[RemoteGenerator]) -> None:
        own = facts()["clock"]
        for generator in busy:
            try:
                await generator.read_clock(own)
            except LostError:
                continue  # the trial will tell
            if generator.doubt > MOST_DOUBT:
                raise BrakeStop(
                    "clock",
                    f"the clock of {generator.name} ({generator.facts.get('host')}) is known to "
                    f"{generator.doubt * 1e3:.1f} ms only, and {MOST_DOUBT * 1e3:g} are allowed",
                    f"the network between is too slow or too busy to begin together; {RESUMES}",
                )


class _Trial:
    """One trial under way on several generators.

    State: which generators know their share, which pools are open, which have ended and how, and
    the timeline of a closed loop's successes as far as each has told it.
    """

    def __init__(
        self,
        number: int,
        target: Target,
        load: Load,
        divided: Sequence[Load],
        busy: Sequence[RemoteGenerator],
        on_progress: Callable[[float, int, float], None],
    ) -> None:
        self._number = number
        self._target = target
        self._load = load
        self._divided = divided
        self._busy = busy
        self._on_progress = on_progress
        self._open: set[int] = set()
        self._seen: dict[int, tuple[float, int, float]] = {}
        self._timelines: dict[int, list[int]] = {index: [] for index in range(len(busy))}
        self._at: dict[int, float] = {}
        self._told: set[int] = set()
        self._is_begun = False
        self._ending: Literal["", "finish", "cancel"] = ""
        self._counts: dict[int, int] = {}
        self._ends: dict[int, dict[str, Any]] = {}
        self._parts: dict[int, Part] = {}
        self.lost: dict[int, str] = {}

    @property
    def calls(self) -> int:
        """Calls that all have begun, as far as they told."""
        return sum(
            self._counts.get(index, self._seen.get(index, (0.0, 0, 0.0))[1])
            for index in range(len(self._busy))
        )

    async def run(self) -> Sent:
        """Send it all; what the generators measured, added up."""
        follows = [asyncio.create_task(self._follow(index)) for index in range(len(self._busy))]
        try:
            await asyncio.gather(*follows)
        finally:
            for task in follows:
                task.cancel()
        return self._sum()

    async def _follow(self, index: int) -> None:
        """Tell one generator its share, and listen until it has ended."""
        generator = self._busy[index]
        try:
            order = {"do": "send", "trial": self._number}
            share = LOADS.dump_python(self._divided[index], mode="json")
            await generator.tell({**order, "load": share})
            self._told.add(index)
            if self._ending:  # meanwhile: an order to end must not overtake the one to send
                await generator.tell({"do": self._ending})
            heard = time.monotonic()
            while index not in self._ends:
                for answer in await generator.news():
                    heard = time.monotonic()
                    await self._take(index, answer)
                if time.monotonic() > heard + SILENT_SECONDS:
                    raise LostError(f"its process said nothing for {SILENT_SECONDS:g} s")
        except LostError as error:
            self.lost[index] = str(error)
            await self._end_others(index, "finish" if self._is_begun else "cancel")

    async def _take(self, index: int, answer: Mapping[str, Any]) -> None:
        try:
            await self._take_sound(index, answer)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise LostError("it answered what no generator does") from error

    async def _take_sound(self, index: int, answer: Mapping[str, Any]) -> None:
        if answer["answer"] == "gone":
            raise LostError(f"its process ended with {answer['code']}")
        if answer.get("trial") != self._number:
            return  # the end of an earlier one, or a sign of life
        match answer["answer"]:
            case "open":
                self._open.add(index)
                if len(self._open) == len(self._busy):
                    await self._begin()
            case "progress":
                at, calls, rate = (_figure(answer[key]) for key in ("at", "calls", "rate"))
                self._seen[index] = at, int(calls), rate
                self._report(index)
            case "bins":
                self._timelines[index] += [int(_figure(one)) for one in answer["bins"]]
                self._at[index] = _figure(answer["at"])
                if self._is_enough(_figure(answer["width"])):
                    await self._end_others(None, "finish")
            case "sent":
                part = self._parts[index] = await self._busy[index].part()
                self._counts[index], self._ends[index] = part.calls, dict(answer)
                if answer["stop"] or answer["strain"]:
                    await self._end_others(index, "finish")
            case "ended":
                self._counts[index] = int(_figure(answer["calls"]))
                if "kind" not in answer and not self._ending:
                    raise LostError("it ended its load, since its lease was not renewed in time")
                self._ends[index] = dict(answer)
                if "kind" in answer:
                    await self._end_others(index, "cancel")

    async def _begin(self) -> None:
        """All pools are open: a moment for all, on each one's own clock."""
        self._is_begun = True
        at = time.perf_counter() + AHEAD
        await _all(one.tell({"do": "begin", "at": at + one.ahead}) for one in self._busy)

    async def _end_others(self, but: int | None, how: Literal["finish", "cancel"]) -> None:
        if not self._ending:
            self._ending = how
            others = [i for i in self._told if i not in (but, *self._ends)]
            await _all(self._busy[index].tell({"do": how}) for index in others)

    def _report(self, index: int) -> None:
        """Pass on how far all are, each time that the first of them tells."""
        if index != min(set(range(len(self._busy))) - set(self._ends), default=0):
            return
        at = min(at for at, _, _ in self._seen.values())
        calls = sum(calls for _, calls, _ in self._seen.values())
        self._on_progress(at, calls, sum(rate for _, _, rate in self._seen.values()))

    def _is_enough(self, width: float) -> bool:
        plan = self._load.plan
        if plan.purpose not in CURVE_PURPOSES or len(self._at) < len(self._busy):
            return False
        least = min(len(timeline) for timeline in self._timelines.values())
        whole = np.sum([timeline[:least] for timeline in self._timelines.values()], axis=0)
        return is_narrow(plan.callers, _Timeline(width, whole), least * width)

    def _sum(self) -> Sent:
        for index, end in self._ends.items():
            if "kind" in end and not self.lost:
                raise _error(self._busy[index].name, end)
        lost = "; ".join(f"{self._busy[i].name} was lost: {why}" for i, why in self.lost.items())
        without = set(self._ends) - set(self._parts)
        if without and not lost:
            lost = f"{self._busy[min(without)].name} had not begun when another ended"
        parts = {self._busy[index].name: part for index, part in sorted(self._parts.items())}
        try:
            whole = together(list(parts.values())) if parts else None
        except ValueError as error:
            whole, lost = None, f"what the generators measured does not go together: {error}"
        if whole is None:
            raise LostGenerators(lost or "no generator measured anything")
        plan, strains = self._load.plan, [end.get("strain") for end in self._ends.values()]
        stops = [BrakeStop(*end["stop"]) for end in self._ends.values() if end.get("stop")]
        return Sent(
            _as_planned(whole, self._load),
            stop=stops[0] if stops else None,
            strain=next(filter(None, strains), None) if plan.purpose == "approach" else None,
            parts=parts,
            lost=lost,
        )


def _figure(told: float) -> float:
    """A number that a generator told; ValueError where it cannot be one."""
    if not 0.0 <= told < math.inf:
        raise ValueError(told)
    return told


@dataclass(frozen=True, slots=True)
class _Timeline:
    """Successes of all generators by time, as `is_narrow` asks for them."""

    bin_seconds: float
    completions: NDArray[np.int64]


def _as_planned(measured: Measurement, load: Load) -> Measurement:
    """Divided for the generators, but one trial of the plan."""
    plan = load.plan
    return replace(
        measured,
        pool_size=plan.pool_size,
        callers=plan.callers,
        arrival_rate=plan.rate,
        seed=load.seed,
    )


def _error(name: str, end: Mapping[str, Any]) -> PoolkitError:
    """What ended the load of a generator before it began, or a fault of it."""
    if end["kind"] == "BrakeStop":
        return BrakeStop(*end["stop"])
    known = {"Unreachable": Unreachable, "BadInput": BadInput}
    if end["kind"] in known:
        return known[end["kind"]](end["cause"], end["remedy"])
    return BrakeStop("generators", f"{name}: {end['cause']}", end["remedy"])


def _question(targets: Path, target: Target) -> dict[str, Any]:
    """What a generator must know to make the target its own: the table of the file, no secret."""
    content = read_toml(targets)
    table = {**content["targets"][target.name], "target_rate": target.target_rate}
    asked = {key: getattr(target, key) for key in ("target_rate", "wait_p99", "push")}
    kept = {"allow_hosts": content.get("allow_hosts", []), "targets": {target.name: table}}
    return {"content": kept, "name": target.name, "asked": asked}


def _check(target: Target, generators: Iterable[RemoteGenerator]) -> None:
    """Refuse generators that are not alike, or that do not reach the target; before any load."""
    own = facts()["versions"]
    for generator in generators:
        found, where = generator.facts, f"{generator.name} ({generator.facts['host']})"
        theirs = found["versions"]
        apart = [
            f"{package} {theirs.get(package, 'missing')} there and {own.get(package, 'missing')}"
            for package in sorted({*own, *theirs})
            if theirs.get(package) != own.get(package)
        ]
        if apart:
            raise BadInput(
                f"{where} has other versions: {', '.join(apart)} here",
                "install the same on every machine; no load was sent",
            )
        if "kind" in found:
            error = _error(generator.name, found)
            error.cause = f"{where}: {error.cause}"
            raise error
        if found["fingerprint"] != target.fingerprint:
            raise BadInput(
                f"{where} reads another target from the same table",
                "the environment variables that it names must hold the same on every machine",
            )


async def _all(orders: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Carry out all of them at once; who is lost is found out by whom listens to it."""
    await asyncio.gather(*orders, return_exceptions=True)


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(LostError):
        await work
