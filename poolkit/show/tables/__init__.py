"""Records as tables: rows of plain text that become HTML, Markdown or a data frame."""

from poolkit.show.tables.of_comparison import changed_since, changes
from poolkit.show.tables.of_recommendation import (
    bound_by,
    checks,
    decision,
    how_sure,
    knees,
    parameters,
    rule_name,
    rules_of_thumb,
    signals,
)
from poolkit.show.tables.of_trials import (
    cut_and_dials,
    predictions,
    time_budget,
    trial_checks,
    trials,
)
from poolkit.show.tables.table import Table

__all__ = [
    "Table",
    "bound_by",
    "changed_since",
    "changes",
    "checks",
    "cut_and_dials",
    "decision",
    "how_sure",
    "knees",
    "parameters",
    "predictions",
    "rule_name",
    "rules_of_thumb",
    "signals",
    "time_budget",
    "trial_checks",
    "trials",
]
