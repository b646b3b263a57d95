"""The tie of a measuring process to the one that started it, from its first instant.

A process whose parent died while it still imported would measure for nobody. So each is started
through this file, run as a script: it has the kernel end it with its parent where the kernel can
(Linux), looks whether the parent is still there, and only then becomes the program that was meant.
That one reads whose child it is from its environment.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

VARIABLE = "POOLKIT_CHILD_OF"  # pid and start of the parent, and the pid of the child itself
_PR_SET_PDEATHSIG = 1  # prctl(2); outlasts exec
_CANNOT_RUN = 127  # as a shell says it
_CANCELLED = 130  # ExitCode.CANCELLED; as a script this file imports nothing of poolkit's


def started_at(pid: int) -> str:
    """When a process started, in ticks since boot; empty where the system does not tell."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The second field is a name in brackets, which may hold anything; the 22nd is wanted.
    return line.rpartition(")")[2].split()[19]


def tied(command: Sequence[str]) -> list[str]:
    """The command line that runs `command` as a child of this process, and never without it.

    On Linux the child gets SIGTERM when the thread that started it ends.
    """
    own = f"{os.getpid()}:{started_at(os.getpid())}"
    # -I and -S: nothing but the standard library, in a few ms.
    return [sys.executable, "-I", "-S", __file__, own, *command]


def is_orphan() -> bool:
    """Whether this process was started by `tied`, and the process that did so is gone."""
    parent, _, child = os.environ.get(VARIABLE, "").rpartition(":")
    # Inherited by a child's own children, whom it does not concern.
    return child == str(os.getpid()) and not _is_parent(parent)


def _is_parent(identity: str) -> bool:
    """Whether the process of this pid and start is the parent of this one."""
    pid, _, start = identity.partition(":")
    return pid == str(os.getppid()) and start in ("", started_at(os.getppid()))


def _become(parent: str, command: Sequence[str]) -> int:
    if sys.platform == "linux":
        # A signal that is ignored or blocked stays so for the program that this becomes.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # After that, not before: the parent may have died in between.
    if not _is_parent(parent):
        return _CANCELLED
    os.environ[VARIABLE] = f"{parent}:{os.getpid()}"
    try:
        os.execvp(command[0], list(command))
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
    return _CANNOT_RUN


if __name__ == "__main__":
    sys.exit(_become(sys.argv[1], sys.argv[2:]))
