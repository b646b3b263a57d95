"""Records as tables: rows of plain text that become HTML, Markdown or a data frame."""

from poolkit.tables.of_comparison import changes
from poolkit.tables.of_recommendation import (
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
from poolkit.tables.of_trials import predictions, trial_checks, trials
from poolkit.tables.table import Table

__all__ = [
    "Table",
    "bound_by",
    "changes",
    "checks",
    "decision",
    "how_sure",
    "knees",
    "parameters",
    "predictions",
    "rule_name",
    "rules_of_thumb",
    "signals",
    "trial_checks",
    "trials",
]
