"""The keeper of a throwaway PostgreSQL: `python -m poolkit.lab.serve_postgres --help`.

It makes a data directory, runs the server on it and removes everything when it ends: on SIGTERM or
SIGINT, or when its parent is gone. It reads commands (`crash`, `start`) from stdin, a line each,
and answers every one, and its own start, with a line of JSON on stdout.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

from poolkit.errors import PoolkitError
from poolkit.lab import tables
from poolkit.lab.child import LOOK_FOR_PARENT, end_with_parent, free_port, is_orphan
from poolkit.lab.postgres_files import Programs, find_programs, new_folder, run_as

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
_SINGLE_USER = ("fsync=off", "io_method=sync", "wal_level=minimal", "max_wal_senders=0")


class Cluster:
    """A data directory below `folder` and, between `start` and `stop`, the server on it.

    State: the server's process and the port, which stays the same over restarts.
    """

    def __init__(self, programs: Programs, folder: Path, max_connections: int) -> None:
        self._programs = programs
        self._folder = folder
        self._data = folder / "data"
        self._max_connections = max_connections
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._password = secrets.token_urlsafe(18)

    def state(self) -> dict[str, object]:
        """What the parent needs to know of it; the process id is None while the server is down."""
        return {
            "dsn": f"postgresql://{USER}:{self._password}@127.0.0.1:{self._port}/{DATABASE}",
            "port": self._port,
            "server_pid": None if self._process is None else self._process.pid,
            "folder": str(self._folder),
        }

    def create(self, accounts: int) -> None:
        """Make the data directory with the lab's user, database and tables."""
        arguments = ["--pgdata", str(self._data), "--username", "postgres", "--no-sync"]
        arguments += ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions"]
        self._run("initdb", arguments)
        # The one way in, in place of initdb's.
        (self._data / "pg_hba.conf").write_text(f"host all {USER} 127.0.0.1/32 scram-sha-256\n")
        # Single-user mode asks for no password and opens no port. The superuser cannot log in at
        # all.
        self._single(
            "postgres",
            f"create role {USER} login password '{self._password}';\n\n"
            f"create database {DATABASE} owner {USER};\n\n",
        )
        self._single(DATABASE, tables.creation(USER, accounts))

    def start(self) -> None:
        """Start the server, on a free port the first time, and wait until it answers."""
        # Another process may take a port since it was free.
        tries = (free_port() for _ in range(_PORT_TRIES))
        for port in (self._port,) if self._port else tries:
            self._process = self._popen(port)
            if self._is_ready(self._process):
                self._port = port
                return
            self.stop(signal.SIGQUIT)
        log = (self._folder / "log").read_text(errors="replace")
        raise PoolkitError("PostgreSQL did not start", log[-2000:])

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends sessions first, SIGQUIT does not, as in a crash."""
        for number in (how, signal.SIGQUIT, signal.SIGKILL):
            if self._process is not None and self._process.poll() is None:
                self._process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(3.0)
        self._process = None

    def _popen(self, port: int) -> subprocess.Popen[bytes]:
        settings = {**_SETTINGS, "port": port, "max_connections": self._max_connections}
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self._programs.command("postgres"), "-D", str(self._data), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                preexec_fn=end_with_parent(signal.SIGQUIT),
                **self._programs.popen_options(),
            )

    def _is_ready(self, process: subprocess.Popen[bytes]) -> bool:
        # The last line of this file is the server's own word on its state.
        state = self._data / "postmaster.pid"
        until = time.monotonic() + _START_TIMEOUT
        while process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(FileNotFoundError):
                lines = state.read_text().splitlines()
                if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
                    return True
            time.sleep(0.01)
        return False

    def _single(self, database: str, sql: str) -> None:
        arguments = ["--single", "-j", "-D", str(self._data), "-c", "exit_on_error=on"]
        for setting in _SINGLE_USER:
            arguments += ["-c", setting]
        self._run("postgres", [*arguments, database], sql)

    def _run(self, name: str, arguments: Sequence[str], given: str = "") -> None:
        done = self._programs.run(name, *arguments, given=given, folder=self._folder)
        if done.returncode != 0:
            message = done.stderr.replace(self._password, "...")
            raise PoolkitError(f"{name} failed ({done.returncode})", message[-2000:])


class _Ended(BaseException):
    """A signal asked the keeper to end; not an Exception, so that nothing swallows it."""


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    _on_signals(signal.SIG_IGN)  # a second one must not interrupt the tidying up
    raise _Ended


def _on_signals(handler: Callable[[int, FrameType | None], NoReturn] | signal.Handlers) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)


def _keep(cluster: Cluster, parent: int | None) -> None:
    commands: dict[str, Callable[[], None]] = {
        "start": cluster.start,
        "crash": partial(cluster.stop, signal.SIGQUIT),
    }
    _report(cluster)
    while not is_orphan(parent):
        if not select.select([0], [], [], LOOK_FOR_PARENT)[0]:
            continue
        command = commands.get(os.read(0, 4096).decode().strip())
        if command is None:  # nothing: the other end of the pipe is closed
            break
        command()
        _report(cluster)


def _report(cluster: Cluster) -> None:
    os.write(1, json.dumps(cluster.state()).encode() + b"\n")


def main() -> int:
    """Keep the server until SIGTERM, SIGINT, the end of stdin or the parent's end."""
    parser = argparse.ArgumentParser(
        prog="python -m poolkit.lab.serve_postgres", description=__doc__
    )
    parser.add_argument(
        "--accounts", type=int, default=tables.ACCOUNTS, help="rows of pgbench_accounts"
    )
    parser.add_argument("--max-connections", type=int, default=tables.MAX_CONNECTIONS)
    parser.add_argument("--parent", type=int, help="pid; the server ends when it does")
    arguments = parser.parse_args()
    _on_signals(_end)
    try:
        with contextlib.ExitStack() as stack:
            user = run_as()
            folder = new_folder(user)
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            cluster = Cluster(find_programs(user, folder), folder, arguments.max_connections)
            stack.callback(cluster.stop)
            cluster.create(arguments.accounts)
            cluster.start()
            _keep(cluster, arguments.parent)
    except PoolkitError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    except (_Ended, BrokenPipeError):
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
