"""One size of a target under arrivals of the reader's own: a ramp, or production's again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from poolkit.drivers.registry import gate_size, make_service_pool
from poolkit.errors import BadInput, ExitCode
from poolkit.load.generator import Plan
from poolkit.measure.emit import Emit
from poolkit.measure.hung import why_ended
from poolkit.measure.loop import run_until_over
from poolkit.measure.preflight import check_descriptors, check_first_call
from poolkit.measure.run import SEED
from poolkit.measure.store import TrialLog, prepare_out
from poolkit.measure.trial import TrialOrder, TrialRunner
from poolkit.measure.watchdog import Reason
from poolkit.records import Trial
from poolkit.targets import Target

SPARE = 60.0  # s that opening the pool and ending slow calls may take beside the load


def measure_arrivals(
    target: Target,
    arrivals: Iterable[float],
    *,
    pool_size: int,
    seconds: float,
    out: Path,
    emit: Emit = lambda _event: None,
    seed: int = SEED,
) -> Trial:
    """Send load by a schedule and return its trial, which NAME.arrivals.jsonl in `out` keeps.

    For a script, not a cell: it runs an event loop of its own. All brakes hold, and max_rate and
    max_calls of the target.

    Args:
        arrivals: due times (s from the start, in order), as `poolkit.load.arrivals` makes them:
            `ramp(10, 500, 60, seed=1)`, `replay(timestamps, speed=2.0)`.
        pool_size: connections, 1 to the target's max_size.
        seconds: calls that are due later are left out; more than 0.
        seed: of the values drawn for statements.

    Raises:
        PoolkitError: nothing was sent, or the load ended early; it says why and what to do.
    """
    if not 1 <= pool_size <= target.max_size:
        raise BadInput(
            f"{target.name}: pool_size must be 1 to max_size = {target.max_size}, got {pool_size}",
            "raise max_size in targets.toml, if the endpoint may have so many",
        )
    prepare_out(out)
    check_descriptors(target)
    runner = TrialRunner(target, TrialLog(out / f"{target.name}.arrivals.jsonl"), emit, seconds)
    order = TrialOrder(
        make_service_pool(target, pool_size, pools=1, seed=seed),
        Plan(seconds=seconds, warm_up=0.0, seed=seed, arrivals=arrivals),
        "verify",
        pool_size,
        "arrivals of the reader's own",
        gate=gate_size(target, pool_size),
    )
    ended: list[Reason] = []

    async def work() -> ExitCode:
        runner.first_call = await check_first_call(target)
        await runner.run(order)
        return ExitCode.DONE

    def cancel(reason: Reason | None) -> None:
        ended.extend([reason] if reason else [])
        runner.cancel()

    run_until_over(work(), cancel, seconds + SPARE, lambda _reason: None)
    if ended:
        raise why_ended(target, ended[0])
    return runner.trials[-1]
