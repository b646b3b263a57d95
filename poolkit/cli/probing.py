"""`poolkit probe`: what ends a connection of one target, and what connections cost."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from poolkit.cli.options import RESULTS, HiddenEvents, Name, TargetsFile, flag, option
from poolkit.cli.terminal import error_boundary

if TYPE_CHECKING:
    from rich.console import Console

    from poolkit.errors import ExitCode
    from poolkit.events import Emit
    from poolkit.probes import Probe
    from poolkit.probes.run import Part, ProbeRun
    from poolkit.targets import Target

PARTS_OPTION = "What is looked at"
ProbeOut = Annotated[
    Path | None,
    option(
        "--out",
        "DIR",
        "Folder for NAME.probe.json, in place of an earlier one; without it the result is printed "
        "alone. The next review in DIR takes it over, and a size recommended there is used.",
        RESULTS,
    ),
]
Cap = Annotated[
    float | None,
    option(
        "--cap",
        "SECONDS",
        "Longest time that a connection is left idle, 1 to 3600. (default: 75)",
        PARTS_OPTION,
    ),
]
Only = Annotated[
    list[str] | None,
    option(
        "--only",
        "PART",
        "One of idle, costs, stale, dns; may be given more than once. (default: all)",
        PARTS_OPTION,
    ),
]
InTransaction = Annotated[
    bool,
    flag("--in-transaction", "Also sessions that idle in a transaction.", PARTS_OPTION),
]


@error_boundary("nothing was written; the same command begins anew")
def probe(
    name: Name,
    targets: TargetsFile,
    only: Only = None,
    cap: Cap = None,
    in_transaction: InTransaction = False,
    out: ProbeOut = None,
    events: HiddenEvents = False,
) -> None:
    """Find out what ends a target's connections, what they cost, and the settings that follow.

    Takes about twice the time after which the server closes an idle connection, or twice --cap. The
    target is never restarted: a relay on this machine cuts connections.

    What is sent, never on more connections than max_size:

    idle: up to 40 connections of one or two calls each, one that calls every 0.4 s, and 400 calls
    that prove the value. With GET, HEAD and OPTIONS up to 2,200 calls more, at no more than
    target_rate, one connection at a time.

    costs: some hundred calls one after the other and 60 dials. For a database up to 25 s at no more
    than target_rate, from as many callers as the pool has connections; the first call that fails
    ends it.

    stale (what a dead connection does to a call) and dns (a changed address): about a hundred calls
    each.
    """
    from poolkit.cli import terminal
    from poolkit.cli.closing import print_code
    from poolkit.errors import ExitCode
    from poolkit.events import Step
    from poolkit.measure.reporter import Reporter
    from poolkit.measure.store import prepare_out
    from poolkit.probes import write
    from poolkit.probes.run import CAP, ProbeRun
    from poolkit.targets import load_targets

    reporter = Reporter(name)

    def run(emit: Emit) -> tuple[Probe, Target]:
        parts = _checked_parts(only)
        target = load_targets(targets, (name,))[name]
        if out is not None:
            prepare_out(out)
        reporter.about(target)
        made = ProbeRun(
            target,
            cap=CAP if cap is None else cap,
            only=parts,
            size=_recommended_size(out, name),
            in_transaction=in_transaction,
            on_step=lambda what, limit: emit(Step(target=name, what=what, limit=limit)),
        )
        _carry_out(made)
        return made.probe, target

    def work() -> ExitCode:
        found, target = run(reporter.emit)
        if out is not None:
            write(out, found, target)
        return _code(found)

    if events:
        raise typer.Exit(int(reporter.run(work)))
    console = terminal.results()
    screen = terminal.screen(console)
    with screen.measuring(name):
        found, target = run(screen.see)
    _print(console, found, target)
    if out is not None:
        file = out / f"{name}.probe.json"
        earlier = ", in place of an earlier one" if file.exists() else ""
        screen.say(f"written: {write(out, found, target)}{earlier}")
    if code := _code(found):
        print_code(console, code)
    if code == ExitCode.CANCELLED:
        screen.say("what was found stands above; the same command begins anew")
    raise typer.Exit(int(code))


def _carry_out(run: ProbeRun) -> None:
    """Probe until done, cancelled or late; what was found is kept in `run`."""
    import asyncio

    from poolkit.errors import ExitCode
    from poolkit.measure.local import local
    from poolkit.measure.loop import run_until_over

    async def work() -> ExitCode:
        await run.run_to_deadline()
        return ExitCode.DONE

    # asyncio's own loop: the one that the probes' figures were checked on.
    loop = local(asyncio.SelectorEventLoop)
    run_until_over(work(), lambda _reason: run.stop(), run.deadline, new_loop=loop)


def _code(found: Probe) -> ExitCode:
    from poolkit.errors import ExitCode

    if found.status == "cancelled":
        return ExitCode.CANCELLED
    if found.status == "stopped":
        return ExitCode.STOPPED
    is_random = any(limit.kind == "random" for limit in found.idle)
    is_unproven = found.proof is not None and not found.proof.holds
    return ExitCode.FINDINGS if is_random or is_unproven else ExitCode.DONE


def _checked_parts(only: list[str] | None) -> tuple[Part, ...]:
    from poolkit.errors import BadInput
    from poolkit.probes.run import PARTS

    for part in only or ():
        if part not in PARTS:
            raise BadInput(
                f"--only must be one of {', '.join(PARTS)}, got {part!r}",
                "give it once for each part: --only idle --only costs",
            )
    return cast("tuple[Part, ...]", tuple(only)) if only else PARTS


def _recommended_size(out: Path | None, name: str) -> int | None:
    """The size that a review in the same folder recommends; None: there is none."""
    from poolkit.errors import BadInput
    from poolkit.review.adding import read_entries

    if out is None:
        return None
    with contextlib.suppress(BadInput):
        entry = read_entries(out).known.get(name)
        return None if entry is None else entry.recommended_size
    return None


def _print(console: Console, found: Probe, target: Target) -> None:
    from poolkit.cli.printed import print_table
    from poolkit.cli.progress import say
    from poolkit.redact import Redactor
    from poolkit.show.tables.of_probe import tables_of_probe

    redact = Redactor(target.secrets).text
    for table in tables_of_probe(found):
        console.print()
        print_table(console, table, redact)
    skipped = dict(found.skipped)
    if found.costs is not None:
        skipped |= found.costs.skipped
    if skipped:
        console.print()
    for what, why in skipped.items():
        said = redact(f"not looked at: {what.replace('_', ' ')}: {why}")
        say(console, said, style="dim", indent="  ")
    if found.doubts:
        console.print()
    for doubt in found.doubts:
        say(console, redact(doubt.seen), style="bold", indent="  ")
        say(console, f"  next: {redact(doubt.next)}", indent="  ")
