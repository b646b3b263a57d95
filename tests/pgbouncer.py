"""Debian's PgBouncer in front of the lab's PostgreSQL, as a context manager."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote, urlsplit, urlunsplit

import pytest

START_TIMEOUT = 10.0  # s


def find_pgbouncer() -> str:
    """The program; skips the test where it is not installed, but not in continuous integration."""
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("pgbouncer is not installed: apt-get install pgbouncer")
        pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")
    return found


class PgBouncer:
    """PgBouncer on a free port of 127.0.0.1, which logs in to the server behind `dsn`.

    Args:
        dsn: of the server; user, password and database are those of the pooler too.
        mode: `transaction`, `session` or `statement`.
        pool_size: server connections that it opens at most.
        settings: further lines of its configuration.
    """

    def __init__(
        self, dsn: str, *, mode: str = "transaction", pool_size: int = 4, **settings: object
    ) -> None:
        self._server = urlsplit(dsn)
        self._settings: dict[str, object] = {
            "pool_mode": mode,
            "default_pool_size": pool_size,
            "max_client_conn": 200,
        } | settings
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self.dsn = ""

    def __enter__(self) -> PgBouncer:
        program = find_pgbouncer()
        self._folder = Path(tempfile.mkdtemp(prefix="poolkit-pgbouncer-"))
        try:
            port = _free_port()
            self._write(port)
            account = self._account()
            self._process = subprocess.Popen(
                [program, "--quiet", str(self._folder / "pgbouncer.ini")],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # It refuses to run as root.
                user=account,
                group=None if account is None else pwd.getpwuid(account).pw_gid,
                extra_groups=None if account is None else [],
            )
            self._wait(port)
        except BaseException:
            self.close()
            raise
        user_info = self._server.netloc.rpartition("@")[0]
        self.dsn = urlunsplit(self._server._replace(netloc=f"{user_info}@127.0.0.1:{port}"))
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

    def _account(self) -> int | None:
        """The user id to run as; None: the own one."""
        if os.geteuid() != 0:
            return None
        account = pwd.getpwnam("nobody").pw_uid
        for path in (self._folder, *self._folder.iterdir()):
            os.chown(path, account, -1)
        return account

    def _write(self, port: int) -> None:
        server = self._server
        user, password = unquote(server.username or ""), unquote(server.password or "")
        database = server.path.removeprefix("/")
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": port,
            "unix_socket_dir": "",
            "auth_type": "plain",
            "auth_file": self._folder / "users",
            "logfile": self._folder / "log",
        } | self._settings
        lines = [
            "[databases]",
            f"{database} = host={server.hostname} port={server.port} dbname={database}",
            "[pgbouncer]",
            *(f"{name} = {value}" for name, value in settings.items()),
        ]
        (self._folder / "users").write_text(f'"{user}" "{password}"\n', encoding="utf-8")
        (self._folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _wait(self, port: int) -> None:
        """Wait until it listens."""
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                log = ""
                with contextlib.suppress(OSError):
                    log = self.log
                raise RuntimeError(f"pgbouncer ended with {self._process.returncode}: {log}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise RuntimeError(f"pgbouncer did not listen within {START_TIMEOUT:g} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
