"""Records as tables: rows of plain text, written as HTML, as Markdown or for a terminal."""

from poolkit.show.tables.of_gates import gates, waivers
from poolkit.show.tables.of_history import history
from poolkit.show.tables.of_outlook import outlooks
from poolkit.show.tables.of_production import averages, next_day, scenarios, todays_waits
from poolkit.show.tables.of_recommendation import (
    changes,
    checks,
    checks_in_short,
    cold_starts,
    cold_starts_in_short,
    curve,
    decision,
    decision_in_short,
    knees,
    limits,
    parameters,
    parameters_in_short,
    replica_changes,
    rules_of_thumb,
    signals,
)
from poolkit.show.tables.of_server_side import pooler, server_side
from poolkit.show.tables.of_trials import (
    course,
    cut_and_dials,
    errors,
    generators,
    predictions,
    states,
    time_budget,
    trial_checks,
    trials,
)
from poolkit.show.tables.table import Column, Columns, Number, Table, passed

__all__ = [
    "Column",
    "Columns",
    "Number",
    "Table",
    "averages",
    "changes",
    "checks",
    "checks_in_short",
    "cold_starts",
    "cold_starts_in_short",
    "course",
    "curve",
    "cut_and_dials",
    "decision",
    "decision_in_short",
    "errors",
    "gates",
    "generators",
    "history",
    "knees",
    "limits",
    "next_day",
    "outlooks",
    "parameters",
    "parameters_in_short",
    "passed",
    "pooler",
    "predictions",
    "replica_changes",
    "rules_of_thumb",
    "scenarios",
    "server_side",
    "signals",
    "states",
    "time_budget",
    "todays_waits",
    "trial_checks",
    "trials",
    "waivers",
]
