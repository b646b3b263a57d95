"""Tables of what was seen of the server's side while trials ran: its sessions, and the pooler."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit.analysis.server_side import kind_of_wait
from poolkit.records import TierMoment, Trial
from poolkit.show.tables.of_trials import SIZE_AND_LOOP, in_order
from poolkit.show.tables.table import Column, Columns, Number, Table
from poolkit.units import NONE, listed, milliseconds, number, share

CHIEF = 3  # kinds of waits that are named
LATEST = 3  # trials that are shown over time


def server_side(measured: Sequence[Trial]) -> Table:
    """Who waited in the pooler, and what the server's sessions were busy with, in each trial."""
    seen = in_order([trial for trial in measured if _has_figures(trial)])
    columns: list[Column[Trial]] = [*SIZE_AND_LOOP]
    if any(trial.pooler_tier for trial in seen):
        columns += [
            Number("clients that wait in the pooler", lambda t: _of_tier(t, "clients_waiting")),
            Number("lent to the server", lambda t: _of_tier(t, "servers_active")),
            Number("at most", lambda t: _of_tier(t, "servers_most")),
        ]
    if any(trial.server_side and trial.server_side.waits for trial in seen):
        columns += [
            Number("busy sessions", _sessions),
            Column("spent on", _spent),
            Column("locks on", _locks),
        ]
    if any(trial.server_side and trial.server_side.gauge for trial in seen):
        columns.append(Number("Prometheus's query", _gauge))
    return Table.of("The server's side of each trial (means)", tuple(columns), seen)


def pooler(measured: Sequence[Trial]) -> Table:
    """Clients and connections of the pooler over time, of the latest trials in service.

    Of the largest closed loop where there are none.
    """
    seen = [trial for trial in measured if trial.pooler_tier is not None]
    in_service = [trial for trial in seen if trial.loop == "open" and trial.purpose != "approach"]
    largest = sorted(seen, key=lambda trial: trial.connections)[-1:]
    shown = in_service[-LATEST:] or largest
    size, loop = SIZE_AND_LOOP
    columns: Columns[tuple[Trial, TierMoment]] = (
        Column(size.name, lambda row: size.cell(row[0])),
        Column(loop.name, lambda row: loop.cell(row[0])),
        Number("after", lambda row: f"{row[1].at:.1f} s"),
        Number("clients that wait", lambda row: number(row[1].clients_waiting)),
        Number("clients served", lambda row: number(row[1].clients_active)),
        Number("lent to the server", lambda row: number(row[1].servers_active)),
        Number("idle", lambda row: number(row[1].servers_idle)),
        Number("longest wait", lambda row: milliseconds(row[1].longest_wait)),
    )
    rows = [(trial, moment) for trial in shown for moment in _moments(trial)]
    return Table.of("The pooler over time", columns, rows)


def _moments(trial: Trial) -> tuple[TierMoment, ...]:
    tier = trial.pooler_tier
    return () if tier is None else tier.moments


def _has_figures(trial: Trial) -> bool:
    side = trial.server_side
    return side is not None and (side.pooler or side.waits or side.gauge) is not None


def _of_tier(trial: Trial, figure: str) -> str:
    tier = trial.pooler_tier
    return NONE if tier is None else number(getattr(tier, figure))


def _sessions(trial: Trial) -> str:
    waits = trial.server_side and trial.server_side.waits
    return number(waits.sessions) if waits else NONE


def _spent(trial: Trial) -> str:
    waits = trial.server_side and trial.server_side.waits
    kinds: dict[str, float] = {}
    for event, part in waits.waits.items() if waits else ():
        kinds[kind_of_wait(event)] = kinds.get(kind_of_wait(event), 0.0) + part
    chief = sorted(kinds, key=lambda kind: -kinds[kind])[:CHIEF]
    return listed([f"{kind} {share(kinds[kind])}" for kind in chief]) or NONE


def _locks(trial: Trial) -> str:
    waits = trial.server_side and trial.server_side.waits
    return listed(list(waits.locks)[:CHIEF]) or NONE if waits else NONE


def _gauge(trial: Trial) -> str:
    gauge = trial.server_side and trial.server_side.gauge
    if not gauge:
        return NONE
    labels = ", ".join(gauge.labels.values())
    return f"{number(gauge.value)} ({labels})" if labels else number(gauge.value)
