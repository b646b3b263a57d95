"""A second connection asked for while one is held: the pool-locking deadlock."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from poolkit.audit.finding import Rule, Seen, Settings
from poolkit.audit.makers import ACQUIRES, ACQUIRES_FOR_ONE_CALL
from poolkit.audit.module import Function, Module, type_of_function


def _find(module: Module, settings: Settings) -> Iterator[Seen]:
    for node in module.nodes:
        if not isinstance(node, ast.With | ast.AsyncWith):
            continue
        for position, item in enumerate(node.items):
            pool = _pool_of(module, item.context_expr, is_held=True)
            if pool is None:
                continue
            later = [other.context_expr for other in node.items[position + 1 :]]
            yield from _second(module, pool, [*later, *node.body])


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
