"""One worker of a service of several: `python -m tests.monitor.worker PORT`, as gunicorn runs them.

Each listens on the same port (SO_REUSEPORT), has a pool of its own and exports its gauges.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest, multiprocess

from poolkit.monitor import instrument
from tests.monitor.subjects import half_server


async def serve(port: int) -> None:
    """Answer /use with a call of the pool and /metrics with the gauges until stdin ends."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind(("127.0.0.1", port))
    async with half_server() as url, aiohttp.ClientSession() as session:
        instrument(session, name="catalogue")

        async def use(_request: web.Request) -> web.Response:
            async with session.get(f"{url}/whole") as response:
                await response.read()
            return web.Response(text=str(os.getpid()))

        async def metrics(_request: web.Request) -> web.Response:
            if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
                return web.Response(body=generate_latest())
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            return web.Response(body=generate_latest(registry))

        application = web.Application()
        application.add_routes([web.get("/use", use), web.get("/metrics", metrics)])
        runner = web.AppRunner(application)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        await runner.cleanup()


class Workers:
    """Two workers behind one port of 127.0.0.1, as a context manager.

    Args:
        folder: their PROMETHEUS_MULTIPROC_DIR; None: each tells of itself.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._environment = {**os.environ}
        self._environment.pop("PROMETHEUS_MULTIPROC_DIR", None)
        if folder is not None:
            self._environment["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        self.processes: list[subprocess.Popen[str]] = []
        # Kept bound, so that nobody else takes the port; only listeners are given connections.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._place.bind(("127.0.0.1", 0))
        self.port = int(self._place.getsockname()[1])
        self.metrics = f"http://127.0.0.1:{self.port}/metrics"

    def __enter__(self) -> Workers:
        try:
            for _ in range(2):
                self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in list(self.processes):
            self.end(process)
        self._place.close()

    def start(self) -> None:
        """One more."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.monitor.worker", str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self._environment,
        )
        self.processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

    def end(self, process: subprocess.Popen[str]) -> None:
        """One less."""
        self.processes.remove(process)
        process.communicate("")

    def use(self, calls: int) -> set[str]:
        """Send calls, each over a connection of its own; the pids that answered."""
        return {self._get("use") for _ in range(calls)}

    def _get(self, path: str) -> str:
        url = f"http://127.0.0.1:{self.port}/{path}"
        with urllib.request.urlopen(url, timeout=10.0) as response:
            text: Any = response.read().decode()
        return str(text)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
