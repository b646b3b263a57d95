"""A fleet as the source of a session's load: every trial divided, begun together, added up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from poolkit.errors import BadInput, BrakeStop, Cancelled
from poolkit.load.brakes import out_of_calls
from poolkit.measure.child import RESUMES
from poolkit.measure.fleet.cluster import Cluster
from poolkit.measure.fleet.generator import LostError, RemoteGenerator
from poolkit.measure.fleet.process import facts
from poolkit.measure.fleet.shares import shares
from poolkit.measure.fleet.trial import FleetTrial, error_of, tell_all
from poolkit.measure.generating import Load, Sent
from poolkit.measure.preflight import first_calls
from poolkit.targets import Target
from poolkit.targets.fleet import Fleet
from poolkit.targets.reading import read_toml

MOST_DOUBT = 0.002  # s by which a clock may be wrong
KEEP_SECONDS = 1.0  # between two renewals of a lease while nothing is sent
END_SECONDS = 3.0  # for generators that are told to stop
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
            keeping = asyncio.create_task(self._keep(list(self._generators)))
            try:
                await self._provide(target, load.max_calls)
            finally:
                keeping.cancel()
            load = replace(load, max_calls=load.max_calls - self.calls)
            divided = shares(load, self._fleet.workers)
            busy = self._generators[: len(divided)]
            await self._read_clocks(busy)
            trial = FleetTrial(next(self._numbers), load, divided, busy, on_progress)
            try:
                return await trial.run()
            finally:
                self.calls += trial.calls
                for index in trial.lost:
                    self._drop(busy[index])
        except asyncio.CancelledError:
            await tell_all(one.tell({"do": "cancel"}) for one in busy)
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

    async def _keep(self, there: Sequence[RemoteGenerator]) -> None:
        """Renew the leases of those that are there while others start, which may take longer."""
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            await asyncio.gather(*(self._look_at(one) for one in there if one in self._generators))

    async def _look_at(self, generator: RemoteGenerator) -> None:
        """Drop a generator that is gone since it was last asked."""
        try:
            news = await generator.news()
        except LostError:
            if generator in self._generators:
                self._drop(generator)
        else:
            if generator in self._generators and any(
                answer.get("answer") == "gone" for answer in news
            ):
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


def _question(targets: Path, target: Target) -> dict[str, Any]:
    """What a generator must know to make the target its own: the table of the file, no secret.

    The server's side is looked at from here, so its DSNs need not be known there.
    """
    content = read_toml(targets)
    table = {**content["targets"][target.name], "target_rate": target.target_rate}
    table.pop("evidence", None)
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
            error = error_of(generator.name, found)
            error.cause = f"{where}: {error.cause}"
            raise error
        if found["fingerprint"] != target.fingerprint:
            raise BadInput(
                f"{where} reads another target from the same table",
                "the environment variables that it names must hold the same on every machine",
            )


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(LostError):
        await work
