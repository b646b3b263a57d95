"""The processes of a fleet: a Dask cluster that somebody started, and who is where in it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from poolkit.lab.upstream import HttpUpstream
from poolkit.measure.child import python
from poolkit.measure.parent import tied

STARTS_WITHIN = 60.0  # s, on a busy machine
WORKER, PROCESS = "distributed.cli.dask_worker", "poolkit.measure.fleet.process"


class Existing:
    """A scheduler and its workers, each a process of its own that writes a log.

    Args:
        tls: options of both that name their certificates.
    """

    def __init__(
        self, folder: Path, *, tls: Sequence[str] = (), env: Mapping[str, str] | None = None
    ) -> None:
        self._folder = folder
        self._words = ["--no-dashboard", *tls]
        self._words += ["--protocol", "tls" if tls else "tcp"]
        self._env = {**os.environ, **(env or {})}
        self._all: list[subprocess.Popen[bytes]] = []
        self.workers: dict[str, psutil.Process] = {}
        file = folder / "scheduler.json"
        words = ["--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file), *self._words]
        self.scheduler = self._start("scheduler", "distributed.cli.dask_scheduler", words)
        wait_until(file.exists)
        self.address = str(json.loads(file.read_text())["address"])

    def __enter__(self) -> Existing:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._all):
            process.kill()
            process.wait()

    def start_worker(
        self,
        name: str,
        *more: str,
        env: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
        scheduler: str | None = None,
    ) -> psutil.Process:
        """Start another worker; it joins when it does, at another address where one is given."""
        words = [scheduler or self.address, "--no-nanny", "--nthreads", "1", "--name", name]
        words += ["--local-directory", str(self._folder), *self._words]
        words += more or ["--host", "127.0.0.1"]
        self.workers[name] = self._start(name, WORKER, words, env, wrapper)
        return self.workers[name]

    def end_worker(self, name: str) -> None:
        """Kill a worker, and wait until the scheduler has missed it."""
        self.workers.pop(name).kill()
        wait_until(lambda: f"name: {name}" in self.log("scheduler").rpartition("Remove worker")[2])

    def log(self, name: str) -> str:
        """What the scheduler or a worker has written so far."""
        return (self._folder / f"{name}.log").read_text(encoding="utf-8")

    def wait_for_workers(self) -> None:
        """Wait until all have joined."""
        wait_until(lambda: all("Registered to:" in self.log(name) for name in self.workers))

    def _start(
        self,
        name: str,
        module: str,
        words: Sequence[str],
        env: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
    ) -> psutil.Process:
        with (self._folder / f"{name}.log").open("wb") as log:
            started = subprocess.Popen(
                tied([*wrapper, *python(module, *words)]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**self._env, **(env or {})},
            )
        self._all.append(started)
        return psutil.Process(started.pid)


def wait_until(is_so: Callable[[], bool], seconds: float = STARTS_WITHIN) -> None:
    """Look again and again until it is so; it must become so."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.02)


async def until(is_so: Callable[[], bool], seconds: float = STARTS_WITHIN) -> None:
    """The same in an event loop; what is asked may block."""
    end = asyncio.get_running_loop().time() + seconds
    while not await asyncio.to_thread(is_so):
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.02)


def descendants(module: str, of: int | None = None) -> list[psutil.Process]:
    """Processes below this one, or below `of`, that run a module, the eldest first."""
    found = []
    for process in psutil.Process(of).children(recursive=True):
        try:
            if module in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return sorted(found, key=lambda process: process.create_time())


def is_alive(process: psutil.Process) -> bool:
    """Whether it has not ended."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def calls_at(upstream: HttpUpstream) -> int:
    """Calls that the server has got, those under way included."""
    stats = upstream.stats()
    return int(stats["served"]) + int(stats["in_system"])


def assert_no_load_after(upstream: HttpUpstream, seconds: float) -> None:
    """`seconds` from now on no call comes to the server any more."""
    time.sleep(seconds)
    before = calls_at(upstream)
    time.sleep(0.5)
    assert calls_at(upstream) == before
