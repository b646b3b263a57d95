"""What the lesson on a database's budget tries: replicas, their cold start, and a pooler."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from poolkit.analysis.cold import advise
from poolkit.analysis.sizing import size
from poolkit.analysis.two_tiers import OTHERS
from poolkit.analysis.what_if import Planner, what_if
from poolkit.errors import Cancelled, MissingExtra, PoolkitError
from poolkit.lab.pgbouncer import find_program
from poolkit.panels.sources import FileSource, RecordedSource, Source
from poolkit.panels.story import Findings
from poolkit.records import ColdAdvice, PoolerTier, Sizing, Sweep, Trial
from poolkit.report.page import Part
from poolkit.workbook import lessons
from poolkit.workbook.cells import notice
from poolkit.workbook.fleet import Fleet
from poolkit.workbook.serving import Serving

MOST_PROCESSES = 4  # of this machine, however many replicas there are
COLD_SECONDS = 15.0  # of load, over all starts
SMALL_SECONDS = 7.5  # of load, behind a pooler that lends too few
FEWER = 0.5  # of the connections that are busy on average, which that one lends


def tried_size(found: Findings, fleet: Fleet, source: Source, known: int | None) -> int:
    """Connections of each pool to try: those known to be needed, as far as the target allows.

    Of one's own targets all pools together keep to max_size; the lab has what the fleet has.
    """
    most = found.objective.max_size if isinstance(source, FileSource) else fleet.room
    wanted = known or lessons.roomy(found, fleet.processes)
    return max(1, min(wanted, most // fleet.processes, found.objective.max_size))


def replicas(found: Findings, fleet: Fleet, pool_size: int) -> tuple[Serving, ...]:
    """The whole rate on every replica, then, where there are several, on one less."""
    left = range(fleet.replicas, max(0, fleet.replicas - 2), -1)
    return tuple(
        Serving(
            label=label,
            target=found.sizing.target,
            pool_size=pool_size,
            rate=found.objective.rate,
            pools=replicas * fleet.workers,
            processes=min(replicas, MOST_PROCESSES),
        )
        for label, replicas in zip(("replicas", "replica-lost"), left, strict=False)
    )


def cold_starts(found: Findings, fleet: Fleet, pool_size: int) -> tuple[Serving, ...]:
    """Every replica begins at once, with the load upon it."""
    return (
        Serving(
            label="cold",
            target=found.sizing.target,
            pool_size=pool_size,
            rate=found.objective.rate,
            seconds=COLD_SECONDS,
            pools=fleet.processes,
            is_cold=True,
        ),
    )


def cold_advice(trials: Sequence[Trial]) -> ColdAdvice:
    """How replicas should begin, from the trials of `cold_starts`."""
    advice = advise(trials, trials[0].pool_size, trials[0].pools)
    assert advice is not None, "each of them is a cold start"
    return advice


async def side_by_side(
    found: Findings, fleet: Fleet, source: Source, pool_size: int
) -> tuple[tuple[Trial, ...], tuple[Part, ...]]:
    """The trials of `replicas`, each replica a process; and what to say where that cannot be."""
    orders = replicas(found, fleet, pool_size)
    return await tried(orders, source, lambda: _require("distributed"))


@dataclass(frozen=True, slots=True)
class BehindPooler:
    """What came of trying a pooler.

    Attributes:
        trial: the service through it, set up as computed.
        lent_too_few: the curve through one that lends too few connections.
        notices: that these are not of this machine, and why.
    """

    trial: Trial
    lent_too_few: Sizing
    notices: tuple[Part, ...] = ()

    @property
    def tier(self) -> PoolerTier:
        """What was seen of the pooler; nothing where its console was out of reach."""
        return self.trial.pooler_tier or _UNSEEN


_UNSEEN = PoolerTier(
    samples=0, clients_waiting=0, waiting_share=0, servers_active=0, servers_most=0, longest_wait=0
)


async def behind_pooler(
    found: Findings, fleet: Fleet, source: Source, pool_size: int, settings: Mapping[str, int]
) -> BehindPooler:
    """The service through a PgBouncer with these settings, and a sweep through one that is small.

    Args:
        pool_size: connections of each pool of the fleet to the pooler.
        settings: default_pool_size and others of pgbouncer.ini.
    """

    def check() -> None:
        if found.trials[-1].pooler is not None:
            raise PoolkitError(
                f"{found.sizing.target} is behind a pooler already, and no second one is put there",
                "poolkit size looks at that one, and says what it should lend",
            )
        find_program()

    orders = through_pooler(found, fleet, pool_size, settings)
    (trial, *curve), notices = await tried(orders, source, check)
    sweep = Sweep(target=trial.target, trials=tuple(curve))
    return BehindPooler(trial, size(sweep, found.objective), notices)


async def tried(
    orders: Sequence[Serving], source: Source, check: Callable[[], object] = lambda: None
) -> tuple[tuple[Trial, ...], tuple[Part, ...]]:
    """The trials of the orders; else those of the recording, and a notice that says why.

    Args:
        check: raises `PoolkitError` where it cannot.
    """
    if isinstance(source, RecordedSource):
        return await lessons.served(orders, source), ()
    try:
        check()
        return await lessons.served(orders, source), ()
    except Cancelled:
        raise
    except PoolkitError as error:
        told = f"Not tried here: {error.cause}. What follows is the recording of the lab."
        trials = lessons.recorded([order.label for order in orders])
        return trials, (notice(told, f"{error.remedy[:1].upper()}{error.remedy[1:]}."),)


def _require(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise MissingExtra(module, "fleet")


def pooler_settings(
    found: Findings, planner: Planner, fleet: Fleet, pool_size: int, growth: float, scaled_out: int
) -> dict[str, int]:
    """PgBouncer's settings for a fleet, from the curve of the database alone.

    Args:
        pool_size: connections of each pool of the fleet to the pooler.
        growth: factor on the rate that the reserve is for.
        scaled_out: factor on the replicas when somebody scales out.
    """
    whole = fleet.question | {"replicas": 1, "workers": 1, "lost_replicas": 0}
    one = what_if(planner, whole).size or lessons.roomy(found)
    grown = what_if(planner, whole | {"growth": growth}).size or one
    return {
        "default_pool_size": one,
        "reserve_pool_size": max(1, grown - one),
        "max_client_conn": math.ceil(OTHERS * scaled_out * fleet.processes * pool_size - 1e-9),
    }


def through_pooler(
    found: Findings, fleet: Fleet, pool_size: int, settings: Mapping[str, int]
) -> tuple[Serving, ...]:
    """The service through a pooler, then a sweep through one that lends too few connections."""
    target, rate = found.sizing.target, found.objective.rate
    lent = max(2, int(FEWER * lessons.offered_load(found)))
    sizes = tuple(sorted({min(n, found.objective.max_size) for n in (1, lent, 2 * lent, 4 * lent)}))
    return (
        Serving(
            label="pooler",
            target=target,
            pool_size=pool_size,
            rate=rate,
            pools=fleet.processes,
            pooler=dict(settings),
        ),
        Serving(
            label="small-pooler",
            target=target,
            pool_size=sizes[-1],
            rate=rate,
            seconds=SMALL_SECONDS,
            sizes=sizes,
            pooler={"default_pool_size": lent},
        ),
    )
