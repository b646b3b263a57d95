"""All the load of one target, in this process: sweep, sizing, verification, told as events.

Decisions are made elsewhere, in pure functions; this package only carries them out, one trial after
the other, each on disk before the next begins.
"""

from __future__ import annotations

from pathlib import Path

from poolkit import events
from poolkit.errors import ExitCode, PoolkitError
from poolkit.measure.emit import Emit
from poolkit.measure.hung import why_ended
from poolkit.measure.loop import run_until_over
from poolkit.measure.preflight import check_caps, check_descriptors
from poolkit.measure.run import SEED, SIZE_BUDGET, SWEEP_BUDGET, Mode, Run
from poolkit.measure.schedule import measure_arrivals
from poolkit.measure.store import prepare_out
from poolkit.redact import Redactor
from poolkit.targets import Target

__all__ = ["SEED", "SIZE_BUDGET", "SWEEP_BUDGET", "Emit", "Mode", "measure", "measure_arrivals"]


def measure(
    target: Target,
    *,
    out: Path,
    mode: Mode,
    emit: Emit,
    sizes: tuple[int, ...] | None = None,
    budget: float | None = None,
    seed: int = SEED,
) -> ExitCode:
    """Measure one target and return the exit code; every outcome is told through `emit`.

    Args:
        out: folder for NAME.trials.jsonl and NAME.sizing.json; finished trials in it are resumed.
        mode: `sweep` ends with the sizing, `size` goes on to verification and recommendation.
        sizes: pool sizes to measure instead of choosing them.
        budget: s of load in all.
    """
    redact = Redactor(target.secrets).text

    def fail(error: PoolkitError) -> ExitCode:
        cause, remedy, code = redact(error.cause), redact(error.remedy), error.exit_code
        emit(events.Failed(target=target.name, cause=cause, remedy=remedy, exit_code=code))
        emit(events.Done(target=target.name, exit_code=code))
        return code

    try:
        prepare_out(out)
        check_caps(target)
        check_descriptors(target)
        run = Run(target, out, mode, emit, sizes=sizes, budget=budget, seed=seed)
        code = run_until_over(
            run.run(), run.cancel, run.deadline, lambda reason: fail(why_ended(target, reason))
        )
        emit(events.Done(target=target.name, exit_code=code))
    except PoolkitError as error:
        code = fail(error)
    return code
