"""A wait for a connection that nothing ends."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from poolkit.audit.finding import Rule, Seen, Settings
from poolkit.audit.module import Module, hides_arguments, is_none, keyword

_ENDS = frozenset({"wait_for", "timeout", "timeout_at", "fail_after", "move_on_after"})


def _find(module: Module, settings: Settings) -> Iterator[Seen]:
    yield from _asyncpg(module)
    for made in module.made:
        if made.maker.driver == "httpx" and is_none(made.keyword("timeout")):
            yield Seen(made.call, "timeout=None also waits for a connection without end")
        if made.maker.driver == "sqlalchemy" and is_none(made.keyword("pool_timeout")):
            yield Seen(made.call, "pool_timeout=None waits for a connection without end")
        if made.maker.driver == "aiohttp" and _is_endless(module, made.keyword("timeout")):
            yield Seen(made.call, "this timeout lets a call wait for a connection without end")


def _asyncpg(module: Module) -> Iterator[Seen]:
    for call in module.calls:
        if (
            isinstance(call.func, ast.Attribute)
            and call.func.attr == "acquire"
            and module.kinds.get(ast.unparse(call.func.value)) == "asyncpg"
            and (keyword(call, "timeout") is None or is_none(keyword(call, "timeout")))
            and not hides_arguments(call)
            and not _is_ended_from_outside(module, call)
        ):
            yield Seen(call, "acquire() without a timeout waits for a connection without end")


def _is_ended_from_outside(module: Module, call: ast.Call) -> bool:
    """Whether `wait_for(...)` or `async with timeout(...)` stands around it."""
    for outer in module.around(call):
        calls: list[ast.expr] = []
        if isinstance(outer, ast.Call):
            calls = [outer]
        elif isinstance(outer, ast.With | ast.AsyncWith):
            calls = [item.context_expr for item in outer.items]
        for other in calls:
            name = getattr(other, "func", None)
            if getattr(name, "attr", getattr(name, "id", "")) in _ENDS:
                return True
    return False


def _is_endless(module: Module, timeout: ast.expr | None) -> bool:
    """`ClientTimeout(total=None)` without a `connect`, or the old `timeout=None` for no timeout."""
    if not isinstance(timeout, ast.Call):
        return False
    name = module.qualified(timeout.func) or ""
    return (
        name.startswith("aiohttp.")
        and name.endswith(".ClientTimeout")
        and not hides_arguments(timeout)
        and not timeout.args
        and (keyword(timeout, "total") is not None and is_none(keyword(timeout, "total")))
        and (keyword(timeout, "connect") is None or is_none(keyword(timeout, "connect")))
    )


RULE = Rule(
    name="no-acquire-timeout",
    what="Nothing ends the wait for a connection.",
    why=(
        "When the pool is exhausted, requests pile up behind it instead of failing in time: memory "
        "grows, and the service answers long after its callers have gone."
    ),
    cure="async with pool.acquire(timeout=1.0) as connection:\n    ...\n",
    notebook="06_diagnose.ipynb",
    find=_find,
)
