"""Waits for a connection that may never end: for a second one, or without a limit."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from poolkit.audit.finding import Settings, Violation, rule
from poolkit.audit.libraries import CLOSES
from poolkit.audit.module import Module
from poolkit.audit.syntax import Function, hides_arguments, is_none, keyword, name_of


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
def second_acquire(module: Module, settings: Settings) -> Iterator[Violation]:
    """A task asks for a second connection while it holds one of the same pool."""
    for node in module.nodes:
        if not isinstance(node, ast.With | ast.AsyncWith):
            continue
        for position, item in enumerate(node.items):
            pool = _pool_of(module, item.context_expr, is_held=True)
            # From `with x.connect() as x` on, the name of the pool means its connection.
            if pool is None or (item.optional_vars and ast.unparse(item.optional_vars) == pool):
                continue
            later = [other.context_expr for other in node.items[position + 1 :]]
            yield from _second(module, pool, [*later, *node.body])
    for block in _blocks(module):
        for position, statement in enumerate(block):
            taken = _taken(module, statement)
            if taken is not None:
                yield from _while_kept(module, *taken, block[position + 1 :])


def _blocks(module: Module) -> Iterator[list[ast.stmt]]:
    """Statements that run one after the other, in functions."""
    for node in module.nodes:
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and module.function_of(block[0] if block else node):
                yield block


def _taken(module: Module, statement: ast.stmt) -> tuple[str, str] | None:
    """The name and the pool in `a = await pool.acquire()`, which holds until it is given back."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target, value = statement.targets[0], statement.value
    if not isinstance(target, ast.Name) or not isinstance(value, ast.Await | ast.Call):
        return None
    pool = _pool_of(module, value, is_held=True)
    if pool is None or (module.pools[pool].is_held_by_await and not isinstance(value, ast.Await)):
        return None
    return target.id, pool


def _while_kept(
    module: Module, name: str, pool: str, later: Sequence[ast.stmt]
) -> Iterator[Violation]:
    """Second asks in the statements up to the first that may give the connection back."""
    for statement in later:
        held = statement.body if isinstance(statement, ast.Try) else [statement]
        if any(_gives_back(node, name) for node in held):
            return
        yield from _second(module, pool, held)
        if _gives_back(statement, name) or isinstance(statement, ast.Return | ast.Raise):
            return


def _gives_back(node: ast.AST, name: str) -> bool:
    """Whether a connection is released, closed, entered as a block or handed on in a node."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.withitem) and ast.unparse(inner.context_expr) == name:
            return True
        if not isinstance(inner, ast.Call) or not isinstance(inner.func, ast.Attribute):
            continue
        given = [*inner.args, *(k.value for k in inner.keywords)]
        is_argument = any(isinstance(one, ast.Name) and one.id == name for one in given)
        is_owner = isinstance(inner.func.value, ast.Name) and inner.func.value.id == name
        if inner.func.attr in _GIVES_BACK and (is_argument or is_owner):
            return True
    return False


_GIVES_BACK = CLOSES | {"release", "putconn", "invalidate", "detach"}


def _second(module: Module, pool: str, held: Sequence[ast.AST]) -> Iterator[Violation]:
    """Each place where a connection is taken from the same pool, here or one call away."""
    for call in (c for node in held for c in _calls(node)):
        if _pool_of(module, call, is_held=False) == pool:
            yield Violation(call, f"asks {pool} for a second connection while one of it is held")
            continue
        function = _called(module, call)
        if function is not None and any(
            _pool_of(module, inner, is_held=False) == pool
            for statement in function.body
            for inner in _calls(statement)
        ):
            yield Violation(
                call,
                f"calls {function.name}(), which asks {pool} for a second connection while one of "
                "it is held",
            )


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    """The calls that run when a node does: what is only defined inside it is left out."""
    if isinstance(node, Function | ast.Lambda | ast.ClassDef):
        return
    if isinstance(node, ast.Call):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _calls(child)


def _pool_of(module: Module, node: ast.AST, is_held: bool) -> str | None:
    """The text of the pool that an expression takes a connection from, or None.

    `is_held` asks for the forms that hold it as long as an `async with` lasts.
    """
    if isinstance(node, ast.Await):
        node = node.value
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    library = module.pool_asked(node)
    if library is None:
        return None
    words = library.acquires | (frozenset() if is_held else library.acquires_for_one_call)
    return ast.unparse(node.func.value) if node.func.attr in words else None


def _called(module: Module, call: ast.Call) -> Function | None:
    """The function of this module that a call means: `helper()`, `self.helper()` of a class."""
    if isinstance(call.func, ast.Name):
        around: ast.Module | ast.ClassDef | None = module.tree
    elif isinstance(call.func, ast.Attribute) and name_of(call.func.value) == "self":
        around = module.class_of(call)
    else:
        return None
    body = [] if around is None else around.body
    found = [f for f in body if isinstance(f, Function) and f.name == name_of(call.func)]
    return found[0] if len(found) == 1 else None


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
def acquire_timeout(module: Module, settings: Settings) -> Iterator[Violation]:
    """Nothing ends the wait for a connection."""
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
