"""A process of a fleet: runs the generator of one trial after the other, as it is told.

It is told by lines of JSON on stdin and answers by such lines on stdout; a result is followed by
its bytes. It ends with stdin. Every line renews its lease: without one for `LEASE` s the load ends,
so that nothing is sent for somebody who died or hangs, wherever between here and the client, and
without one for `IDLE` s the process. Under load it shows twice a second that it lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import json
import math
import os
import pickle
import platform
import sys
import time
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import TypeAdapter

from poolkit.errors import BrakeStop, Cancelled, ExitCode, PoolkitError
from poolkit.load.recorder import Recorder
from poolkit.load.timer import Timer
from poolkit.load.together import Moments, Part
from poolkit.measure.generating import Load, Sent, ThisProcess, begins, most_connections
from poolkit.measure.loop import Reason, run_until_over
from poolkit.measure.preflight import check_descriptors, check_first_call
from poolkit.redact import Redactor
from poolkit.targets import Target
from poolkit.targets.file import targets_of

LEASE = 1.6  # s: with a look at it and the end of calls under way, no load is left after 2 s
CHECK = 0.1  # s between two looks at the lease
BEAT = 0.5  # s between two signs of life
IDLE = 10.0  # s
LONGEST = 24 * 3600.0  # s that such a process may live
_PACKAGES = (
    "aiohttp", "asyncpg", "httpx", "httpx2", "poolkit", "psycopg", "psycopg-pool", "redis",
    "sqlalchemy", "uvloop",
)  # fmt: skip
LOADS: TypeAdapter[Load] = TypeAdapter(Load)


class Process:
    """What a process of a fleet knows: its target, the trial under way, and until when it may run.

    Args:
        out: where answers go.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._target: Target | None = None
        self._redact = Redactor().text
        self._source: ThisProcess | None = None
        self._trial: asyncio.Task[None] | None = None
        self._begin: asyncio.Future[float] | None = None
        self._is_begun = False
        self._number = 0  # of the last trial
        self._renewed = time.monotonic()

    async def run(self) -> ExitCode:
        """Do as told until stdin ends."""
        reader = asyncio.StreamReader(limit=1 << 24)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        lease = asyncio.create_task(self._watch_lease(reader))
        try:
            while line := await reader.readline():
                self._renewed = time.monotonic()
                await self._do(json.loads(line))
        finally:
            lease.cancel()
            await self._cancel()
        return ExitCode.DONE

    def cancel(self, _reason: Reason) -> None:
        """End: whoever started this is gone."""
        self._leaving = asyncio.get_running_loop().create_task(self._leave())

    async def _leave(self) -> None:
        await self._cancel()
        os._exit(ExitCode.CANCELLED)

    async def _do(self, told: dict[str, Any]) -> None:
        match told.get("do"):
            case "check":
                self._answer(await self._checked(told))
            case "send" if int(told["trial"]) > self._number:  # never one twice
                await self._cancel()
                self._number = int(told["trial"])
                load = LOADS.validate_python(told["load"])
                self._begin, self._is_begun = None, False
                self._trial = asyncio.create_task(self._send(self._number, load))
                await asyncio.sleep(0)  # it has begun, so that the next line may cancel it
            case "begin":
                if self._begin is not None and not self._begin.done():
                    self._begin.set_result(float(told["at"]))
            case "finish" if self._source is not None and self._is_begun:
                self._source.finish()
            case "finish" | "cancel":
                await self._cancel()

    async def _watch_lease(self, reader: asyncio.StreamReader) -> None:
        beat = 0.0
        while True:
            await asyncio.sleep(CHECK)
            now = time.monotonic()
            if now > self._renewed + LEASE:
                await self._cancel()
            elif self._trial is not None and now > beat + BEAT:
                self._answer({"answer": "here"})
                beat = now
            if now > self._renewed + IDLE:
                reader.feed_eof()
                return

    async def _cancel(self) -> None:
        if self._trial is not None:
            if self._source is not None:
                self._source.cancel()
            with contextlib.suppress(Exception):
                await self._trial
            self._trial = None

    async def _checked(self, told: dict[str, Any]) -> dict[str, Any]:
        """Load the target, and see whether it answers from here."""
        answer = {"answer": "checked", **facts()}
        try:
            targets = targets_of(told["content"], Path("targets.toml"), (told["name"],))
            target = targets[told["name"]].model_copy(update=told["asked"])
            self._redact = Redactor(target.secrets).text
            check_descriptors(target)
            first = await check_first_call(target)
        except PoolkitError as error:
            return answer | self._told_error(error)
        self._target = target
        return answer | {"first_call": first.seconds, "fingerprint": target.fingerprint}

    async def _send(self, trial: int, load: Load) -> None:
        target = self._target
        assert target is not None, "it is checked before anything is sent"
        moments, skew, told, left = Moments(), 0.0, 0, begins(load.plan)

        async def begin(timer: Timer) -> float:
            nonlocal skew, left
            self._begin = asyncio.get_running_loop().create_future()
            self._answer({"answer": "open", "trial": trial})
            at = await self._begin
            await timer.wait_until(at)
            left -= 1
            skew, self._is_begun = timer.now() - at, left == 0
            return at

        def look(recorder: Recorder, at: float) -> bool:
            nonlocal told
            # Folded up to now, so bins that are over are complete.
            until = math.floor(at / recorder.bin_seconds)
            bins = recorder.completions[told:until].tolist()
            width = recorder.bin_seconds
            self._answer({"answer": "bins", "trial": trial, "at": at, "width": width, "bins": bins})
            told = until
            return False  # whether all of them have seen enough is not known here

        def progress(at: float, calls: int, rate: float) -> None:
            seen = {"at": at, "calls": calls, "rate": rate}
            self._answer({"answer": "progress", "trial": trial, **seen})

        self._source = source = ThisProcess(begin, look, moments)
        try:
            sent = await source.send(target, load, progress)
        except (asyncio.CancelledError, Cancelled):
            why: dict[str, Any] = {}
        except PoolkitError as error:
            why = self._told_error(error)
        except Exception as error:
            cause = self._redact(f"a generator failed: {type(error).__name__}: {error}")
            why = {"kind": "Fault", "cause": cause, "remedy": "please report it"}
        else:
            part = _part_of(sent, target, load, moments, skew, source.calls)
            # Histograms are mostly zeros: a tenth or less is left of it.
            data = zlib.compress(pickle.dumps(part, protocol=pickle.HIGHEST_PROTOCOL), 1)
            self._answer(
                {"answer": "sent", "trial": trial, "bytes": len(data)} | _ending(sent), data
            )
            return
        self._answer({"answer": "ended", "trial": trial, "calls": source.calls} | why)

    def _told_error(self, error: PoolkitError) -> dict[str, Any]:
        if isinstance(error, BrakeStop):
            stop = [error.brake, self._redact(error.seen), self._redact(error.remedy)]
            return {"kind": "BrakeStop", "stop": stop}
        cause, remedy = self._redact(error.cause), self._redact(error.remedy)
        return {"kind": type(error).__name__, "cause": cause, "remedy": remedy}

    def _answer(self, answer: dict[str, Any], data: bytes = b"") -> None:
        # One write, so that nothing comes between a line and its bytes.
        self._out.write(json.dumps(answer).encode() + b"\n" + data)
        self._out.flush()


def _part_of(
    sent: Sent, target: Target, load: Load, moments: Moments, skew: float, calls: int
) -> Part:
    plan = load.plan
    connections = most_connections(target, plan)
    if plan.gated:
        connections = min(connections, plan.pools * plan.pool_size)
    return Part(sent.measurement, moments, plan.pools, connections, skew, calls, sent.start)


def _ending(sent: Sent) -> dict[str, Any]:
    stop = sent.stop
    brake = None if stop is None else [stop.brake, stop.seen, stop.remedy]
    return {"stop": brake, "strain": sent.strain}


def facts() -> dict[str, Any]:
    """What has to be alike on every machine of a fleet, and who this one is."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    try:
        # Processes of one machine share its monotonic clock, but for those in a namespace of time.
        clock = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        clock += " " + os.readlink("/proc/self/ns/time")
    except OSError:
        clock = ""
    return {"versions": versions, "host": platform.node(), "clock": clock}


def main() -> int:
    """Run until stdin ends."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    sys.stdout = sys.stderr  # a library that prints must not stand between two answers
    process = Process(out)
    return run_until_over(process.run(), process.cancel, LONGEST)


if __name__ == "__main__":
    sys.exit(main())
