"""httpx with fewer kept connections than open ones."""

from __future__ import annotations

from collections.abc import Iterator

from poolkit.audit.finding import Rule, Seen, Settings
from poolkit.audit.module import Module, hides_arguments, is_none, keyword, number

_DEFAULT_KEPT = 20.0  # httpx 0.28: Limits(max_connections=100, max_keepalive_connections=20)


def _find(module: Module, settings: Settings) -> Iterator[Seen]:
    for call in module.calls:
        # httpx2 counts idle connections, so that a lower limit does there what it says.
        name = module.qualified(call.func) or ""
        if not (name.startswith("httpx.") and name.endswith(".Limits")):
            continue
        kept_as, most_as = (
            keyword(call, "max_keepalive_connections"),
            keyword(call, "max_connections"),
        )
        if hides_arguments(call) or call.args or most_as is None or is_none(kept_as):
            continue
        kept = number(kept_as) if kept_as is not None else _DEFAULT_KEPT
        most = number(most_as)
        if kept is not None and most is not None and kept < most:
            shown = f"{kept:g}" + ("" if kept_as is not None else " (the default)")
            yield Seen(
                call, f"max_keepalive_connections = {shown} below max_connections = {most:g}"
            )


RULE = Rule(
    name="httpx-keepalive-below-max",
    what="httpx keeps fewer connections than it may open.",
    why=(
        "httpx 0.28 compares the keep-alive limit with all open connections: once more than that "
        "many are open, each finished request closes its connection and the next one dials."
    ),
    cure="limits = httpx.Limits(max_connections=40, max_keepalive_connections=40)\n",
    notebook="04_keepalive_and_stale.ipynb",
    find=_find,
)
