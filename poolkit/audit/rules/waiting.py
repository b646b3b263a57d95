"""Waits for a connection that may never end: for a second one, or without a limit."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from poolkit.audit.finding import Violation, rule
from poolkit.audit.holding import FREES, Hold, Reached, reached, uses
from poolkit.audit.libraries import REQUESTS, Library
from poolkit.audit.module import Module
from poolkit.audit.syntax import constant, hides_arguments, is_none, keyword, name_of
from poolkit.audit.value import Value
from poolkit.audit.view import View


@rule(
    "second-acquire",
    why=(
        "When as many tasks as the pool has connections each hold one and wait for another, "
        "none can go on. With T such tasks of m connections each, T * (m - 1) + 1 are needed to "
        "be safe."
    ),
    cure=(
        "async with pool.acquire() as connection:\n"
        "    await load_order(connection)   # hand the connection on\n"
        "    await load_items(connection)\n"
    ),
    notebook="06_diagnose.ipynb",
)
def second_acquire(view: View) -> Iterator[Violation]:
    """A task asks for a second connection while it holds one of the same pool."""
    for hold in view.holds:
        yield from _beside(view, hold) if hold.value.key else ()


def _beside(view: View, hold: Hold) -> Iterator[Violation]:
    """Where a connection of the pool is asked for while one is held."""
    is_used = False
    for one in reached(view.values, view.module, hold.body, hold.name):
        if not one.through and hold.name and uses(one.call, hold.name):
            is_used = name_of(one.call.func) not in FREES
        pool = _pool_asked(view, one)
        if pool is None or pool.key != hold.value.key or one.call is hold.node:
            continue
        # Two that are open side by side will both be used; else one must have been.
        is_beside = hold.how == "with" and not one.through
        if hold.is_lazy and not is_used and not is_beside:
            continue
        # From `with x.connect() as x` on, the name of the pool means its connection.
        if ast.unparse(getattr(one.call.func, "value", one.call)) == hold.name:
            continue
        asked = ast.unparse(one.call.func)
        asked = asked if len(asked) <= _SHOWN else f"{asked[:_SHOWN]}..."
        if one.through:
            message = f"calls {one.through[0]}(), which asks for a second connection of "
            message += "the same pool while one of it is held"
        else:
            message = f"{asked}() takes a second connection while one of the same pool is held"
        yield Violation(one.first, message)
        if hold.how == "argument":
            return  # one finding a request is enough


_SHOWN = 40  # characters of a call


def _pool_asked(view: View, one: Reached) -> Value | None:
    """The session that a call takes, or the pool that it asks for one statement."""
    taken = view.values.of(one.module, one.call, one.given)
    if taken is not None and taken.role == "session":
        # A function that returns one takes it itself, and is looked into.
        is_own = view.values.function(one.module, one.call, one.given) is None
        return taken if is_own else None
    pool = view.values.pool_asked(one.module, one.call, one.given)
    if pool is None or pool.library is None:
        return None
    return pool if name_of(one.call.func) in pool.library.acquires_for_one_call else None


_ENDS = frozenset({"wait_for", "timeout", "timeout_at", "fail_after", "move_on_after"})


@rule(
    "no-acquire-timeout",
    why=(
        "When the pool is exhausted, requests pile up behind it instead of failing in time: "
        "memory grows, and the service answers long after its callers have gone."
    ),
    cure=("async with pool.acquire(timeout=1.0) as connection:\n    ...\n"),
    notebook="06_diagnose.ipynb",
)
def acquire_timeout(view: View) -> Iterator[Violation]:
    """Nothing ends the wait for a connection."""
    module = view.module
    for call in module.calls:
        library = view.pool_asked(call)
        if library is not None and not hides_arguments(call):
            yield from _of_call(module, call, library)
        elif _is_endless(view, call):
            yield Violation(call, "this timeout lets a call wait for a connection without end")
    for made in view.made:
        for name, message in made.library.endless.items():
            if is_none(view.figures.argument(module, made.call, name)):
                yield Violation(made.call, message)


def _of_call(module: Module, call: ast.Call, library: Library) -> Iterator[Violation]:
    """What a pool is asked for without a limit of time."""
    name = name_of(call.func)
    if library.acquire_timeout and not _is_ended_from_outside(module, call):
        if name in library.acquires and _is_missing(call, library.acquire_timeout):
            yield Violation(call, "acquire() without a timeout waits for a connection without end")
        elif name in library.acquires_for_one_call:
            yield Violation(
                call,
                f"{name}() of a pool waits for a connection without end: timeout= is the "
                "statement's",
            )
    if name in REQUESTS and "timeout" in library.endless and is_none(keyword(call, "timeout")):
        yield Violation(call, library.endless["timeout"])


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


def _is_endless(view: View, call: ast.Call) -> bool:
    """aiohttp's `ClientTimeout()` without a total or a connect, httpx's `Timeout(None)`."""
    meaning = view.module.meaning(call.func)
    if hides_arguments(call):
        return False
    if meaning == ("aiohttp", "ClientTimeout"):
        limits = [*call.args[:2], keyword(call, "total"), keyword(call, "connect")]
        return all(one is None or is_none(one) or constant(one) == 0 for one in limits)
    if meaning[0] in ("httpx", "httpx2") and meaning[1] == "Timeout":
        pool = keyword(call, "pool")
        whole = call.args[0] if call.args else keyword(call, "timeout")
        return is_none(whole) if pool is None else is_none(pool)
    return False
