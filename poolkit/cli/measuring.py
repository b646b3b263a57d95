"""`poolkit sweep` and `poolkit size`: one target."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from poolkit.cli.options import (
    Again,
    Budget,
    Events,
    HiddenEvents,
    HiddenNoPush,
    Name,
    NoPush,
    Out,
    Rate,
    Seed,
    Sizes,
    TargetsFile,
    Wait,
    checked,
)
from poolkit.cli.terminal import error_boundary

if TYPE_CHECKING:
    from rich.console import Console

    from poolkit.errors import ExitCode
    from poolkit.events import Watcher
    from poolkit.measure.child import Order
    from poolkit.records import Recommendation
    from poolkit.targets import Target


@error_boundary()
def sweep(
    name: Name,
    targets: TargetsFile,
    out: Out,
    sizes: Sizes = None,
    budget: Budget = None,
    seed: Seed = None,
    rate: Rate = None,
    wait: Wait = None,
    no_push: HiddenNoPush = False,
    again: Again = False,
    events: Events = False,
) -> None:
    """Measure throughput over pool size, and read the knee from the curve.

    Writes NAME.trials.jsonl and NAME.sizing.json to DIR. Exit code 4: no size carries the target
    rate; 3: a brake stopped it; 130: cancelled. The finished trials are kept, and the same command
    resumes. In a finished DIR it measures nothing and says how old the trials are; --again measures
    anew.
    """
    from poolkit.measure.child import Order

    order = Order(
        "sweep",
        name,
        targets,
        out,
        budget=budget,
        seed=seed,
        rate=rate,
        wait=wait,
        push=not no_push,
    )
    if events:
        _print_events(order, sizes, again=again)
    from poolkit.cli.progress import knees, printable
    from poolkit.events import Sized
    from poolkit.review.outcome import carry_out
    from poolkit.show import tables

    target, order, console, screen = _prepared(order, sizes, again=again)
    latest, code = carry_out(target, order, screen)
    sized = latest.get(Sized)
    if isinstance(sized, Sized):
        console.print()
        console.print(tables.curve(sized.sizing).rich(printable))
        screen.say(knees(sized.sizing))
        screen.say(f"trials: {out / f'{name}.trials.jsonl'}")
    _leave(screen, code, again=again)


@error_boundary()
def size(
    name: Name,
    targets: TargetsFile,
    out: Out,
    budget: Budget = None,
    seed: Seed = None,
    rate: Rate = None,
    wait: Wait = None,
    no_push: NoPush = False,
    again: Again = False,
    events: HiddenEvents = False,
) -> None:
    """Sweep one target, size its pool, verify the size under load, and print the parameters.

    Adds the result to recommended.json, .csv, .md and pools.py in DIR. Exit code 4: no size carries
    the target rate; 1: the size is in doubt; 3: a brake stopped it; 130: cancelled. The same
    command resumes. In a finished DIR it measures nothing and says how old the trials are; --again
    measures anew.
    """
    from poolkit.measure.child import Order

    order = Order(
        "size",
        name,
        targets,
        out,
        budget=budget,
        seed=seed,
        rate=rate,
        wait=wait,
        push=not no_push,
    )
    if events:
        _print_events(order, again=again)
    from poolkit.cli.progress import print_changes, print_results
    from poolkit.measure.store import now
    from poolkit.records import RecommendedFile
    from poolkit.review.outcome import measure_target
    from poolkit.review.run import with_records
    from poolkit.show import tables

    target, order, console, screen = _prepared(order, again=again)
    outcome = measure_target(target, order, screen)
    recommendation = outcome.recommendation
    _write(order, recommendation, target)
    more = (tables.parameters_in_short(recommendation),) if recommendation.parameters else ()
    print_results(console, (recommendation,), more)
    if recommendation.status == "done":
        screen.say(f"written: {out / 'recommended.md'}, {out / 'pools.py'}")
    found = RecommendedFile(created=now(), targets=(recommendation,))
    if comparison := with_records(out, found, {name: target}):
        print_changes(console, comparison)
    _leave(screen, outcome.exit_code, again=again)


def _prepared(
    order: Order, sizes: str | None = None, *, again: bool = False
) -> tuple[Target, Order, Console, Watcher]:
    """The checked order and its target, and where to print; BadInput before anything is sent."""
    from poolkit.cli import terminal
    from poolkit.review.run import prepare

    target, order = checked(order, sizes)
    console = terminal.results()
    screen = terminal.screen(console)
    prepare({target.name: target}, order.out, screen, again=again)
    return target, order, console, screen


def _leave(screen: Watcher, code: ExitCode, *, again: bool) -> NoReturn:
    """End with this exit code, and say how to go on from a measurement that was cut off."""
    from poolkit.errors import ExitCode
    from poolkit.review.before import GO_ON

    if again and code in (ExitCode.CANCELLED, ExitCode.STOPPED):
        screen.say(GO_ON)
    raise typer.Exit(int(code))


def _print_events(order: Order, sizes: str | None = None, *, again: bool = False) -> None:
    """Carry the order out in this process, stdout holding its events alone."""
    from poolkit.measure.reporter import Reporter

    reporter = Reporter(order.name)

    def work() -> ExitCode:
        target, asked = checked(order, sizes)
        reporter.about(target)
        from poolkit.measure import measure
        from poolkit.review.before import set_aside

        if again:
            set_aside(asked.out, (target.name,))
        return measure(target, asked, reporter.emit, reporter.fail)

    raise typer.Exit(int(reporter.run(work)))


def _write(order: Order, recommendation: Recommendation, target: Target) -> None:
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
        entries = {entry.target: entry for entry in read_recommended(order.out).targets}
        settings = dict(read_manifest(order.out).parameters.get("targets", {}))
    former = entries.get(target.name)
    if former is not None and former.status == "done" and recommendation.status != "done":
        return
    entries[target.name] = recommendation
    settings[target.name] = target.public_settings()
    write_recommended(order.out, tuple(entries.values()), (target,))
    write_manifest(order.out, parameters_of("size", order.budget, order.seed, settings))
