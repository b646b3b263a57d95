"""A second connection asked for while one is held: the pool-locking deadlock."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from poolkit.audit.finding import Rule, Seen, Settings
from poolkit.audit.makers import ACQUIRES, ACQUIRES_FOR_ONE_CALL, CLOSES
from poolkit.audit.module import Function, Module, type_of_function


def _find(module: Module, settings: Settings) -> Iterator[Seen]:
    for node in module.nodes:
        if not isinstance(node, ast.With | ast.AsyncWith):
            continue
        for position, item in enumerate(node.items):
            pool = _pool_of(module, item.context_expr, is_held=True)
            if pool is None or _rebinds(item, pool):
                continue
            later = [other.context_expr for other in node.items[position + 1 :]]
            yield from _second(module, pool, [*later, *node.body])
    for block in _blocks(module):
        for position, statement in enumerate(block):
            taken = _taken(module, statement)
            if taken is not None:
                yield from _while_kept(module, *taken, block[position + 1 :])


def _rebinds(item: ast.withitem, pool: str) -> bool:
    """Whether the pool's name means its connection from here on: `with x.connect() as x`."""
    return item.optional_vars is not None and ast.unparse(item.optional_vars) == pool


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
    # asyncpg's acquire() without await is something to enter, and holds nothing yet.
    is_held = isinstance(value, ast.Await) or module.kinds.get(pool or "") != "asyncpg"
    return (target.id, pool) if pool is not None and is_held else None


def _while_kept(module: Module, name: str, pool: str, later: Sequence[ast.stmt]) -> Iterator[Seen]:
    """Second asks in the statements up to the first that may give the connection back."""
    for statement in later:
        held: list[ast.AST] = [statement]
        if isinstance(statement, ast.Try):
            held = [*statement.body]
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


def _second(module: Module, pool: str, held: Sequence[ast.AST]) -> Iterator[Seen]:
    """Each place where a connection is taken from the same pool, here or one call away."""
    for call in (c for node in held for c in _calls(node)):
        if _pool_of(module, call, is_held=False) == pool:
            yield Seen(call, f"asks {pool} for a second connection while one of it is held")
            continue
        function = _called(module, call)
        if function is not None and any(
            _pool_of(module, inner, is_held=False) == pool
            for statement in function.body
            for inner in _calls(statement)
        ):
            yield Seen(
                call,
                f"calls {function.name}(), which asks {pool} for a second connection while one of "
                "it is held",
            )


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    """The calls that run when a node does: what is only defined inside it is left out."""
    if isinstance(node, (*type_of_function, ast.Lambda, ast.ClassDef)):
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
    text = ast.unparse(node.func.value)
    driver = module.kinds.get(text)
    if driver not in ACQUIRES:
        return None
    words = ACQUIRES[driver]
    if not is_held:
        words = words | ACQUIRES_FOR_ONE_CALL[driver]
    return text if node.func.attr in words else None


def _called(module: Module, call: ast.Call) -> Function | None:
    """The function of this module that a call means: `helper()`, `self.helper()` of a class."""
    if isinstance(call.func, ast.Name):
        found = [f for f in module.functions if f.name == call.func.id and f in module.tree.body]
    elif isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", None) == "self":
        owner = module.class_of(call)
        found = [f for f in (owner.body if owner else []) if isinstance(f, type_of_function)]
        found = [f for f in found if f.name == call.func.attr]
    else:
        return None
    return found[0] if len(found) == 1 else None


RULE = Rule(
    name="second-acquire",
    what="A task asks for a second connection while it holds one of the same pool.",
    why=(
        "When as many tasks as the pool has connections each hold one and wait for another, none "
        "can go on. With T such tasks of m connections each, T * (m - 1) + 1 are needed to be safe."
    ),
    cure=(
        "async with pool.acquire() as connection:\n"
        "    await load_order(connection)   # hand the connection on\n"
        "    await load_items(connection)\n"
    ),
    notebook="06_diagnose.ipynb",
    find=_find,
)
