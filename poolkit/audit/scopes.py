"""Where names are bound, as Python looks them up: in their function, around it, at the top."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from poolkit.audit.syntax import Function, asks_for

Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef
How = Literal["value", "entered", "argument", "import", "definition", "other"]
SCOPES = ast.Module | Function | ast.Lambda | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Binding:
    """A place that binds a name.

    Args:
        how: "value": to `value`; "entered": to what `with value` gives; "argument": to what callers
            pass, `value` being its default; "definition": `node` is its function or class.
        node: the name itself, or the definition, argument or alias.
    """

    how: How
    node: ast.AST
    value: ast.expr | None = None


Names = dict[str, list[Binding]]


def names_of(scope: Scope) -> Names:
    """What a scope binds itself; names that it declares global or nonlocal are not among them."""
    found: defaultdict[str, list[Binding]] = defaultdict(list)
    others: set[str] = set()
    if isinstance(scope, Function | ast.Lambda):
        _arguments(scope, found)
    for node in own(scope):
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    _assigned(target, value, found)
            case ast.AnnAssign(target=target, value=value):
                if isinstance(target, ast.Name):
                    found[target.id].append(Binding("value", target, value))
            case ast.NamedExpr(target=target, value=value):
                found[target.id].append(Binding("value", target, value))
            case ast.With(items=items) | ast.AsyncWith(items=items):
                for item in items:
                    bound = item.optional_vars
                    if isinstance(bound, ast.Name):
                        found[bound.id].append(Binding("entered", bound, item.context_expr))
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                found[name].append(Binding("definition", node))
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                for alias in aliases:
                    name = alias.asname or alias.name.partition(".")[0]
                    found[name].append(Binding("import", alias))
            case ast.Global(names=declared) | ast.Nonlocal(names=declared):
                others.update(declared)
            case ast.Name(ctx=ast.Store()):
                if all(binding.node is not node for binding in found[node.id]):
                    found[node.id].append(Binding("other", node))
    return {name: places for name, places in found.items() if places and name not in others}


def own(scope: Scope) -> Iterator[ast.AST]:
    """The nodes of a scope in order of the source, without what functions and classes in it hold.

    Their decorators, defaults and bases are of the scope.
    """
    return iter(_own(scope))


@lru_cache(maxsize=64)  # asked again for each client that it makes
def _own(scope: Scope) -> tuple[ast.AST, ...]:
    found: list[ast.AST] = []
    if isinstance(scope, ast.Lambda):
        first: list[ast.AST] = [scope.body]
    else:
        first = list(scope.body)
    waiting = first[::-1]
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += [*_within(node)][::-1]
    return tuple(found)


def _within(node: ast.AST) -> Iterator[ast.AST]:
    """The children of a node that run in the same scope."""
    if isinstance(node, Function):
        yield from (*node.decorator_list, *node.args.defaults)
        yield from (default for default in node.args.kw_defaults if default is not None)
    elif isinstance(node, ast.Lambda):
        yield from node.args.defaults
    elif isinstance(node, ast.ClassDef):
        yield from (*node.decorator_list, *node.bases)
    else:
        yield from ast.iter_child_nodes(node)


def _assigned(target: ast.expr, value: ast.expr, found: defaultdict[str, list[Binding]]) -> None:
    if isinstance(target, ast.Name):
        found[target.id].append(Binding("value", target, value))
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, part in zip(target.elts, value.elts, strict=False):
            _assigned(one, part, found)


def _arguments(function: Function | ast.Lambda, found: defaultdict[str, list[Binding]]) -> None:
    for argument, default in asks_for(function):
        found[argument.arg].append(Binding("argument", argument, default))
    for rest in (function.args.vararg, function.args.kwarg):
        if rest is not None:
            found[rest.arg].append(Binding("other", rest))
