"""When to stop: pure rules over what the generator counts, so that a live system is never hurt."""

from __future__ import annotations

from dataclasses import dataclass

from poolkit.errors import BrakeStop


@dataclass(frozen=True, slots=True)
class Brakes:
    """Hard limits of one trial.

    Attributes:
        max_calls: most calls that one trial may start.
        max_failed_share: largest share (0 to 1) of calls that may fail before the trial stops.
        min_calls: fewest finished calls before that share means anything.
        max_in_system: most calls that may wait or hold at once (open loop): beyond it the queue
            grows without bound, and nothing is learnt from letting it.
    """

    max_calls: int = 5_000_000
    max_failed_share: float = 0.05
    min_calls: int = 20
    max_in_system: int = 20_000

    def check(self, *, finished: int, failed: int, rejected: int, in_system: int) -> None:
        """Raise `BrakeStop` when a limit is passed; counts are of the running trial."""
        if failed and finished >= self.min_calls and failed > self.max_failed_share * finished:
            if rejected > failed / 2:
                raise BrakeStop(
                    "rejected",
                    f"the server rejected {rejected} of {finished} calls",
                    "the server sheds load or limits the rate: a larger pool will not help; "
                    "raise its limit, or lower target_rate and max_size",
                )
            raise BrakeStop(
                "error_share",
                f"{failed} of {finished} calls failed",
                "look at the server's log; finished trials are kept, and the same command resumes",
            )
        if finished >= self.max_calls:
            raise BrakeStop("calls", f"{finished} calls in one trial", "shorten the trial")
        if in_system > self.max_in_system:
            raise BrakeStop(
                "backlog",
                f"{in_system} calls were waiting at once",
                "the target rate is far above what this pool size carries; lower it or allow more",
            )
