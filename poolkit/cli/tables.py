"""The tables that the commands print; they fit into 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from poolkit import units
from poolkit.cli.progress import printable
from poolkit.records import Check, CurvePoint, Knee, Recommendation, Sizing
from poolkit.review.compare import Comparison, Difference
from poolkit.show import narration


def recommended(recommendations: Sequence[Recommendation]) -> Table:
    """One row a target: the size to set, what bounds it, and what it was seen to do."""
    table = _table("Recommended connections in each pool")
    table.add_column("target", overflow="fold")
    table.add_column("size", justify="right", style="bold", no_wrap=True)
    table.add_column("verdict")
    for column in ("plateau", "carried", "p99 wait", "knee (95 %)"):
        table.add_column(column, justify="right")
    for r in recommendations:
        seen = r.verification
        carried = units.NONE
        if seen is not None:
            carried = units.short_rate(seen.achieved_rate)
            carried += "" if narration.is_verified(r) else ", in doubt"
        table.add_row(
            r.target,
            units.NONE if r.recommended_size is None else str(r.recommended_size),
            (r.verdict or units.NONE).replace("_", " ") if r.status == "done" else r.status,
            units.NONE if r.plateau is None else units.short_rate(r.plateau.throughput),
            carried,
            units.milliseconds(seen.wait_p99) if seen is not None else units.NONE,
            _knee(r.knees),
        )
    return table


def parameters(recommendation: Recommendation) -> Table:
    """The parameters of the client library, each with its value and reason."""
    table = _table(f"{recommendation.target}: parameters for {recommendation.driver}, each pool")
    table.add_column("parameter", no_wrap=True)
    table.add_column("value", style="bold", no_wrap=True, justify="right")
    table.add_column("because", ratio=1)
    for p in recommendation.parameters:
        value = f"{p.value:g}" if isinstance(p.value, float) else str(p.value)
        unit = p.unit if p.unit == "s" else ""
        table.add_row(p.name, f"{value} {unit}".strip(), Text(f"{p.because} ({p.source})"))
    return table


def curve(sizing: Sizing) -> Table:
    """What a sweep saw at each pool size."""
    table = _table(f"{sizing.target}: throughput over pool size")
    for column in ("connections", "calls/s", "95 % interval", "mean hold", "repeats"):
        table.add_column(column, justify="right")
    for point in sizing.points:
        table.add_row(*_curve_row(point))
    return table


def knees(sizing: Sizing) -> str:
    """The knees by each rule, and the verdict, in lines of text."""
    lines = [f"knee by {k.rule}: {_knee((k,))}" for k in sizing.knees]
    lines.append(f"verdict {sizing.verdict.name}: {sizing.verdict.evidence}")
    return "\n".join(lines)


def since(comparison: Comparison) -> Table:
    """What changed since an earlier review."""
    table = _table(f"Changes since the review of {comparison.before[:10]}")
    table.add_column("target", overflow="fold")
    table.add_column("quantity")
    for column in ("then", "now"):
        table.add_column(column, justify="right")
    table.add_column("larger than the noise")
    for d in comparison.differences:
        then, now = _quantity(d, d.before), _quantity(d, d.after)
        table.add_row(d.target, d.quantity, then, now, _noise(d))
    return table


def checks(found: Sequence[Check]) -> Table:
    """What was looked at, and what to do where it is not well."""
    table = _table(None)
    table.add_column("", no_wrap=True)
    table.add_column("check", no_wrap=True)
    table.add_column("seen", ratio=1)
    for check in found:
        seen = Text(check.seen)
        if not check.passed:
            seen.append(f"\n{check.why}\nnext: {check.next}", style="dim")
        table.add_row("ok" if check.passed else Text("no", style="bold red"), check.name, seen)
    return table


def print_doubts(console: Console, recommendations: Sequence[Recommendation]) -> None:
    """Print each failed check below the table: what was seen, and what to do next."""
    for r in recommendations:
        for check in r.checks:
            if check.passed:
                continue
            name = check.name.replace("_", " ")
            text = Text.assemble(
                (f"{r.target}: ", "bold"), printable(f"check {name} failed: {check.seen}")
            )
            console.print(text, highlight=False)
            console.print(Padding(Text(f"next: {printable(check.next)}"), (0, 0, 0, 2)))


def _table(title: str | None) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )


def _curve_row(point: CurvePoint) -> tuple[str, ...]:
    return (
        str(point.pool_size),
        units.number(point.throughput),
        units.interval(point.interval95),
        units.milliseconds(point.hold_time),
        str(point.repeats),
    )


def _knee(knees: Sequence[Knee]) -> str:
    """The first knee (the one drawn on the charts) with its interval."""
    first = next(iter(knees), None)
    if first is None:
        return units.NONE
    if first.size is None:
        return "none seen"
    return f"{units.number(first.size, 2)} ({units.interval(first.interval95, 2)})"


def _quantity(difference: Difference, value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or units.NONE
    if difference.unit == "s":
        return units.milliseconds(value)
    if difference.unit == "calls/s":
        return units.short_rate(value)
    return units.number(value)


def _noise(difference: Difference) -> str:
    if difference.is_larger_than_noise is None:
        return f"cannot say: {difference.note}" if difference.note else "cannot say"
    return "yes" if difference.is_larger_than_noise else "no"
