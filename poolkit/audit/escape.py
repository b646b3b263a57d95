"""Whether an object stays in the function that makes it, or somebody else may keep and close it."""

from __future__ import annotations

import ast
import re

from poolkit.audit.makers import CLOSES
from poolkit.audit.module import Function, Made, Module, type_of_function


def uses(module: Module, function: Function, name: str) -> list[ast.Name]:
    """Where a function, and what is defined inside it, reads a local variable."""
    return [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
    ]


def escapes(module: Module, function: Function, name: str) -> bool:
    """Whether a local is returned, stored, passed on or captured: others may own it then."""
    for node in ast.walk(function):
        if isinstance(node, ast.Global | ast.Nonlocal) and name in node.names:
            return True
    return any(_goes_out(module, function, node) for node in uses(module, function, name))


def closes(function: Function, name: str) -> bool:
    """Whether a function closes its local variable, or hands the closing to somebody."""
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and node.attr in CLOSES:
            if ast.unparse(node.value) in (name, f"{name}.sync_engine"):
                return True
        elif isinstance(node, ast.withitem):
            shown = ast.unparse(node.context_expr)
            if shown == name or (name in shown and "closing" in shown):
                return True
    return False


def _goes_out(module: Module, function: Function, node: ast.Name) -> bool:
    parent = module.parents[node]
    # pool.acquire(), pool[...]: only used. Everything else could hand the object itself on.
    is_only_used = isinstance(parent, ast.Attribute) or (
        isinstance(parent, ast.withitem) and parent.context_expr is node
    )
    is_looked_at = isinstance(parent, ast.Compare | ast.Await | ast.If | ast.UnaryOp | ast.Assert)
    if not (is_only_used or is_looked_at):
        return True
    for outer in module.around(node):
        if outer is function:
            return False
        if isinstance(outer, (*type_of_function, ast.Lambda)):
            return True
    return False


def is_fallback(module: Module, made: Made, function: Function) -> bool:
    """Whether it is made only when the caller brought none: `if not self.session: ...`.

    Its name is bound in several places or an argument, or a branch around it asks about a session.
    """
    names = {ast.unparse(target) for target in made.targets}
    bound = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Store)
    ]
    given = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
    if len(bound) > 1 or names & given:
        return True
    for outer in module.around(made.call):
        if outer is function:
            return False
        if isinstance(outer, ast.If | ast.IfExp) and _OF_OTHERS.search(ast.unparse(outer.test)):
            return True
    return False


_OF_OTHERS = re.compile("session|client", re.IGNORECASE)
