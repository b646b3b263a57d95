"""What a command prints when it is done: tables, doubts, a line for each target, the exit code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from poolkit import units
from poolkit.cli.printed import print_table
from poolkit.cli.progress import say
from poolkit.errors import ExitCode
from poolkit.records import Recommendation, Sizing
from poolkit.review.provenance import left_out
from poolkit.show import cold, trust, words

if TYPE_CHECKING:
    from poolkit.analysis.outlook import Outlook
    from poolkit.events import Watcher
    from poolkit.review.compare import Comparison
    from poolkit.show.tables import Table

# What the verdicts of the table mean.
VERDICTS = {
    "server_bound": "the server sets the plateau, and no larger pool raises it",
    "client_bound": "this machine sets the plateau, not the server",
    "pool_bound": "throughput still grew at the largest pool tried",
    "pooler_bound": "clients wait in the pooler while the server has room",
    "rate_limited": "the server allows so many calls per second",
    "refused": "the server turns calls away beyond a number of them",
    "stopped": "the measurement was ended early, or this machine was not quiet",
    "not_pushed": "no more than the target rate was sent, so the plateau is not known",
}


def print_results(
    console: Console, recommendations: Sequence[Recommendation], more: Sequence[Table] = ()
) -> None:
    """Print what to set for each target, other tables, and the checks that failed."""
    from poolkit.show import tables

    console.print()
    print_table(console, tables.decision_in_short(recommendations))
    for line in legend(recommendations):
        say(console, line, style="dim", indent="  ")
    for table in more:
        console.print()
        print_table(console, table)
    console.print()
    for r in recommendations:
        if said := left_out(r):
            say(console, f"{r.target}: {said}", indent="  ", bold=len(r.target) + 1)
    print_doubts(console, recommendations)


def say_cold(screen: Watcher, recommendations: Iterable[Recommendation]) -> None:
    """Say how each service should begin whose cold starts were tried, and what its server bears."""
    for r in recommendations:
        if r.cold is not None:
            screen.say(f"{r.target}: {cold.finding(r.cold)}.")
            if logins := cold.logins(r.cold):
                screen.say(f"  {logins}")


def legend(recommendations: Sequence[Recommendation]) -> list[str]:
    """The words of the decision's table that need it, explained."""
    shown = [r for r in recommendations if r.plateau is not None]
    lines = []
    if shown:
        lines.append("plateau: throughput that no larger pool improves")
    if any(knee.size is not None for r in shown for knee in r.knees[:1]):
        lines.append("knee: connections from which on throughput hardly grows")
    verdicts = dict.fromkeys(r.verdict for r in recommendations if r.status == "done" and r.verdict)
    lines += [
        f"{words.readable(verdict)}: {VERDICTS[verdict]}"
        for verdict in verdicts
        if verdict in VERDICTS
        and any(r.verdict == verdict and r.source == "load" for r in recommendations)
    ]
    return lines


def knees(sizing: Sizing) -> str:
    """Where the curve bends by each rule, and what bounds the throughput, in lines of text."""
    lines = ["Knee, from which on throughput hardly grows, in connections (95 % interval):"]
    found = [(words.knee_in_short((knee,)), knee.rule) for knee in sizing.knees]
    width = max((len(size) for size, _ in found), default=0)
    lines += [f"  {size.ljust(width)}  {words.KNEE_RULES.get(rule, rule)}" for size, rule in found]
    return "\n".join([*(lines if found else ()), words.bound(sizing.verdict)])


def print_changes(console: Console, comparison: Comparison) -> None:
    """Print what changed since an earlier review, and why that may mean nothing."""
    from poolkit.show import tables

    console.print()
    print_table(console, tables.changes(comparison))
    if comparison.caution:
        say(console, f"caution: {comparison.caution}", indent="  ")


def print_outlooks(console: Console, outlooks: Mapping[str, Outlook]) -> None:
    """Print when sizes run out, the soonest of them, and what a forecast does not know."""
    from poolkit.show import outlook, tables

    console.print()
    print_table(console, tables.outlooks(outlooks))
    say(console, outlook.valid(outlooks), indent="  ")
    say(console, outlook.MISSES, style="dim", indent="  ")


def print_doubts(console: Console, recommendations: Sequence[Recommendation]) -> None:
    """Print each failed check below the table: what was seen, and what to do next."""
    for r in recommendations:
        for check in r.failed_checks:
            name = check.name.replace("_", " ")
            seen = f"{r.target}: check {name} failed: {check.seen}"
            say(console, seen, indent="  ", bold=len(r.target) + 1)
            say(console, f"  next: {check.next}", indent="  ")


def ending(recommendation: Recommendation) -> str:
    """How a target ended, in a line: the size and how sure it is, or why there is none."""
    r, sure = recommendation, trust.how_sure(recommendation)[2:]
    if r.recommended_size is not None and r.status == "done":
        return f"{units.plural(r.recommended_size, 'connection')}, {sure}"
    return "; ".join([sure, *(check.seen for check in r.failed_checks[:1])])


def print_endings(
    console: Console, recommendations: Sequence[Recommendation], code: ExitCode
) -> None:
    """Print a line for each target, and what the exit code means."""
    console.print()
    for r in recommendations:
        say(console, f"{r.target}: {ending(r)}", indent="  ", bold=len(r.target) + 1)
    print_code(console, code)


def print_code(console: Console, code: ExitCode) -> None:
    """Print what an exit code means."""
    say(console, f"exit code {int(code)}: {code.meaning}", indent="  ")
