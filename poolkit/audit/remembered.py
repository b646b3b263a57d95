"""Whether what a request brings is kept, so that the client of it is no client per call."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from poolkit.audit.module import Module
from poolkit.audit.scopes import own
from poolkit.audit.syntax import Function, name_of


def is_remembered(module: Module, call: ast.Call, function: Function) -> bool:
    """Whether it is made only where nothing is remembered: `if fresh: return self._token`, or
    what it brings is kept in a global name."""
    inside = [*own(function)]
    kept = {name for one in inside if isinstance(one, ast.Global) for name in one.names}
    set_to = (one for one in inside if isinstance(one, ast.Name) and one.id in kept)
    if any(isinstance(one.ctx, ast.Store) and one.lineno > call.lineno for one in set_to):
        return True
    if any(one.lineno > call.lineno for one in _stored(module, inside, call)):
        return True
    for statement in function.body:
        if statement.lineno >= call.lineno:
            return False
        if not isinstance(statement, ast.If) or not isinstance(statement.body[-1], ast.Return):
            continue
        given = statement.body[-1].value
        is_kept = isinstance(given, ast.Attribute) or (
            isinstance(given, ast.Name) and isinstance(module.bound(given)[0], ast.Module)
        )
        if is_kept and _REMEMBERS.search(ast.unparse(statement)):
            return True
    return False


def _stored(
    module: Module, inside: list[ast.AST], call: ast.Call
) -> Iterator[ast.Attribute | ast.Subscript]:
    """Where a function stores a token, a key or the like, or what it asked for before.

    `self._token = ...`; `cache[key] = ...` and `self.models = ...` after a branch that asked
    whether there is one.
    """
    before = (one for one in inside if isinstance(one, ast.If) and one.lineno <= call.lineno)
    asked = " ".join(ast.unparse(one.test) for one in before)
    for one in inside:
        if not isinstance(one, ast.Attribute | ast.Subscript) or not isinstance(one.ctx, ast.Store):
            continue
        if isinstance(one, ast.Subscript):
            owner = one.value
            is_own = isinstance(owner, ast.Attribute) or (
                isinstance(owner, ast.Name) and isinstance(module.bound(owner)[0], ast.Module)
            )
            if is_own and (ast.unparse(owner) in asked or _CACHE.search(ast.unparse(owner))):
                yield one
        elif name_of(one.value) in ("self", "cls") and (
            ast.unparse(one) in asked or _REMEMBERS.search(one.attr)
        ):
            yield one


_CACHE = re.compile("cache", re.IGNORECASE)
_REMEMBERS = re.compile("cache|token|fresh|expir|valid|jwks|_until$", re.IGNORECASE)
