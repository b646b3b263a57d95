"""PgBouncer before a PostgreSQL, as a context manager: the tier in between, on this machine."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

from poolkit.errors import BadInput, PoolkitError
from poolkit.lab.child import end_with_parent, free_port
from poolkit.lab.postgres_files import new_folder, popen_options, run_as

START_TIMEOUT = 10.0  # s
ELSEWHERE = "/usr/sbin:/usr/local/sbin"  # where packages put it, off many a user's path


def find_program() -> str:
    """The path of PgBouncer's program; PoolkitError where it is not installed."""
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path=ELSEWHERE)
    if found is None:
        raise PoolkitError(
            "PgBouncer is not installed on this machine",
            "install it (Debian, Ubuntu: apt-get install pgbouncer; macOS: brew install "
            "pgbouncer) and run this again",
        )
    return found


class PgBouncer:
    """PgBouncer on a free port of 127.0.0.1, which logs in to the server behind `dsn`.

    It ends with this process. Its file of passwords is there for as long as it needs to start.

    Args:
        dsn: of one server; user, password and database are those of the pooler too.
        mode: `transaction`, `session` or `statement`.
        pool_size: server connections that it opens at most.
        settings: further lines of its configuration, which come before these.
    """

    def __init__(
        self, dsn: str, *, mode: str = "transaction", pool_size: int = 4, **settings: object
    ) -> None:
        self._server = urlsplit(dsn)
        if "," in self._server.netloc or not self._server.hostname:
            raise BadInput(
                "PgBouncer is put before one server that TCP reaches, and the DSN names another",
                "name one host and port",
            )
        self._settings: dict[str, object] = {
            "pool_mode": mode,
            "default_pool_size": pool_size,
            "max_client_conn": 200,
        } | settings
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self.dsn = ""

    def __enter__(self) -> Self:
        program, user = find_program(), run_as()
        self._folder = new_folder(user)
        try:
            port = free_port()
            users = self._write(port)
            for path in (self._folder, *self._folder.iterdir()):
                path.chmod(0o700 if path.is_dir() else 0o600)
                if user is not None:
                    shutil.chown(path, user.pw_uid)
            self._process = subprocess.Popen(
                [program, "--quiet", str(self._folder / "pgbouncer.ini")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                preexec_fn=end_with_parent(signal.SIGKILL),
                **popen_options(user),
            )
            self._wait(port)
            users.unlink()
        except BaseException:
            self.close()
            raise
        user_info = self._server.netloc.rpartition("@")[0]
        where = f"{user_info}@127.0.0.1:{port}"
        self.dsn = urlunsplit(self._server._replace(netloc=where, query=""))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it at once and remove its folder."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")

    def _write(self, port: int) -> Path:
        """Write its configuration; returns the file that holds the password."""
        server, users = self._server, self._folder / "users"
        user, password = unquote(server.username or ""), unquote(server.password or "")
        database = unquote(server.path.removeprefix("/"))
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": port,
            "unix_socket_dir": "",
            "auth_type": "plain",
            "auth_file": users,
            "stats_users": user,
            "logfile": self._folder / "log",
        } | self._settings
        asked = parse_qs(server.query)
        for name, option in (("sslmode", "sslmode"), ("sslrootcert", "ca_file")):
            if name in asked:
                settings[f"server_tls_{option}"] = asked[name][-1]
        lines = [
            "[databases]",
            f"{database} = host={server.hostname} port={server.port or 5432} dbname={database}",
            "[pgbouncer]",
            *(f"{name} = {value}" for name, value in settings.items()),
        ]
        line = " ".join('"' + text.replace('"', '""') + '"' for text in (user, password))
        users.touch(mode=0o600)
        users.write_text(f"{line}\n", encoding="utf-8")
        (self._folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return users

    def _wait(self, port: int) -> None:
        """Wait until it listens."""
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                log = ""
                with contextlib.suppress(OSError):
                    log = self.log
                raise PoolkitError(f"PgBouncer ended with {self._process.returncode}", log[-2000:])
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise PoolkitError(f"PgBouncer did not listen within {START_TIMEOUT:g} s")
