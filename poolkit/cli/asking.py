"""`--rate` and `--wait`: another question about a target than the one in targets.toml."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from poolkit.errors import BadInput
from poolkit.targets import Target

Rate = Annotated[
    float | None,
    typer.Option(
        "--rate",
        metavar="CALLS",
        help="Calls per second to sustain, instead of the target_rate in FILE.",
        show_default=False,
    ),
]
Wait = Annotated[
    float | None,
    typer.Option(
        "--wait",
        metavar="SECONDS",
        help="Longest good p99 wait for a connection, instead of the wait_p99 in FILE.",
        show_default=False,
    ),
]


def asked(target: Target, rate: float | None, wait: float | None) -> Target:
    """The target with this rate and wait in place of its own, where they are given.

    Raises:
        BadInput: one of them is not a number above 0.
    """
    changed: dict[str, float | None] = {}
    for option, key, value in (("--rate", "target_rate", rate), ("--wait", "wait_p99", wait)):
        if value is None:
            continue
        if not (math.isfinite(value) and value > 0):
            raise BadInput(
                f"{option} must be more than 0, got {value:g}",
                f"leave it out for the {key} of the file",
            )
        changed[key] = value
    if rate is not None:
        changed["rate_from"] = None
    return target.model_copy(update=changed) if changed else target
