"""The Dask cluster that a fleet runs on: one of this machine's own, or an existing one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poolkit.errors import BadInput, BrakeStop, MissingExtra
from poolkit.measure.child import RESUMES, python
from poolkit.measure.parent import tied
from poolkit.targets.fleet import Fleet

if TYPE_CHECKING:
    from distributed import Client, Scheduler

CONNECT_SECONDS = 10.0
START_SECONDS = 60.0  # for processes of this machine; half a second each where it is idle
JOIN_SECONDS = 5.0  # for workers of a cluster that is there
CLOSE_SECONDS = 3.0
LOOK_SECONDS = 0.05

# Nothing runs twice and nothing moves. Who is gone is noticed by who asks for its news, far sooner
# than by the scheduler, to which a busy machine must not look like a dead one.
SETTINGS = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.no-workers-timeout": "3s",
    "distributed.scheduler.worker-ttl": "30s",
    "distributed.comm.timeouts.connect": "5s",
    "distributed.admin.system-monitor.interval": "10s",
    # Its pages tell whoever asks about the cluster, without any certificate.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}


class Cluster:
    """A client of a scheduler, and, where there is none, that scheduler and its workers.

    State: the client; the scheduler, the processes and the folder of a cluster of its own.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._client: Client | None = None
        self._scheduler: Scheduler | None = None
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def client(self) -> Client:
        """The client, once it is open."""
        assert self._client is not None
        return self._client

    async def open(self) -> None:
        """Connect, or start a scheduler in this process.

        Raises:
            BadInput: the extra is not installed, or nobody answers at the address.
        """
        try:
            import dask
            from distributed import Client
        except ImportError:
            raise MissingExtra("distributed", "fleet") from None
        dask.config.set(SETTINGS)
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        security = self._security()
        address = self._fleet.scheduler or await self._start_scheduler(security)
        try:
            self._client = await Client(
                address,
                security=security,
                asynchronous=True,
                timeout=CONNECT_SECONDS,
                direct_to_workers=True,  # a halt must not hang on the scheduler
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise BadInput(
                f"no Dask scheduler answers at {address}: {type(error).__name__}",
                "see that it runs, and that the certificates are those of its cluster",
            ) from error

    async def workers(self, needed: int) -> list[str]:
        """Addresses of `needed` workers, one a generator, started here where they are ours.

        Raises:
            BrakeStop: there are not so many.
        """
        is_ours = self._scheduler is not None
        if is_ours:
            self._start_workers(needed)
        loop = asyncio.get_running_loop()
        until = loop.time() + (START_SECONDS if is_ours else JOIN_SECONDS)
        while True:
            found = sorted(await self._known())
            if len(found) >= needed or loop.time() > until:
                break
            await asyncio.sleep(LOOK_SECONDS)
        if len(found) < needed:
            have = f"{len(found)} of {needed} workers"
            raise BrakeStop(
                "generators",
                f"{have} are there after {JOIN_SECONDS:g} s",
                f"start more workers, or ask for fewer with --fleet; {RESUMES}",
            )
        return found[:needed]

    async def close(self) -> None:
        """Leave the cluster; one of our own ends with all its processes."""
        with contextlib.suppress(Exception):
            if self._client is not None:
                await asyncio.wait_for(self._client.close(), CLOSE_SECONDS)
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            await asyncio.to_thread(_end, process)
        with contextlib.suppress(Exception):
            if self._scheduler is not None:
                await asyncio.wait_for(self._scheduler.close(), CLOSE_SECONDS)
        if self._folder is not None:
            self._folder.cleanup()

    async def _known(self) -> Mapping[str, Any]:
        """The workers of the scheduler, by address."""
        if self._scheduler is not None:
            return dict(self._scheduler.workers)
        info = await asyncio.wait_for(self.client.scheduler.identity(), CONNECT_SECONDS)
        workers: Mapping[str, Any] = info["workers"]
        return workers

    def _security(self) -> Any:
        from distributed import Security

        fleet = self._fleet
        if fleet.scheduler is not None:
            if not fleet.is_encrypted:
                return Security()
            return Security(
                tls_ca_file=fleet.tls_ca_file,
                tls_client_cert=fleet.tls_cert_file,
                tls_client_key=fleet.tls_key_file,
                require_encryption=True,
            )
        # Whoever reaches a scheduler may run programs as its user: also on this machine nobody else
        # is let in.
        try:
            make: Callable[[], Any] = Security.temporary
            return make()
        except ImportError:
            raise MissingExtra("cryptography", "fleet") from None

    async def _start_scheduler(self, security: Any) -> str:
        from distributed import Scheduler

        self._folder = tempfile.TemporaryDirectory(prefix="poolkit-fleet-")
        for name, text in _pem(security).items():
            (Path(self._folder.name) / name).touch(mode=0o600)
            (Path(self._folder.name) / name).write_text(text, encoding="ascii")
        self._scheduler = await Scheduler(
            host="127.0.0.1",
            protocol="tls",
            security=security,
            dashboard=False,
            dashboard_address="127.0.0.1:0",
            port=0,
        )
        address: str = self._scheduler.address
        return address

    def _start_workers(self, needed: int) -> None:
        """Start those that are missing."""
        assert self._scheduler is not None
        assert self._folder is not None
        words = ["--no-nanny", "--no-dashboard", "--nthreads", "1", "--memory-limit", "0"]
        words += ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
        words += ["--death-timeout", "10"]
        words += ["--local-directory", self._folder.name]
        for option in ("tls-ca-file", "tls-cert", "tls-key"):
            words += [f"--{option}", str(Path(self._folder.name) / f"{option}.pem")]
        for name in [f"generator-{index + 1}" for index in range(needed)]:
            running = self._processes.get(name)
            if running is not None and running.poll() is None:
                continue
            own = [self._scheduler.address, *words, "--name", f"{name}-{len(self._processes)}"]
            self._processes[name] = subprocess.Popen(
                tied([*python("distributed.cli.dask_worker"), *own]),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **_as_environment(SETTINGS)},
            )


def _pem(security: Any) -> dict[str, str]:
    found = {
        "tls-ca-file.pem": security.tls_ca_file,
        "tls-cert.pem": security.tls_worker_cert,
        "tls-key.pem": security.tls_worker_key,
    }
    return {name: str(text) for name, text in found.items()}


def _as_environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """The settings as Dask reads them from its environment."""
    return {
        "DASK_" + key.upper().replace(".", "__").replace("-", "_"): str(value)
        for key, value in settings.items()
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(CLOSE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
