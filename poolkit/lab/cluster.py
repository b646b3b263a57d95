"""One throwaway PostgreSQL cluster: made, filled, started, stopped."""

from __future__ import annotations

import contextlib
import ctypes
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from poolkit.errors import PoolkitError
from poolkit.lab import tables
from poolkit.lab.postgres_files import Programs

USER = DATABASE = "lab"
_START_TIMEOUT = 20.0  # s
_PORT_TRIES = 5
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "shared_buffers": "64MB",
    # Nothing here outlives the process, so nothing is made safe.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Fewer processes, and none that wakes up in the middle of a trial.
    "autovacuum": "off",
    "io_method": "sync",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}


class Cluster:
    """A data directory below `folder` and, between `start` and `stop`, the server on it.

    State: the server's process and the port, which stays the same over restarts.
    """

    def __init__(
        self, programs: Programs, folder: Path, accounts: int, max_connections: int
    ) -> None:
        self._programs = programs
        self._folder = folder
        self._data = folder / "data"
        self._accounts = accounts
        self._max_connections = max_connections
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.password = secrets.token_urlsafe(18)

    @property
    def dsn(self) -> str:
        """Connection URI of the lab's user, its password included."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def pid(self) -> int | None:
        """Process id of the server; None while it is down."""
        return self._process.pid if self.is_running and self._process is not None else None

    @property
    def is_running(self) -> bool:
        """Whether the server's process is there."""
        return self._process is not None and self._process.poll() is None

    def create(self) -> None:
        """Make the data directory with the lab's user, database and tables."""
        arguments = ["--pgdata", str(self._data), "--username", "postgres", "--no-sync"]
        arguments += ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions"]
        self._run("initdb", arguments)
        # The one way in, in place of initdb's.
        (self._data / "pg_hba.conf").write_text(f"host all {USER} 127.0.0.1/32 scram-sha-256\n")
        # Single-user mode asks for no password and opens no port. The superuser cannot
        # log in at all.
        self._single(
            "postgres",
            f"create role {USER} login password '{self.password}';\n\n"
            f"create database {DATABASE} owner {USER};\n\n",
        )
        self._single(DATABASE, tables.creation(USER, self._accounts))

    def start(self) -> None:
        """Start the server, on a free port the first time, and wait until it answers."""
        for attempt in range(_PORT_TRIES):
            port = self.port or _free_port()
            self._process = self._popen(port)
            if self._wait_ready():
                self.port = port
                return
            # Another process may have taken the port since it was free.
            if self.port or attempt == _PORT_TRIES - 1:
                break
        raise PoolkitError("PostgreSQL did not start", self._log()[-2000:])

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends sessions first, SIGQUIT does not, as in a crash."""
        process = self._process
        if process is None:
            return
        for number in (how, signal.SIGQUIT, signal.SIGKILL):
            if process.poll() is not None:
                break
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(3.0)
        self._process = None

    def _popen(self, port: int) -> subprocess.Popen[bytes]:
        own = {"port": str(port), "max_connections": str(self._max_connections)}
        settings = _SETTINGS | own
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self._programs.command("postgres"), "-D", str(self._data), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
                **self._programs.popen_options(),
            )

    def _wait_ready(self) -> bool:
        # The last line of this file is the server's own word on its state.
        state = self._data / "postmaster.pid"
        until = time.monotonic() + _START_TIMEOUT
        while self.is_running and time.monotonic() < until:
            with contextlib.suppress(FileNotFoundError):
                lines = state.read_text().splitlines()
                if len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready":
                    return True
            time.sleep(0.01)
        self.stop(signal.SIGQUIT)
        return False

    def _single(self, database: str, sql: str) -> None:
        arguments = ["--single", "-j", "-D", str(self._data)]
        arguments += ["-c", "exit_on_error=on", "-c", "fsync=off", "-c", "io_method=sync"]
        arguments += ["-c", "wal_level=minimal", "-c", "max_wal_senders=0", database]
        self._run("postgres", arguments, sql)

    def _run(self, name: str, arguments: list[str], given: str = "") -> None:
        done = subprocess.run(
            [self._programs.command(name), *arguments],
            input=given.encode(),
            capture_output=True,
            cwd=self._folder,
            check=False,
            **self._programs.popen_options(),
        )
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").replace(self.password, "...")
            raise PoolkitError(f"{name} failed ({done.returncode})", said[-2000:])

    def _log(self) -> str:
        try:
            return (self._folder / "log").read_text(errors="replace")
        except FileNotFoundError:
            return ""


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """Runs in the new process: let the kernel end the server with its keeper, SIGKILL included."""
    assert _libc is not None
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
