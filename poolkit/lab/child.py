"""Starting the lab's processes and ending them, and how such a process knows its parent is gone."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import IO, Any, Self

from poolkit.errors import MissingExtra, PoolkitError

READY_TIMEOUT = 30.0  # s
STOP_TIMEOUT = 10.0  # s, then SIGKILL


class Child:
    """A Python module of the lab run as a process of its own, which ends when this one does.

    It is in a session of its own: a Ctrl-C in the terminal reaches only the process that started
    the lab, and that one decides. Its stdin is a pipe whose end is the end of that process too.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._module = module
        # A file, not a pipe: nobody reads it while the child runs, and a full pipe would block it.
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._process = subprocess.Popen(
            # -P: a file of the working directory must not stand in for a library.
            [sys.executable, "-P", "-m", module, *arguments, "--parent", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,
            bufsize=0,
        )

    def __repr__(self) -> str:
        return f"Child({self._module!r}, pid={self.pid}, returncode={self._process.poll()})"

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the child has not ended yet."""
        return self._process.poll() is None

    def read(self, timeout: float = READY_TIMEOUT) -> dict[str, Any]:
        """The next JSON line of the child, its ready line first; raises if it ends instead."""
        assert self._process.stdout is not None
        line, until = b"", time.monotonic() + timeout
        while not line.endswith(b"\n"):
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                self.stop()
                raise PoolkitError(f"{self._module} said nothing for {timeout:g} s", self._said())
            piece = os.read(self._process.stdout.fileno(), 65536)
            if not piece:
                self.stop()
                raise PoolkitError(f"{self._module} did not start", self._said())
            line += piece
        answer: dict[str, Any] = json.loads(line)
        return answer

    def write(self, line: str) -> None:
        """Send one line to the child's stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    def _said(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read()[-2000:].decode(errors="replace").strip()

    def stop(self) -> None:
        """End the child in good order (SIGTERM), by force if it does not follow."""
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._end()

    def kill(self) -> None:
        """End the child at once (SIGKILL)."""
        self._process.kill()
        self._end()

    def _end(self) -> None:
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def close(self) -> None:
        """Stop the child and free what its output was kept in."""
        self.stop()
        self._stderr.close()


class LabServer(ABC):
    """Part of the lab, a context manager; `start` before the `with` lets several begin at once."""

    @abstractmethod
    def start(self) -> None:
        """Start without waiting; harmless when it was started before."""

    @abstractmethod
    def wait_ready(self) -> None:
        """Wait until it can be used."""

    @abstractmethod
    def close(self) -> None:
        """Stop it; harmless when it is closed."""

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class ProcessServer(LabServer):
    """A part of the lab that is one child process; `_command` names it when it is started."""

    def __init__(self) -> None:
        self._child: Child | None = None

    @abstractmethod
    def _command(self) -> tuple[str, ...]:
        """The module and its arguments; MissingExtra where a library of it is not installed."""

    def start(self) -> None:
        """Start the process without waiting for it."""
        if self._child is None:
            self._child = Child(*self._command())

    def close(self) -> None:
        """Stop the process."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def _running(self) -> Child:
        if self._child is None:
            raise RuntimeError("the server is not running: use it in a `with`")
        return self._child


def require(module: str, package: str) -> None:
    """Raise MissingExtra where `module`, which the lab's extra brings as `package`, is missing."""
    if importlib.util.find_spec(module) is None:
        raise MissingExtra(package, "lab")


def is_orphan(parent: int | None) -> bool:
    """Whether the process that started this one is gone, by SIGKILL too.

    An orphan is handed to another parent at once. `parent` comes from the command line, not from a
    first look at `os.getppid`: the parent may have died before that look.
    """
    return parent is not None and os.getppid() != parent
