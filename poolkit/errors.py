"""One small tree of errors, by cause; each carries what to do next and the exit code it means."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit code tells the program that started it."""

    DONE = 0
    FINDINGS = 1
    BAD_INPUT = 2
    STOPPED = 3
    OUT_OF_REACH = 4
    CANCELLED = 130

    @property
    def meaning(self) -> str:
        """The same in words, for help, messages and README."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.DONE: "done",
    ExitCode.FINDINGS: "done, with findings: a size in doubt, a gate that did not pass, or what "
    "a check or rule found",
    ExitCode.BAD_INPUT: "bad input; no load was sent",
    ExitCode.STOPPED: "a target did not answer, broke down or was stopped; what was found is kept",
    ExitCode.OUT_OF_REACH: "no size carries a target rate, or none can be told; what was "
    "found is kept",
    ExitCode.CANCELLED: "cancelled; what was finished is kept",
}


class PoolkitError(Exception):
    """Something that a user can act on: `cause` says what happened, `remedy` what to do."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(cause if not remedy else f"{cause}\n{remedy}")
        self.cause = cause
        self.remedy = remedy


class BadInput(PoolkitError):
    """The request cannot be carried out as written; nothing was sent."""


class MissingExtra(BadInput):
    """A library that the request needs is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(
            f"{library} is not installed", f"install it with: pip install 'poolkit[{extra}]'"
        )


class Unreachable(PoolkitError):
    """The first call to the target failed, so no load was sent."""

    exit_code = ExitCode.STOPPED


class BrakeStop(PoolkitError):
    """A brake ended the measurement early; what was measured before is kept."""

    exit_code = ExitCode.STOPPED

    def __init__(self, brake: str, seen: str, remedy: str) -> None:
        super().__init__(f"stopped by the {brake} brake: {seen}", remedy)
        self.brake = brake
        self.seen = seen


class Cancelled(PoolkitError):
    """The user or the parent process ended the measurement; what was measured before is kept."""

    exit_code = ExitCode.CANCELLED

    def __init__(self) -> None:
        super().__init__("cancelled", "the same command resumes from the finished trials")


class CallFailed(Exception):
    """A call that did not succeed; the adapters translate library exceptions to this and its kinds.

    `kind` is a short stable word (`http_500`, `connection_refused`, `UndefinedTableError`) and
    never holds data from the reply.
    """

    outcome = "error"

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind
        self.detail = detail


class PoolTimedOut(CallFailed):
    """The pool gave up waiting for a free connection."""

    outcome = "pool_timeout"


class CallTimedOut(CallFailed):
    """The call held a connection and took longer than its limit, or the dial did."""

    outcome = "timeout"


class CallRejected(CallFailed):
    """The server shed the call: 429, 503, too many connections, or a new one closed unanswered."""

    outcome = "rejected"
