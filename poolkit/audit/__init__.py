"""Anti-patterns around connection pools in Python source: found without running it.

A finding is worth reading or it is left out: where the source does not show what a value is, where
an object goes or who calls a function, the rules are silent.
"""

from __future__ import annotations

from poolkit.audit.cures import cure_of
from poolkit.audit.finding import Finding, Rule, Skipped
from poolkit.audit.rules import RULES
from poolkit.audit.scan import Audit, audit, audit_source
from poolkit.audit.view import Settings

__all__ = [
    "RULES",
    "Audit",
    "Finding",
    "Rule",
    "Settings",
    "Skipped",
    "audit",
    "audit_source",
    "cure_of",
]
