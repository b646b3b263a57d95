"""One trial under way on the generators of a fleet."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from poolkit.errors import BadInput, BrakeStop, PoolkitError, Unreachable
from poolkit.load.measurement import Measurement
from poolkit.load.starting import all_seen
from poolkit.load.together import Part, together
from poolkit.measure.fleet.generator import LostError, RemoteGenerator
from poolkit.measure.fleet.process import LOADS
from poolkit.measure.generating import Load, LostGenerators, Sent, begins, is_narrow
from poolkit.records import CURVE_PURPOSES

AHEAD = 0.1  # s between the order to begin and the moment
SILENT_SECONDS = 6.0  # a process under load that says nothing for so long is lost


class FleetTrial:
    """One trial under way on several generators.

    State: which generators know their share, which are ready, when the load began, which have ended
    and how, and the timeline of a closed loop's successes as far as each has told it.
    """

    def __init__(
        self,
        number: int,
        load: Load,
        divided: Sequence[Load],
        busy: Sequence[RemoteGenerator],
        on_progress: Callable[[float, int, float], None],
    ) -> None:
        self._number = number
        self._load = load
        self._divided = divided
        self._busy = busy
        self._on_progress = on_progress
        self._open: set[int] = set()
        self._started = datetime.now(UTC)  # of the load, by this machine's clock
        self._seen: dict[int, tuple[float, int, float]] = {}
        self._timelines: dict[int, list[int]] = {index: [] for index in range(len(busy))}
        self._at: dict[int, float] = {}
        self._judged = 0  # bins
        self._told: set[int] = set()
        self._begins = begins(load.plan)  # moments to agree on before the load is under way
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
            await self._end_others(index, "finish" if not self._begins else "cancel")

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
        """All are ready: a moment for all, on each one's own clock."""
        self._open.clear()
        self._begins -= 1
        at = time.perf_counter() + AHEAD
        self._started = datetime.now(UTC) + timedelta(seconds=AHEAD)
        await tell_all(one.tell({"do": "begin", "at": at + one.ahead}) for one in self._busy)

    async def _end_others(self, but: int | None, how: Literal["finish", "cancel"]) -> None:
        if not self._ending:
            self._ending = how
            others = [i for i in self._told if i not in (but, *self._ends)]
            await tell_all(self._busy[index].tell({"do": how}) for index in others)

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
        if least == self._judged:  # another than the slowest told more: nothing new for all
            return False
        self._judged = least
        whole = np.sum([timeline[:least] for timeline in self._timelines.values()], axis=0)
        return is_narrow(plan.callers, _Timeline(width, whole), least * width)

    def _sum(self) -> Sent:
        for index, end in self._ends.items():
            if "kind" in end and not self.lost:
                raise error_of(self._busy[index].name, end)
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
        starts = [part.start for part in parts.values() if part.start is not None]
        plan, strains = self._load.plan, [end.get("strain") for end in self._ends.values()]
        stops = [BrakeStop(*end["stop"]) for end in self._ends.values() if end.get("stop")]
        return Sent(
            _as_planned(whole, self._load, self._started),
            stop=stops[0] if stops else None,
            strain=next(filter(None, strains), None) if plan.purpose == "approach" else None,
            parts=parts,
            start=all_seen(starts) if starts and not lost else None,
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


def _as_planned(measured: Measurement, load: Load, started: datetime) -> Measurement:
    """Divided for the generators, but one trial of the plan, by the clock that all else goes by."""
    plan = load.plan
    return replace(
        measured,
        pool_size=plan.pool_size,
        callers=plan.callers,
        arrival_rate=plan.rate,
        seed=load.seed,
        started=started.isoformat(timespec="milliseconds"),
    )


def error_of(name: str, end: Mapping[str, Any]) -> PoolkitError:
    """What ended the load of a generator before it began, or a fault of it."""
    if end["kind"] == "BrakeStop":
        return BrakeStop(*end["stop"])
    known = {"Unreachable": Unreachable, "BadInput": BadInput}
    if end["kind"] in known:
        return known[end["kind"]](end["cause"], end["remedy"])
    return BrakeStop("generators", f"{name}: {end['cause']}", end["remedy"])


async def tell_all(orders: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Carry out all of them at once; who is lost is found out by whom listens to it."""
    await asyncio.gather(*orders, return_exceptions=True)
