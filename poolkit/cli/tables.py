"""The tables of `poolkit.show` as the commands print them: in 80 columns, safe for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from poolkit.cli.progress import printable
from poolkit.records import Check, Recommendation, Sizing
from poolkit.review.compare import Comparison
from poolkit.show import tables, words


def recommended(recommendations: Sequence[Recommendation]) -> RenderableType:
    """One row a target: the size to set, what bounds it, and what it was seen to do."""
    return tables.decision_in_short(recommendations).rich(printable)


def parameters(recommendation: Recommendation) -> RenderableType:
    """The parameters of the client library, each with its value and reason."""
    return tables.parameters_in_short(recommendation).rich(printable)


def curve(sizing: Sizing) -> RenderableType:
    """What a sweep saw at each pool size."""
    return tables.curve(sizing).rich(printable)


def knees(sizing: Sizing) -> str:
    """The knees by each rule, and the verdict, in lines of text."""
    lines = [f"knee by {k.rule}: {words.knee_in_short((k,))}" for k in sizing.knees]
    return "\n".join([*lines, f"verdict {sizing.verdict.name}: {sizing.verdict.evidence}"])


def since(comparison: Comparison) -> RenderableType:
    """What changed since an earlier review."""
    return tables.changes(comparison).rich(printable)


def checks(found: Sequence[Check]) -> RenderableType:
    """What was looked at, and what to do where it is not well."""
    return tables.checks_in_short(found).rich(printable)


def print_doubts(console: Console, recommendations: Sequence[Recommendation]) -> None:
    """Print each failed check below the table: what was seen, and what to do next."""
    for r in recommendations:
        for check in r.failed_checks:
            name = check.name.replace("_", " ")
            seen = printable(f"check {name} failed: {check.seen}")
            console.print(Text.assemble((f"{r.target}: ", "bold"), seen), highlight=False)
            console.print(Padding(Text(f"next: {printable(check.next)}"), (0, 0, 0, 2)))
