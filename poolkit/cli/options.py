"""The options that several commands share, and what they ask for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.models import OptionInfo

from poolkit.errors import BadInput
from poolkit.targets import Target, load_targets

if TYPE_CHECKING:
    from poolkit.measure.child import Order


# What options are about, as the headings of `--help`.
TARGET, ASKED, LOAD, RESULTS = "Target", "What is asked of it", "Load", "Results"
GATED = "Gates"


def option(name: str, metavar: str, words: str, group: str, **more: Any) -> OptionInfo:
    """An option that takes a value and shows no default."""
    info: OptionInfo = typer.Option(
        name, metavar=metavar, help=words, show_default=False, rich_help_panel=group, **more
    )
    return info


def flag(name: str, words: str, group: str) -> OptionInfo:
    """An option that takes none."""
    info: OptionInfo = typer.Option(name, help=words, show_default=False, rich_help_panel=group)
    return info


def out_option(default: str) -> OptionInfo:
    """The folder for the results, which has a name of its own where none is given."""
    words = f"Folder for the results; finished trials in it count. (default: {default})"
    return option("--out", "DIR", words, RESULTS)


Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The target, as named in FILE.", rich_help_panel=TARGET),
]
TargetsFile = Annotated[
    Path,
    option("--targets", "FILE", "targets.toml: endpoints and what is asked of them.", TARGET),
]
Budget = Annotated[
    float | None,
    option("--budget", "SECONDS", "Load for each target, at most. (default: 45)", LOAD),
]
SweepBudget = Annotated[
    float | None, option("--budget", "SECONDS", "Load, at most. (default: 20)", LOAD)
]
Seed = Annotated[
    int | None, option("--seed", "N", "Seed of the arrivals and of the order of sizes.", LOAD)
]
Rate = Annotated[
    float | None,
    option("--rate", "CALLS", "Calls per second, instead of target_rate in FILE.", ASKED),
]
Wait = Annotated[
    float | None,
    option(
        "--wait",
        "SECONDS",
        "Longest wait for a connection that 99 of 100 calls may see, instead of wait_p99 in FILE.",
        ASKED,
    ),
]
Demand = Annotated[
    list[str] | None,
    option(
        "--demand",
        "[TARGET=]FILE",
        "Demand so far, to say when the size runs out: a CSV of weekly peaks, `week,rate`, or of a "
        "finer series; or `prometheus`, to ask the one that the target names (104 weeks of its "
        "rate's query, or of its production pool); for each target one.",
        ASKED,
    ),
]
Again = Annotated[
    bool,
    flag(
        "--again",
        "Measure anew what DIR holds; that is kept in DIR/before and compared with.",
        RESULTS,
    ),
]
NoPush = Annotated[
    bool,
    flag(
        "--no-push",
        "Send no more than the target rate (with its growth), as push = false in FILE: the size is "
        "verified, but where throughput ends stays unknown.",
        LOAD,
    ),
]
Cold = Annotated[
    bool,
    flag(
        "--cold",
        "Also begin with empty pools at the target rate, as replicas after a restart do, and say "
        "how they should begin; up to 15 s more load.",
        LOAD,
    ),
]
# A sweep takes it only to say why it cannot.
HiddenNoPush = Annotated[bool, typer.Option("--no-push", hidden=True)]
Sizes = Annotated[
    str | None, option("--sizes", "1,2,4", "Pool sizes to measure, instead of choosing them.", LOAD)
]
Generators = Annotated[
    int | None,
    option(
        "--fleet",
        "N",
        "Send the load from N processes, each a replica with pools of its own, instead of workers "
        "in FILE's [fleet]. (default: 1)",
        LOAD,
    ),
]
Scheduler = Annotated[
    str | None,
    option(
        "--scheduler",
        "ADDRESS",
        "Run them on the workers of this Dask scheduler, tcp://127.0.0.1:8786 or tls://HOST:8786, "
        "instead of on this machine.",
        LOAD,
    ),
]
FailOn = Annotated[
    str | None,
    option(
        "--fail-on",
        "GATES",
        "Exit 1 unless these gates pass: size, plateau and p99 fail where the figure got worse and "
        "the intervals are apart (plateau=5% forgives as much), headroom=20% where less is left. "
        "No baseline is not a pass.",
        GATED,
    ),
]
WaiversFile = Annotated[
    Path | None,
    option(
        "--waivers",
        "FILE",
        "TOML of failures that somebody answers for: [[waiver]] with target, gate, owner, reason "
        "and expires, the last day that it counts.",
        GATED,
    ),
]
Summary = Annotated[
    Path | None,
    option("--summary", "FILE", "Write the gates and what changed as Markdown.", GATED),
]
JUnit = Annotated[
    Path | None,
    option("--junit", "FILE", "Write the gates as JUnit XML, a test for each target.", GATED),
]
Events = Annotated[
    bool, flag("--events", "Print one JSON line for each event, and nothing else.", RESULTS)
]
HiddenEvents = Annotated[bool, typer.Option("--events", hidden=True)]
# Of a child, with --events: verify this size once, and nothing else.
HiddenVerify = Annotated[int | None, typer.Option("--verify", hidden=True)]


def folder(out: Path | None, command: str, name: str = "") -> Path:
    """The folder for the results: as given, or one of the command's and the target's own."""
    return Path("-".join(filter(None, ("poolkit", command, name)))) if out is None else out


def checked(order: Order, sizes: str | None = None) -> tuple[Target, Order]:
    """The order's target, asked what the order asks, and the order with these sizes.

    Raises:
        BadInput: there is no such target, or options hold what cannot be meant.
    """
    target = load_targets(order.targets, (order.name,))[order.name]
    largest = target.max_size
    _check_all(
        partial(_check_positive, "--rate", "target_rate", order.rate),
        partial(_check_positive, "--wait", "wait_p99", order.wait),
        partial(checked_sizes, sizes, largest),
        partial(_check_budget, order.budget),
        partial(_check_seed, order.seed),
        partial(checked_sizes, None if order.verify is None else str(order.verify), largest),
        order.generators,
    )
    return order.asked_of(target), replace(order, sizes=checked_sizes(sizes, largest))


def check_load(budget: float | None, seed: int | None) -> None:
    """BadInput where either cannot be meant."""
    _check_all(partial(_check_budget, budget), partial(_check_seed, seed))


def _check_all(*checks: Callable[[], object]) -> None:
    """Run every check; the mistakes of several are raised as one BadInput."""
    found: list[BadInput] = []
    for check in checks:
        try:
            check()
        except BadInput as error:
            found.append(error)
    if len(found) == 1:
        raise found[0]
    if found:
        lines = [f"{len(found)} mistakes in the options"]
        lines += [f"  {error.cause}; {error.remedy}" for error in found]
        raise BadInput("\n".join(lines), "correct them all; no load was sent")


def _check_positive(option: str, key: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise BadInput(
            f"{option} must be more than 0, got {value:g}",
            f"leave it out for the {key} of the file",
        )


def _check_budget(budget: float | None) -> None:
    if budget is not None and not (math.isfinite(budget) and 1.0 <= budget <= 3600.0):
        raise BadInput(
            f"--budget must be from 1 to 3600 s, got {budget:g}", "leave it out for the default"
        )


def _check_seed(seed: int | None) -> None:
    if seed is not None and seed < 0:
        raise BadInput(f"--seed must be 0 or more, got {seed}", "leave it out for the default")


def checked_sizes(text: str | None, max_size: int) -> tuple[int, ...]:
    """Pool sizes from `1,2,4`, each once and in order; empty when none are given.

    Raises:
        BadInput: one is not a whole number from 1 to `max_size`.
    """
    if text is None:
        return ()
    sizes = []
    for word in text.split(","):
        digits = word.strip()
        is_whole = digits.isascii() and digits.isdigit() and len(digits) < 10
        if not (is_whole and 1 <= int(digits) <= max_size):
            raise BadInput(
                f"--sizes must be whole numbers from 1 to max_size = {max_size}, got {word!r}",
                "write them like this: --sizes 1,2,4,8",
            )
        sizes.append(int(digits))
    return tuple(sorted(set(sizes)))
