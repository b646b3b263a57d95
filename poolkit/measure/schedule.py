"""One size of a target in service: arrivals of a lesson, a ramp, or production's again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from poolkit.drivers.registry import gate_size, make_service_pool
from poolkit.errors import BadInput, ExitCode
from poolkit.events import Emit
from poolkit.load.generator import Plan
from poolkit.measure.preflight import check_descriptors
from poolkit.measure.run import SEED
from poolkit.measure.session import LastWords, Session
from poolkit.measure.store import prepare_out
from poolkit.measure.trial import TrialOrder
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
    warm_up: float = 0.0,
    arrival_rate: float | None = None,
    file: str = "",
    because: str = "arrivals of the reader's own",
    last_words: LastWords | None = None,
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
        warm_up: s at the front that are not measured.
        arrival_rate: calls/s that the schedule means; None: it has no one rate.
        file: in `out`, in place of NAME.arrivals.jsonl.
        because: what the trial's record says of it.
        last_words: told, in another thread, before the process is ended whose loop stands still.

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
    session = Session(
        target,
        out / (file or f"{target.name}.arrivals.jsonl"),
        emit,
        budget=seconds,
        deadline=seconds + SPARE,
        last_words=last_words,
    )
    order = TrialOrder(
        make_service_pool(target, pool_size, pools=1, seed=seed),
        Plan(
            seconds=seconds,
            warm_up=warm_up,
            seed=seed,
            arrivals=arrivals,
            arrival_rate=arrival_rate,
        ),
        "verify",
        pool_size,
        because,
        gate=gate_size(target, pool_size),
    )

    async def steps() -> ExitCode:
        await session.runner.run(order)
        return ExitCode.DONE

    session.carry_out(steps)
    return session.runner.trials[-1]
