"""`poolkit sweep` and `poolkit size`: one target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from poolkit.cli.options import (
    Again,
    Budget,
    Cold,
    Events,
    Generators,
    HiddenEvents,
    HiddenNoPush,
    HiddenVerify,
    Name,
    NoPush,
    Rate,
    Scheduler,
    Seed,
    Sizes,
    SweepBudget,
    TargetsFile,
    Wait,
    checked,
    folder,
    out_option,
)
from poolkit.cli.terminal import error_boundary
from poolkit.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

    from poolkit.errors import ExitCode
    from poolkit.events import Watcher
    from poolkit.measure.child import Order
    from poolkit.targets import Target


@error_boundary()
def sweep(
    name: Name,
    targets: TargetsFile,
    rate: Rate = None,
    wait: Wait = None,
    budget: SweepBudget = None,
    sizes: Sizes = None,
    seed: Seed = None,
    fleet: Generators = None,
    scheduler: Scheduler = None,
    no_push: HiddenNoPush = False,
    out: Annotated[Path | None, out_option("poolkit-sweep-NAME")] = None,
    again: Again = False,
    events: Events = False,
) -> None:
    """Measure throughput over pool size, up to where more connections bring no more.

    Writes NAME.trials.jsonl and NAME.sizing.json to DIR. What is finished there is not measured
    twice: the same command goes on from it, or says how old it is; --again measures anew.
    """
    from poolkit.measure.child import Order

    order = Order(
        "sweep",
        name,
        targets,
        folder(out, "sweep", name),
        budget=budget,
        seed=seed,
        rate=rate,
        wait=wait,
        push=not no_push,
        fleet=fleet,
        scheduler=scheduler,
    )
    if events:
        _print_events(order, sizes, again=again)
    from poolkit.cli.closing import knees
    from poolkit.cli.printed import print_table
    from poolkit.events import Sized
    from poolkit.review.outcome import carry_out
    from poolkit.show import tables

    target, order, console, screen = _prepared(order, sizes, again=again, is_named=out is not None)
    latest, code = carry_out(target, order, screen)
    sized = latest.get(Sized)
    if isinstance(sized, Sized):
        console.print()
        print_table(console, tables.curve(sized.sizing))
        screen.say(knees(sized.sizing))
        screen.say(f"written: {order.out / f'{name}.trials.jsonl'}")
    _leave(console, screen, code, again=again)


@error_boundary()
def size(
    name: Name,
    targets: TargetsFile,
    rate: Rate = None,
    wait: Wait = None,
    budget: Budget = None,
    no_push: NoPush = False,
    cold: Cold = False,
    seed: Seed = None,
    fleet: Generators = None,
    scheduler: Scheduler = None,
    out: Annotated[Path | None, out_option("poolkit-size-NAME")] = None,
    again: Again = False,
    events: HiddenEvents = False,
    verify: HiddenVerify = None,
) -> None:
    """Size the pool of one target, verify the size under load, and print what to set.

    Adds the result to recommended.json, .csv, .md and pools.py in DIR; results of other targets
    stay. What is finished there is not measured twice: the same command goes on from it, or says
    how old it is; --again measures anew.
    """
    from poolkit.measure.child import Order

    order = Order(
        "size",
        name,
        targets,
        folder(out, "size", name),
        budget=budget,
        seed=seed,
        rate=rate,
        wait=wait,
        push=not no_push,
        cold=cold,
        fleet=fleet,
        scheduler=scheduler,
        verify=verify,
    )
    if events:
        _print_events(order, again=again)
    if verify is not None:
        raise BadInput(
            "--verify N is what poolkit observe --verify tells its own child",
            "leave it out: poolkit size verifies the size that it finds",
        )
    from poolkit.cli.closing import print_changes, print_results, say_cold
    from poolkit.measure.store import now
    from poolkit.records import RecommendedFile
    from poolkit.review.adding import add_results, read_entries
    from poolkit.review.outcome import measure_target
    from poolkit.review.run import say_kept, with_records
    from poolkit.show import tables

    read_entries(order.out)  # whatever cannot be kept is told before anything is sent
    target, order, console, screen = _prepared(order, again=again, is_named=out is not None)
    outcome = measure_target(target, order, screen)
    recommendation = outcome.recommendation
    added = add_results(
        order.out, [recommendation], {name: target}, budget=order.budget, seed=order.seed
    )
    more = [tables.parameters_in_short(recommendation)] if recommendation.parameters else []
    if recommendation.cold is not None:
        more.append(tables.cold_starts_in_short(recommendation.cold))
    print_results(console, (recommendation,), more)
    say_cold(screen, (recommendation,))
    say_kept(added, screen)
    if recommendation.status == "done":
        screen.say(f"written: {order.out / 'recommended.md'}, {order.out / 'pools.py'}")
    found = RecommendedFile(created=now(), targets=(recommendation,))
    if comparison := with_records(order.out, found, {name: target}):
        print_changes(console, comparison)
    _leave(console, screen, outcome.exit_code, again=again)


def _prepared(
    order: Order, sizes: str | None = None, *, again: bool, is_named: bool
) -> tuple[Target, Order, Console, Watcher]:
    """The checked order and its target, and where to print; BadInput before anything is sent.

    Args:
        is_named: whether the user named the folder; else it is said which it is.
    """
    from poolkit.cli import terminal
    from poolkit.review.run import prepare

    target, order = checked(order, sizes)
    console = terminal.results()
    screen = terminal.screen(console)
    prepare({target.name: target}, order.out, screen, again=again)
    if not is_named:
        screen.say(f"results: {order.out}")
    return target, order, console, screen


def _leave(console: Console, screen: Watcher, code: ExitCode, *, again: bool) -> NoReturn:
    """End with this exit code, what it means, and how to go on where a measurement was cut off."""
    from poolkit.cli.closing import print_code
    from poolkit.errors import ExitCode
    from poolkit.review.before import GO_ON

    if again and code in (ExitCode.CANCELLED, ExitCode.STOPPED):
        screen.say(GO_ON)
    if code != ExitCode.DONE:
        print_code(console, code)
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
