"""Starting the lab's processes and ending them, and how such a process knows its parent is gone."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import IO, Any, ClassVar, NoReturn, Self

from poolkit.errors import MissingExtra, PoolkitError

READY_TIMEOUT = 30.0  # s
STOP_TIMEOUT = 10.0  # s, then SIGKILL
LOOK_FOR_PARENT = 0.25  # s
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1  # prctl(2); outlasts exec


class Child:
    """A Python module run as a process of its own inside a `with`; it ends when this one does.

    It is in a session of its own: a Ctrl-C in the terminal reaches only the process that started
    the lab, and that one decides. Its stdin is a pipe whose end is the end of that process too. It
    answers with lines of JSON that hold its state, the first when it is ready; `folder` in it is
    the temporary one that it removes at its end.

    Args:
        options: of its command line, those that are None left out.

    State: the process from `start` to `close`, and the last answer, which outlives it.
    """

    module: ClassVar[str]
    needs: tuple[str, ...] = ()  # modules that the lab's extra brings

    def __init__(self, **options: object) -> None:
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes]
        self._state: dict[str, Any] = {}

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._running().pid

    def start(self) -> None:
        """Start without waiting; MissingExtra where a library of it is not installed."""
        if self._process is not None:
            return
        require(*self.needs)
        # -P: a file of the working directory must not stand in for a library.
        command = [sys.executable, "-P", "-m", self.module, "--parent", str(os.getpid())]
        for name, value in self._options.items():
            if value is not None:
                command += [f"--{name.replace('_', '-')}", str(value)]
        # A file, not a pipe: unread while the child runs, a full pipe would block it.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,
            bufsize=0,
        )

    def wait_ready(self) -> None:
        """Wait for its next line, after `start` until it can be used; raises if it ends instead."""
        process = self._running()
        assert process.stdout is not None
        line, until = b"", time.monotonic() + READY_TIMEOUT
        while not line.endswith(b"\n"):
            left = until - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                self._fail(f"said nothing for {READY_TIMEOUT:g} s")
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                self._fail("did not start")
            line += piece
        self._state = json.loads(line)

    def _fail(self, how: str) -> NoReturn:
        self._stop()
        self._stderr.seek(0)
        last_words = self._stderr.read()[-2000:].decode(errors="replace").strip()
        raise PoolkitError(f"{self.module} {how}", last_words)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server is not running: use it in a `with`")
        return self._process

    def _stop(self) -> None:
        # Leaving the `with` of a process waits for its end and closes its pipes.
        with self._running() as process:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()

    def close(self) -> None:
        """Stop it in good order (SIGTERM), by force if it does not follow; harmless when closed."""
        if self._process is not None:
            self._stop()
            self._stderr.close()
            self._process = None
        # The child did this, unless it was killed.
        if "folder" in self._state:
            shutil.rmtree(self._state["folder"], ignore_errors=True)


@contextlib.contextmanager
def side_by_side(*children: Child) -> Iterator[None]:
    """Several at once: started before the first is waited for, and ended together."""
    with contextlib.ExitStack() as stack:
        for child in children:
            stack.callback(child.close)
            child.start()
        for child in children:
            child.wait_ready()
        yield


def require(*modules: str) -> None:
    """Raise MissingExtra for the first of these, named like their packages, that is missing."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise MissingExtra(module.replace("_", "-"), "lab")


def is_orphan(parent: int | None) -> bool:
    """Whether the process that started this one is gone, by SIGKILL too.

    An orphan is handed to another parent at once. `parent` comes from the command line, not from a
    first look at `os.getppid`: the parent may have died before that look.
    """
    return parent is not None and os.getppid() != parent


def end_with_parent(how: signal.Signals) -> Callable[[], None] | None:
    """For `preexec_fn`: have the kernel end the new process with this one, by SIGKILL too.

    More precisely with the thread that started it. None where the kernel cannot.
    """
    libc = _libc
    return None if libc is None else lambda: libc.prctl(_PR_SET_PDEATHSIG, how)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
