"""The tables that only the course has: what one connection hides, Little's Law, headroom, dials."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit.analysis.checks import LITTLES_LAW_TOLERANCE
from poolkit.histogram import share_above
from poolkit.panels.findings import Findings
from poolkit.records import Trial
from poolkit.show.tables import Table
from poolkit.units import NONE, milliseconds, number, rate, share
from poolkit.workbook.lessons import offered_load
from poolkit.workbook.serving import Serving

RULE = 1.3  # of the rule of thumb: p50 at one connection x rate x 1.3
LITTLE = LITTLES_LAW_TOLERANCE


def curve(found: Findings) -> tuple[Trial, ...]:
    """The closed-loop trials in the order of sizes, those of use."""
    trials = (trial for trial in found.trials if trial.is_of_curve and trial.is_usable)
    return tuple(sorted(trials, key=lambda trial: trial.pool_size))


def apart(trial: Trial) -> float | None:
    """By what share the two sides of Little's Law differ; None where nothing was sampled."""
    waits, holds = trial.wait_time.mean, trial.hold_time.mean
    if trial.concurrency is None or waits is None or holds is None or not trial.throughput:
        return None
    return abs(trial.concurrency - _busy(trial)) / _busy(trial)


def _busy(trial: Trial) -> float:
    return trial.throughput * ((trial.wait_time.mean or 0.0) + (trial.hold_time.mean or 0.0))


def littles_law(found: Sequence[Findings]) -> Table:
    """Calls in the system, counted, against throughput x time in it, for each trial."""
    rows = [
        (
            each.sizing.target,
            str(trial.pool_size),
            number(trial.concurrency),
            rate(trial.throughput),
            milliseconds(_busy(trial) / trial.throughput, 3),
            number(_busy(trial)),
            share(apart(trial), 1),
        )
        for each in found
        for trial in curve(each)
        if apart(trial) is not None
    ]
    columns = (
        "target",
        "connections",
        "calls inside, counted",
        "throughput X",
        "wait + hold",
        "X × (wait + hold)",
        "apart",
    )
    return Table("Little's Law on measured figures", columns, tuple(rows), frozenset(range(1, 7)))


def of_one_connection(found: Sequence[Findings]) -> Table:
    """What one connection says of a call, and what the call takes under load."""
    rows = []
    for each in found:
        trials, asked = curve(each), each.objective.rate
        if not trials or trials[0].pool_size != 1:
            rows.append((each.sizing.target, *[NONE] * 7))
            continue
        one, largest = trials[0].hold_time, trials[-1]
        p50, mean, loaded = one.p50 or 0.0, one.mean or 0.0, largest.hold_time.mean or 0.0
        rows.append(
            (
                each.sizing.target,
                milliseconds(p50),
                milliseconds(mean),
                milliseconds(one.p99),
                f"{milliseconds(loaded)} with {largest.pool_size}",
                number(asked * p50),
                str(round(asked * p50 * RULE)),
                number(asked * loaded),
            )
        )
    columns = (
        "target",
        "p50 alone",
        "mean alone",
        "p99 alone",
        "mean with all busy",
        "rate × p50",
        f"× {RULE:g}",
        "rate × mean with all busy",
    )
    caption = "What the time at one connection would ask for, and what it leaves out"
    return Table(caption, columns, tuple(rows), frozenset(range(1, 8)))


def headroom(found: Findings) -> Table:
    """How far the size is from the load that it carries, and the rate from the plateau."""
    sizing, r = found.sizing, found.recommendation
    size, load = r.recommended_size or sizing.size, offered_load(found)
    plateau = sizing.plateau.throughput if sizing.plateau else None
    asked = found.objective.rate
    free = None if plateau is None else 1 - asked / plateau
    rows = [
        ("rate to sustain", rate(asked), "what is asked"),
        ("plateau", rate(plateau), "no pool carries more"),
        ("plateau left free", share(free), "the nearer to 0, the longer everybody waits"),
        ("offered load", number(load), "connections busy on average: rate × hold time"),
        ("size", NONE if size is None else str(size), "connections of one pool"),
        (
            "busy",
            NONE if size is None else share(load / size / found.objective.pools),
            "of the pool on average; what is left takes up the bursts",
        ),
    ]
    return Table("Headroom", ("what", "value", "meaning"), tuple(rows), frozenset({1}))


def overflow(orders: Sequence[Serving], trials: Sequence[Trial]) -> Table:
    """SQLAlchemy's splits of one total: what is dialled, and what callers notice."""
    rows = tuple(
        (
            split(order),
            rate(trial.arrival_rate),
            number(trial.connections_opened / trial.window),
            share(trial.reuse_ratio, 1),
            milliseconds(trial.hold_time.mean),
            milliseconds(trial.wait_time.p99),
            milliseconds(trial.response_time.p99),
        )
        for order, trial in zip(orders, trials, strict=True)
    )
    columns = (
        "pool_size + max_overflow",
        "rate",
        "dials/s",
        "calls on a kept connection",
        "mean hold",
        "wait p99",
        "response p99",
    )
    caption = "SQLAlchemy at one total, more and more of it overflow"
    return Table(caption, columns, rows, frozenset(range(1, 7)), frozenset({0}))


def split(order: Serving) -> str:
    """`10 + 0`: pool_size and max_overflow of one total."""
    over = order.max_overflow or 0
    return f"{order.pool_size - over} + {over}"


def late_share(trial: Trial, limit: float = 0.010) -> float:
    """Share of the calls (0 to 1) that waited longer than `limit` (s)."""
    return share_above(trial.wait_time.buckets, limit)


def hosts(trials: Sequence[Trial], names: Sequence[str], limit: float = 0.010) -> Table:
    """How many calls wait, by how the connections of one session are limited."""
    rows = tuple(
        (
            name,
            milliseconds(trial.wait_time.p50),
            share(late_share(trial, limit)),
            milliseconds(trial.response_time.p50),
            rate(trial.throughput),
        )
        for name, trial in zip(names, trials, strict=True)
    )
    columns = (
        "one session for two hosts",
        "wait p50",
        f"wait longer than {milliseconds(limit)}",
        "response p50",
        "throughput",
    )
    caption = "A slow host and a fast one behind one session"
    return Table(caption, columns, rows, frozenset(range(1, 5)))
