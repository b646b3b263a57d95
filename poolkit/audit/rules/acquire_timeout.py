"""A wait for a connection that nothing ends."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from poolkit.audit.finding import Rule, Settings, Violation
from poolkit.audit.module import Module
from poolkit.audit.syntax import hides_arguments, is_none, keyword, name_of

_ENDS = frozenset({"wait_for", "timeout", "timeout_at", "fail_after", "move_on_after"})


def _find(module: Module, settings: Settings) -> Iterator[Violation]:
    for call in module.calls:
        library = module.pool_asked(call)
        if (
            library is not None
            and library.acquire_timeout
            and name_of(call.func) in library.acquires
            and _is_missing(call, library.acquire_timeout)
            and not hides_arguments(call)
            and not _is_ended_from_outside(module, call)
        ):
            yield Violation(call, "acquire() without a timeout waits for a connection without end")
    for made in module.made:
        for name, message in made.library.endless.items():
            if is_none(made.keyword(name)):
                yield Violation(made.call, message)
        if _is_endless(module, made.keyword("timeout")):
            yield Violation(made.call, "this timeout lets a call wait for a connection without end")


def _is_missing(call: ast.Call, name: str) -> bool:
    argument = keyword(call, name)
    return argument is None or is_none(argument)


def _is_ended_from_outside(module: Module, call: ast.Call) -> bool:
    """Whether `wait_for(...)` or `async with timeout(...)` stands around it."""
    for outer in module.around(call):
        others: list[ast.expr] = []
        if isinstance(outer, ast.Call):
            others = [outer]
        elif isinstance(outer, ast.With | ast.AsyncWith):
            others = [item.context_expr for item in outer.items]
        if any(isinstance(one, ast.Call) and name_of(one.func) in _ENDS for one in others):
            return True
    return False


def _is_endless(module: Module, timeout: ast.expr | None) -> bool:
    """`ClientTimeout(total=None)` without a `connect`: neither the default nor an own limit."""
    return (
        isinstance(timeout, ast.Call)
        and module.meaning(timeout.func) == ("aiohttp", "ClientTimeout")
        and not hides_arguments(timeout)
        and not timeout.args
        and is_none(keyword(timeout, "total"))
        and _is_missing(timeout, "connect")
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
