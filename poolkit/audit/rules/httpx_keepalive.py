"""httpx with fewer kept connections than open ones."""

from __future__ import annotations

from collections.abc import Iterator

from poolkit.audit.finding import Rule, Settings, Violation
from poolkit.audit.module import Module
from poolkit.audit.syntax import hides_arguments, keyword, number

_MOST = "max_connections"
_DEFAULT = 20.0  # httpx 0.28: Limits(max_connections=100, max_keepalive_connections=20)


def _find(module: Module, settings: Settings) -> Iterator[Violation]:
    for call in module.calls:
        # httpx2 counts idle connections, so that a lower limit does there what it says.
        if module.meaning(call.func) != ("httpx", "Limits") or hides_arguments(call) or call.args:
            continue
        limit, most = keyword(call, "max_keepalive_connections"), number(keyword(call, _MOST))
        idle = _DEFAULT if limit is None else number(limit)
        if idle is not None and most is not None and idle < most:
            shown = f"{idle:g}" + ("" if limit is not None else " (the default)")
            yield Violation(call, f"max_keepalive_connections = {shown} below {_MOST} = {most:g}")


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
