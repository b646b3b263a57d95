"""`poolkit sweep` and `poolkit size`: one target."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from poolkit.cli.asking import Rate, Wait, asked
from poolkit.cli.options import (
    Budget,
    Name,
    Out,
    Seed,
    TargetsFile,
    checked_budget,
    checked_seed,
    checked_sizes,
)
from poolkit.cli.trouble import told

if TYPE_CHECKING:
    from rich.console import Console

    from poolkit.records import Recommendation
    from poolkit.targets import Target

Sizes = Annotated[
    str | None,
    typer.Option(
        "--sizes",
        metavar="1,2,4",
        help="Pool sizes to measure, instead of choosing them.",
        show_default=False,
    ),
]
Events = Annotated[
    bool, typer.Option("--events", help="Print one JSON line an event, nothing else.")
]
HiddenEvents = Annotated[bool, typer.Option("--events", hidden=True)]


@told()
def sweep(
    name: Name,
    targets: TargetsFile,
    out: Out,
    sizes: Sizes = None,
    budget: Budget = None,
    seed: Seed = None,
    rate: Rate = None,
    wait: Wait = None,
    events: Events = False,
) -> None:
    """Measure throughput over pool size, and read the knee from the curve.

    Writes NAME.trials.jsonl and NAME.sizing.json to DIR. Exit code 4: no size carries the target
    rate; 3: a brake stopped it; 130: cancelled. The finished trials are kept, and the same command
    resumes.
    """
    if events:
        _print_events("sweep", name, targets, out, sizes, budget, seed, rate, wait)
    target = _checked(name, targets, out, sizes, budget, seed, rate, wait)
    from poolkit.cli import consoles, tables
    from poolkit.errors import ExitCode
    from poolkit.events import Event, Sized
    from poolkit.measure.runner import Child, command, watch
    from poolkit.records import Sizing

    console = consoles.results()
    screen = consoles.screen(console)
    found: list[Sizing] = []

    def see(event: Event) -> None:
        if isinstance(event, Sized):
            found.append(event.sizing)
        screen.see(event)

    words = command(
        "sweep",
        name,
        targets,
        out,
        sizes=checked_sizes(sizes, target.max_size),
        budget=budget,
        seed=seed,
        rate=rate,
        wait=wait,
    )
    with screen.measuring(name):
        child = Child(words, target=name, secrets=target.secrets)
        code = watch(child, see, lambda: screen.cancelling() if child.is_cancelled else None)
    if found:
        console.print()
        console.print(tables.curve(found[-1]))
        screen.say(tables.knees(found[-1]))
        screen.say(f"trials: {out / f'{name}.trials.jsonl'}")
    raise typer.Exit(int(ExitCode.CANCELLED if child.is_cancelled else code))


@told()
def size(
    name: Name,
    targets: TargetsFile,
    out: Out,
    budget: Budget = None,
    seed: Seed = None,
    rate: Rate = None,
    wait: Wait = None,
    events: HiddenEvents = False,
) -> None:
    """Sweep one target, size its pool, verify the size under load, and print the parameters.

    Adds the result to recommended.json, .csv, .md and pools.py in DIR. Exit code 4: no size carries
    the target rate; 1: the size is in doubt; 3: a brake stopped it; 130: cancelled.
    """
    if events:
        _print_events("size", name, targets, out, None, budget, seed, rate, wait)
    target = _checked(name, targets, out, None, budget, seed, rate, wait)
    from poolkit.cli import consoles
    from poolkit.review.outcome import measure_target

    console = consoles.results()
    screen = consoles.screen(console)
    outcome = measure_target(
        target, targets, out, screen, budget=budget, seed=seed, rate=rate, wait=wait
    )
    recommendation = outcome.recommendation
    _write(out, recommendation, target, budget, seed)
    _print(console, recommendation)
    if recommendation.status == "done":
        screen.say(f"written: {out / 'recommended.md'}, {out / 'pools.py'}")
    raise typer.Exit(int(outcome.exit_code))


def _print_events(
    mode: Literal["sweep", "size"],
    name: str,
    targets: Path,
    out: Path,
    sizes: str | None,
    budget: float | None,
    seed: int | None,
    rate: float | None,
    wait: float | None,
) -> None:
    from poolkit.cli.in_process import print_events

    code = print_events(
        mode,
        name,
        targets,
        out,
        sizes=sizes,
        budget=budget,
        seed=seed,
        rate=rate,
        wait=wait,
    )
    raise typer.Exit(int(code))


def _checked(
    name: str,
    targets: Path,
    out: Path,
    sizes: str | None,
    budget: float | None,
    seed: int | None,
    rate: float | None,
    wait: float | None,
) -> Target:
    """The target, once nothing is left that would be refused; BadInput before anything is sent."""
    from poolkit.review.run import check_before
    from poolkit.targets import load_targets

    target = asked(load_targets(targets, (name,))[name], rate, wait)
    checked_sizes(sizes, target.max_size)
    checked_budget(budget)
    checked_seed(seed)
    check_before({name: target}, out)
    return target


def _write(
    out: Path,
    recommendation: Recommendation,
    target: Target,
    budget: float | None,
    seed: int | None,
) -> None:
    """Put the result in place of the target's former one; other targets of the folder stay.

    A finished result is not given up for an attempt that found none.
    """
    from poolkit.errors import BadInput
    from poolkit.review.export import read_recommended, write_recommended
    from poolkit.review.manifest import read_manifest, write_manifest
    from poolkit.review.run import parameters_of

    entries: dict[str, Recommendation] = {}
    settings: dict[str, Any] = {}
    with contextlib.suppress(BadInput):  # there is none yet
        entries = {entry.target: entry for entry in read_recommended(out).targets}
        settings = dict(read_manifest(out).parameters.get("targets", {}))
    former = entries.get(target.name)
    if former is not None and former.status == "done" and recommendation.status != "done":
        return
    entries[target.name] = recommendation
    settings[target.name] = target.public_settings()
    write_recommended(out, tuple(entries.values()), (target,))
    write_manifest(out, parameters_of("size", budget, seed, settings))


def _print(console: Console, recommendation: Recommendation) -> None:
    from poolkit.cli import tables

    console.print()
    console.print(tables.recommended((recommendation,)))
    console.print()
    if recommendation.parameters:
        console.print(tables.parameters(recommendation))
        console.print()
    tables.print_doubts(console, (recommendation,))
