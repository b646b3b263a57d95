"""What one node of a syntax tree says, whatever module it stands in."""

from __future__ import annotations

import ast
from collections.abc import Sequence, Set

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(node: ast.expr) -> str:
    """`get` of `session.get`, `run` of `run`; empty for what is no name."""
    return str(getattr(node, "attr", getattr(node, "id", "")))


# What hands its first argument on: `await stack.enter_async_context(make())`.
HANDS_ON = frozenset(
    {"enter_async_context", "enter_context", "aclosing", "closing", "wait_for", "shield"}
    | {"asynccontextmanager", "contextmanager"}
)
ENTERS = frozenset({"enter_async_context", "enter_context", "aclosing", "closing"})


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The argument that a call passes by that name, or None."""
    return next((k.value for k in call.keywords if k.arg == name), None)


def hides_arguments(call: ast.Call) -> bool:
    """Whether a call passes `*args` or `**settings`, which may hold anything."""
    return any(k.arg is None for k in call.keywords) or any(
        isinstance(argument, ast.Starred) for argument in call.args
    )


def passes(call: ast.Call) -> list[ast.expr]:
    """Everything that a call passes, by place and by name."""
    return [*call.args, *(k.value for k in call.keywords)]


def pairs(call: ast.Call, function: Function, *, is_bound: bool) -> list[tuple[str, ast.expr]]:
    """The arguments of a function by name, and what a call passes; `is_bound`: without `self`."""
    names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
    named = [(k.arg, k.value) for k in call.keywords if k.arg is not None]
    return [*zip(names[is_bound:], call.args, strict=False), *named]


def asks_for(function: Function | ast.Lambda) -> list[tuple[ast.arg, ast.expr | None]]:
    """A function's arguments and their defaults, without `*args` and `**settings`."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    missing: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    return [
        *zip(positional, [*missing, *arguments.defaults], strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]


def constant(node: ast.expr | None) -> object:
    """The value of a literal, negative numbers and `60 * 5` included; None for everything else.

    For a literal `None` there is `is_none`.
    """
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = constant(node.operand)
        return -value if isinstance(value, int | float) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        left, right = constant(node.left), constant(node.right)
        if isinstance(left, int | float) and isinstance(right, int | float):
            return left * right
    return None


def most_on_a_path(nodes: Sequence[ast.AST], wanted: Set[ast.AST]) -> int:
    """Most of the wanted nodes that one run passes: of branches, the one with most of them."""
    return sum(_on_a_path(node, wanted) for node in nodes)


def _on_a_path(node: ast.AST, wanted: Set[ast.AST]) -> int:
    match node:
        case ast.If(test=test, body=body, orelse=orelse):
            branches: list[Sequence[ast.AST]] = [body, orelse]
            first: list[ast.AST] = [test]
        case ast.Match(subject=subject, cases=cases):
            branches, first = [one.body for one in cases], [subject]
        case _:
            branches, first = [], [*ast.iter_child_nodes(node)]
    longest = max((most_on_a_path(one, wanted) for one in branches), default=0)
    return (node in wanted) + most_on_a_path(first, wanted) + longest


def is_none(node: ast.expr | None) -> bool:
    """Whether a literal `None` is written there."""
    return isinstance(node, ast.Constant) and node.value is None
