"""The options that several commands share, and what they ask for."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.models import OptionInfo

from poolkit.errors import BadInput
from poolkit.targets import Target, load_targets

if TYPE_CHECKING:
    from poolkit.measure.child import Order


def option(name: str, metavar: str, words: str, **more: Any) -> OptionInfo:
    """An option that takes a value and shows no default."""
    info: OptionInfo = typer.Option(name, metavar=metavar, help=words, show_default=False, **more)
    return info


Name = Annotated[str, typer.Argument(help="Name of the target in FILE.", show_default=False)]
TargetsFile = Annotated[
    Path, option("--targets", "FILE", "targets.toml: the endpoints and what is asked of them.")
]
Out = Annotated[
    Path,
    option("--out", "DIR", "Folder for the results; finished trials in it are resumed."),
]
Budget = Annotated[
    float | None,
    option(
        "--budget", "SECONDS", "Seconds of load for each target, at most (sweep: 20, size: 45)."
    ),
]
Seed = Annotated[int | None, option("--seed", "N", "Seed of arrivals and of the order of sizes.")]
Rate = Annotated[
    float | None,
    option("--rate", "CALLS", "Calls per second to sustain, instead of the target_rate in FILE."),
]
Wait = Annotated[
    float | None,
    option(
        "--wait",
        "SECONDS",
        "Longest good p99 wait for a connection, instead of the wait_p99 in FILE.",
    ),
]
Again = Annotated[
    bool,
    typer.Option(
        "--again",
        help="Measure anew what DIR holds already, keep that in DIR/before, and compare with it.",
        show_default=False,
    ),
]
NoPush = Annotated[
    bool,
    typer.Option(
        "--no-push",
        help="Send no more load than the target rate (with its growth), as push = false in FILE: "
        "a size without the plateau and the knees.",
        show_default=False,
    ),
]
# A sweep takes it only to say why it cannot.
HiddenNoPush = Annotated[bool, typer.Option("--no-push", hidden=True)]
Sizes = Annotated[
    str | None, option("--sizes", "1,2,4", "Pool sizes to measure, instead of choosing them.")
]
Events = Annotated[
    bool, typer.Option("--events", help="Print one JSON line an event, nothing else.")
]
HiddenEvents = Annotated[bool, typer.Option("--events", hidden=True)]


def checked(order: Order, sizes: str | None = None) -> tuple[Target, Order]:
    """The order's target, asked what the order asks, and the order with these sizes.

    Raises:
        BadInput: there is no such target, or an option holds what cannot be meant.
    """
    target = load_targets(order.targets, (order.name,))[order.name]
    for option, key, value in (
        ("--rate", "target_rate", order.rate),
        ("--wait", "wait_p99", order.wait),
    ):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise BadInput(
                f"{option} must be more than 0, got {value:g}",
                f"leave it out for the {key} of the file",
            )
    chosen = checked_sizes(sizes, target.max_size)
    checked_budget(order.budget)
    checked_seed(order.seed)
    return order.asked_of(target), replace(order, sizes=chosen)


def checked_budget(budget: float | None) -> float | None:
    """The budget as given; BadInput unless it is a number of seconds that a trial fits into."""
    if budget is not None and not (math.isfinite(budget) and 1.0 <= budget <= 3600.0):
        raise BadInput(
            f"--budget must be from 1 to 3600 s, got {budget:g}", "leave it out for the default"
        )
    return budget


def checked_seed(seed: int | None) -> int | None:
    """The seed as given; BadInput when it is less than 0."""
    if seed is not None and seed < 0:
        raise BadInput(f"--seed must be 0 or more, got {seed}", "leave it out for the default")
    return seed


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
        if not (digits.isascii() and digits.isdigit()) or not 1 <= int(digits) <= max_size:
            raise BadInput(
                f"--sizes must be whole numbers from 1 to max_size = {max_size}, got {word!r}",
                "write them like this: --sizes 1,2,4,8",
            )
        sizes.append(int(digits))
    return tuple(sorted(set(sizes)))
