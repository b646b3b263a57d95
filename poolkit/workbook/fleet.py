"""The connections of one database, shared out over the processes of a fleet; pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from poolkit.analysis.what_if import Answer, Planner, Question, grid, what_if
from poolkit.errors import BadInput
from poolkit.panels.findings import Findings
from poolkit.panels.what_if_page import planner_of
from poolkit.show.charts import FleetBudget, FleetCase
from poolkit.show.tables import Table
from poolkit.units import NONE, milliseconds, number, plural, rate, share

GROWTH = 1.2  # factor on the rate in the table of cases
AUTOSCALED = 4  # times the replicas, when somebody scales out with the pools as they are
SPARE = 1.2  # of the clients that a pooler must accept: shells, migrations, monitoring
RATES = (0.7, 1.0, 1.2, 1.4)  # of the target rate
SLOWER = (1.0, 1.25, 1.5, 2.0)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Who shares the database: each replica runs `workers` processes with a pool of its own.

    Attributes:
        max_connections: of the server.
        reserved: kept for superusers and the like.
        in_use: held by others than this fleet.
    """

    replicas: int
    workers: int
    max_connections: int
    reserved: int
    in_use: int

    @property
    def room(self) -> int:
        """Connections that the fleet may hold in all."""
        return self.max_connections - self.reserved - self.in_use


@dataclass(frozen=True)
class FleetPlan:
    """What one pool of the fleet needs, by the curve of one sweep."""

    fleet: Fleet
    findings: Findings
    planner: Planner
    answer: Answer  # for the fleet as it is, a replica lost

    @property
    def size(self) -> int | None:
        """Connections of one pool; None: no size will do."""
        return self.answer.size

    @property
    def connections(self) -> int | None:
        """Connections that all pools may open together."""
        return None if self.size is None else self.size * self.fleet.replicas * self.fleet.workers

    @property
    def most_replicas(self) -> int | None:
        """Replicas that fit with pools of this size."""
        return None if self.size is None else self.fleet.room // (self.fleet.workers * self.size)


def plan(findings: Findings, fleet: Fleet) -> FleetPlan:
    """Size the pools of the fleet: any replica may be lost, and the server's room is kept to.

    Raises:
        BadInput: the server has no room for one connection a process.
    """
    if fleet.room < fleet.replicas * fleet.workers:
        raise BadInput(
            f"{fleet.replicas * fleet.workers} processes share {fleet.room} connections",
            "raise max_connections, run fewer processes, or put a pooler in between",
        )
    planner = planner_of(findings)
    return FleetPlan(fleet, findings, planner, what_if(planner, question(fleet)))


def question(fleet: Fleet) -> Question:
    """What is asked of one pool of the fleet."""
    return Question(
        replicas=fleet.replicas, workers=fleet.workers, max_connections=max(1, fleet.room)
    )


def cases(found: FleetPlan) -> Table:
    """One row a case: what one pool would need in it, and whether the server has the room."""
    asked, fleet = question(found.fleet), found.fleet
    more = asked | {"replicas": AUTOSCALED * fleet.replicas}
    alone = asked | {"replicas": 1, "workers": 1}
    rows = [
        ("one pool for all of it", alone),
        ("today's fleet, none lost", asked | {"lost_replicas": 0}),
        ("today's fleet", asked),
        (f"{GROWTH:g} × the rate", asked | {"growth": GROWTH}),
        (f"{AUTOSCALED} × the replicas", more),
    ]
    columns = (
        "case",
        "pools left",
        "rate of one pool",
        "connections of one pool",
        "of all pools",
        "server has room for",
        "wait p99",
        "busy",
    )
    return Table(
        "What one pool needs, so that any replica may be lost",
        columns,
        tuple((name, *_cells(found, case)) for name, case in rows),
        frozenset(range(1, 8)),
        frozenset({2}),
    )


def _cells(found: FleetPlan, case: Question) -> tuple[str, ...]:
    answer = what_if(found.planner, case)
    return (
        str(answer.pools_left),
        rate(answer.rate_per_pool),
        "none will do" if answer.size is None else str(answer.size),
        NONE if answer.size is None else str(answer.size * answer.pools),
        str(found.fleet.room),
        milliseconds(answer.wait_p99),
        share(answer.utilisation),
    )


def budget(found: FleetPlan) -> FleetBudget | None:
    """The server's connections in the states that a fleet comes into; None without a size."""
    fleet, size = found.fleet, found.size
    if size is None:
        return None
    states = (
        ("now", fleet.replicas),
        ("one replica lost", fleet.replicas - 1),
        ("rolled out, one more", fleet.replicas + 1),
        ("scaled out", AUTOSCALED * fleet.replicas),
    )
    return FleetBudget(
        fleet.max_connections,
        fleet.reserved,
        fleet.in_use,
        tuple(FleetCase(name, count, fleet.workers, size) for name, count in states if count),
    )


def sizes(found: FleetPlan) -> Table:
    """Connections of one pool over target rates (rows) and slower upstreams (columns)."""
    rates = tuple(factor * found.findings.objective.target_rate for factor in RATES)
    answers = grid(found.planner, rates, SLOWER, question(found.fleet))
    columns = ("rate of the whole service", *(_slower(factor) for factor in SLOWER))
    rows = tuple(
        (rate(at), *("none will do" if size is None else str(size) for size in row))
        for at, row in zip(rates, answers.sizes, strict=True)
    )
    caption = "Connections of one pool, a replica lost"
    return Table(
        caption,
        columns,
        rows,
        frozenset(range(1, len(columns))),
        frozenset({RATES.index(1.0)}),
    )


def _slower(factor: float) -> str:
    return "as measured" if factor == 1.0 else f"calls {factor:g} × as long"


@dataclass(frozen=True, slots=True)
class Pooler:
    """PgBouncer between the fleet and the database.

    Attributes:
        default_pool_size: server connections of one user and database.
        max_client_conn: connections of clients.
        reserve_pool_size: server connections more, when clients have waited.
    """

    default_pool_size: int
    max_client_conn: int
    reserve_pool_size: int
    offered_load: float


def pooler(found: FleetPlan) -> Pooler | None:
    """What PgBouncer must be set to, for the fleet scaled out; None: no size carries the rate."""
    alone = question(found.fleet) | {"replicas": 1, "workers": 1, "lost_replicas": 0}
    one = what_if(found.planner, alone)
    grown = what_if(found.planner, alone | {"growth": GROWTH})
    if one.size is None or one.hold_time is None:
        return None
    clients = AUTOSCALED * found.fleet.replicas * found.fleet.workers * (found.size or one.size)
    return Pooler(
        default_pool_size=one.size,
        max_client_conn=math.ceil(SPARE * clients),
        reserve_pool_size=max(1, (grown.size or one.size) - one.size),
        offered_load=found.findings.objective.rate * one.hold_time,
    )


def pooler_settings(found: FleetPlan) -> Table:
    """PgBouncer's parameters, each with its reason; no rows where no size carries the rate."""
    made = pooler(found)
    rows = () if made is None else tuple(_settings(found, made))
    columns = ("parameter", "value", "because")
    return Table("PgBouncer in front of the database", columns, rows, frozenset({1}))


def _settings(found: FleetPlan, made: Pooler) -> list[tuple[str, str, str]]:
    busy = number(made.offered_load, 2)
    objective = found.findings.objective
    return [
        (
            "pool_mode",
            "transaction",
            "a server connection is held for a transaction; the default, session, holds it for as "
            "long as the client is connected, and then nothing is saved",
        ),
        (
            "default_pool_size",
            str(made.default_pool_size),
            f"{rate(objective.rate)} keep {busy} connections busy; with "
            f"{plural(made.default_pool_size, 'connection')} few enough wait (default 20)",
        ),
        (
            "reserve_pool_size",
            str(made.reserve_pool_size),
            f"what {GROWTH:g} times the rate needs beyond that (default 0)",
        ),
        (
            "max_client_conn",
            str(made.max_client_conn),
            f"every pool of {AUTOSCALED} times the replicas, and {share(SPARE - 1)} for others "
            "(default 100)",
        ),
        (
            "max_prepared_statements",
            "200",
            "asyncpg and psycopg prepare; before PgBouncer 1.21 set statement_cache_size=0 or "
            "prepare_threshold=None in the client instead",
        ),
    ]
