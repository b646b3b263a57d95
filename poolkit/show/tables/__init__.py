"""Records as tables: rows of plain text, written as HTML, as Markdown or for a terminal."""

from poolkit.show.tables.of_recommendation import (
    changes,
    checks,
    checks_in_short,
    curve,
    decision,
    decision_in_short,
    knees,
    limits,
    parameters,
    parameters_in_short,
    rules_of_thumb,
    signals,
)
from poolkit.show.tables.of_trials import (
    cut_and_dials,
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
    "changes",
    "checks",
    "checks_in_short",
    "curve",
    "cut_and_dials",
    "decision",
    "decision_in_short",
    "knees",
    "limits",
    "parameters",
    "parameters_in_short",
    "passed",
    "predictions",
    "rules_of_thumb",
    "signals",
    "states",
    "time_budget",
    "trial_checks",
    "trials",
]
