"""A Redis server of the tests' own, on a free port and without a file on disk."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from types import TracebackType

import pytest

PATIENCE = 20.0  # s until it answers
DOWN = 0.3  # s


class RedisServer:
    """Runs while the block does; `options` as on its command line, such as `--maxclients 10`."""

    def __init__(self, *options: str) -> None:
        program = shutil.which("redis-server")
        if program is None and not os.environ.get("CI"):
            pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
        assert program is not None, "CI needs redis-server"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        place = ("--bind", "127.0.0.1", "--port", str(self.port))
        self._command = [program, *place, "--save", "", "--appendonly", "no", *options]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> RedisServer:
        null = subprocess.DEVNULL
        self._process = subprocess.Popen(self._command, stdout=null, stderr=null)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, "redis-server ended at once"
            assert time.monotonic() < deadline, "redis-server did not answer"
            time.sleep(0.02)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10.0)

    def restart(self) -> None:
        """Cut every session and start anew, after long enough for calls to be refused."""
        self.__exit__(None, None, None)
        time.sleep(DOWN)
        self.__enter__()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False
