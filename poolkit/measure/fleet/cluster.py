"""The Dask cluster that a fleet runs on: one of this machine's own, or an existing one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poolkit.errors import BadInput, BrakeStop, MissingExtra
from poolkit.measure.child import RESUMES, python
from poolkit.measure.fleet.generator import LostError, answered
from poolkit.measure.parent import tied
from poolkit.targets.fleet import Fleet

if TYPE_CHECKING:
    from distributed import Client, Scheduler

CONNECT_SECONDS = 10.0
_NO_PAGES = "127.0.0.1:0"  # Dask serves HTTP without a dashboard too: not to the network
START_SECONDS = 60.0  # for processes of this machine; half a second each where it is idle
JOIN_SECONDS = 5.0  # for workers of a cluster that is there
CLOSE_SECONDS = 3.0
LOOK_SECONDS = 0.05

# Nothing runs twice and nothing moves. Who is gone is noticed by who asks for its news, far sooner
# than by the scheduler, to which a busy machine must not look like a dead one.
SETTINGS: dict[str, Any] = {
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

    State: the client; of a cluster of its own the scheduler, the processes by name, the name at
    each address that was given out, how many were started, and the folder.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._client: Client | None = None
        self._scheduler: Scheduler | None = None
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._names: dict[str, str] = {}
        self._started = 0
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

    async def workers(
        self, needed: int, but: Collection[str], last: Collection[str] = ()
    ) -> list[str]:
        """Addresses of `needed` workers, started here where they are ours.

        Args:
            but: addresses that are in use or of no use.
            last: those that are taken only where there are no others.

        Raises:
            BrakeStop: there are not so many.
        """
        is_ours = self._scheduler is not None
        if is_ours:
            self._start_workers(
                needed + sum(self._names.get(one) in self._processes for one in but)
            )
        loop = asyncio.get_running_loop()
        patience = START_SECONDS if is_ours else JOIN_SECONDS
        until = loop.time() + patience
        while True:
            found = {one: name for one, name in (await self._known()).items() if one not in but}
            # A process of ours that ended while it started is not waited for.
            starting = set(self._processes) - set(self._names.values())
            is_over = any(self._processes[name].poll() is not None for name in starting)
            if len(found) >= needed or loop.time() > until or is_over:
                break
            await asyncio.sleep(LOOK_SECONDS)
        if len(found) < needed:
            waited = "one that was started ended" if is_over else f"waited {patience:g} s"
            raise BrakeStop(
                "generators",
                f"{needed} workers are needed, and {len(found)} are there; {waited}",
                f"start more workers, or ask for fewer with --fleet; {RESUMES}",
            )
        self._names |= found
        return sorted(found, key=lambda address: (address in last, address))[:needed]

    def drop(self, address: str) -> None:
        """Give up the worker at an address; one of ours is ended, whatever state it is in."""
        process = self._processes.pop(self._names.get(address, ""), None)
        if process is not None:
            _kill(process)

    async def close(self) -> None:
        """Leave the cluster; one of our own ends with all its processes."""
        with contextlib.suppress(Exception):
            if self._client is not None:
                await asyncio.wait_for(self._client.close(), CLOSE_SECONDS)
        for process in self._processes.values():
            process.terminate()
        await asyncio.gather(
            *(asyncio.to_thread(_end, process) for process in self._processes.values())
        )
        with contextlib.suppress(Exception):
            if self._scheduler is not None:
                await asyncio.wait_for(self._scheduler.close(), CLOSE_SECONDS)
        if self._folder is not None:
            self._folder.cleanup()

    async def _known(self) -> dict[str, str]:
        """The workers of the scheduler: names by address; those that are ours only."""
        if self._scheduler is not None:
            known = {one.address: str(one.name) for one in self._scheduler.workers.values()}
            return {address: name for address, name in known.items() if name in self._processes}
        try:
            info = await answered(lambda: self.client.scheduler.identity(), CONNECT_SECONDS)
        except LostError as error:
            raise BrakeStop(
                "generators",
                f"the Dask scheduler at {self._fleet.scheduler} no longer answers",
                f"see that it runs; {RESUMES}",
            ) from error
        return {address: str(worker["name"]) for address, worker in info["workers"].items()}

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
            dashboard_address=_NO_PAGES,
            port=0,
        )
        address: str = self._scheduler.address
        return address

    def _start_workers(self, needed: int) -> None:
        """Start those that are missing."""
        assert self._scheduler is not None
        assert self._folder is not None
        words = ["--no-nanny", "--no-dashboard", "--nthreads", "1", "--memory-limit", "0"]
        words += ["--host", "127.0.0.1", "--dashboard-address", _NO_PAGES, "--death-timeout", "10"]
        words += ["--local-directory", self._folder.name]
        for option in ("tls-ca-file", "tls-cert", "tls-key"):
            words += [f"--{option}", str(Path(self._folder.name) / f"{option}.pem")]
        running = {name: one for name, one in self._processes.items() if one.poll() is None}
        self._processes = running
        while len(running) < needed:
            self._started += 1
            name = f"generator-{self._started}"
            own = [self._scheduler.address, *words, "--name", name]
            running[name] = subprocess.Popen(
                tied([*python("distributed.cli.dask_worker"), *own]),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C is the client's alone
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
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a worker and what it started, be they stopped."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
