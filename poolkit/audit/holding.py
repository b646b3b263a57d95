"""Where a session or connection is held, and what runs meanwhile."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from poolkit.audit.libraries import CLOSES, DEPENDS
from poolkit.audit.module import Module
from poolkit.audit.scopes import own
from poolkit.audit.syntax import Function, asks_for, is_none, name_of, passes
from poolkit.audit.value import NO_ARGUMENTS, Arguments, Value
from poolkit.audit.values import Values

GIVES_BACK = CLOSES | {"release", "putconn", "invalidate", "detach"}
# After these a session of SQLAlchemy holds no connection until it is used again.
FREES = GIVES_BACK | {"commit", "rollback"}
# What is handed to these runs by itself: whoever holds does not wait for it.
_APART = frozenset({"create_task", "ensure_future", "add_task", "start_soon", "call_later"})
_DEEPEST = 4  # calls from function to function


@dataclass(frozen=True, slots=True)
class Hold:
    """A session or connection that is held while `body` runs.

    Args:
        node: the expression that takes it, or the argument that FastAPI fills.
        name: it goes by; empty: none.
        how: "with"; "kept": by a name, until it is given back; "argument": as long as the request.
    """

    module: Module
    value: Value
    node: ast.expr | ast.arg
    name: str
    body: Sequence[ast.AST]
    how: str

    @property
    def is_lazy(self) -> bool:
        """Whether it takes its connection at the first use: SQLAlchemy's sessions do."""
        library, node = self.value.library, self.node
        if library is None or not library.session_makers:
            return False
        call = node.value if isinstance(node, ast.Await) else node
        is_taken = isinstance(call, ast.Call) and name_of(call.func) in library.acquires
        return not is_taken


def holds(values: Values, module: Module) -> Iterator[Hold]:
    """Each stretch of a module in which one is held."""
    for node in module.nodes:
        if isinstance(node, ast.With | ast.AsyncWith):
            for position, item in enumerate(node.items):
                value = values.taken(module, item.context_expr)
                if value is None:
                    continue
                name = "" if item.optional_vars is None else ast.unparse(item.optional_vars)
                later = [other.context_expr for other in node.items[position + 1 :]]
                yield Hold(module, value, item.context_expr, name, [*later, *node.body], "with")
        elif isinstance(node, Function):
            yield from _of_arguments(values, module, node)
    for block in blocks(module):
        for position, statement in enumerate(block):
            rest = itertools.islice(block, position + 1, None)
            yield from _kept(values, module, statement, rest)


def blocks(module: Module) -> Iterator[list[ast.stmt]]:
    """Statements that run one after the other, in functions."""
    for node in module.nodes:
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block and module.function_of(block[0]):
                yield block


def _of_arguments(values: Values, module: Module, function: Function) -> Iterator[Hold]:
    """Sessions that a framework opens for a request and closes after it."""
    for argument, default in asks_for(function):
        if not _depends(module, default) and not _depends(module, argument.annotation):
            continue
        value = values.argument(module, function, argument, default)
        if value is not None and value.role == "session":
            yield Hold(module, value, argument, argument.arg, function.body, "argument")


def _depends(module: Module, node: ast.expr | None) -> bool:
    """Whether FastAPI is asked there to fill an argument, under an alias perhaps."""
    if isinstance(node, ast.Name) and node in module.parents:
        bound = module.bound(node)[1]
        node = bound[0].value if len(bound) == 1 else None
    return node is not None and any(
        isinstance(one, ast.Call) and name_of(one.func) in DEPENDS for one in ast.walk(node)
    )


def _kept(
    values: Values, module: Module, statement: ast.stmt, later: Iterable[ast.stmt]
) -> Iterator[Hold]:
    """`a = await pool.acquire()`: held by the statements up to the first that may give it back."""
    match statement:
        case (
            ast.Assign(targets=[target], value=node)
            | ast.AnnAssign(target=target, value=ast.expr() as node)
        ):
            pass
        case _:
            return
    value = values.taken(module, node) if isinstance(target, ast.Name) else None
    if value is None or value.library is None:
        return
    if value.library.is_held_by_await and not isinstance(node, ast.Await):
        return
    if isinstance(node, ast.Call) and _is_generator(values, module, node):
        return
    assert isinstance(target, ast.Name)
    body: list[ast.AST] = []
    for one in later:
        held = one.body if isinstance(one, ast.Try) else [one]
        if target.id in given_back(held):
            before = itertools.takewhile(lambda s: target.id not in given_back([s]), held)
            body += before if isinstance(one, ast.Try) else ()
            break
        body += held
        if target.id in given_back([one]) or isinstance(one, ast.Return | ast.Raise):
            break
    yield Hold(module, value, node, target.id, body, "kept")


def _is_generator(values: Values, module: Module, call: ast.Call) -> bool:
    """Whether calling it gives a generator, which takes nothing before it is asked."""
    found = values.function(module, call)
    return found is not None and any(
        isinstance(one, ast.Yield | ast.YieldFrom) for one in own(found[0].node)
    )


def given_back(nodes: Iterable[ast.AST]) -> set[str]:
    """Names of what is released, closed, entered as a block or handed to a release in nodes."""
    found: set[str] = set()
    for node in nodes:
        for inner in ast.walk(node):
            if isinstance(inner, ast.withitem):
                found.add(ast.unparse(inner.context_expr))
            elif isinstance(inner, ast.Call) and name_of(inner.func) in GIVES_BACK:
                owner = getattr(inner.func, "value", inner)
                passed = [*passes(inner), owner]
                found |= {one.id for one in passed if isinstance(one, ast.Name)}
    return found


def uses(call: ast.Call, name: str) -> bool:
    """Whether a call is a method of what goes by a name, or is given it."""
    root: ast.expr = call.func
    while isinstance(root, ast.Attribute | ast.Call | ast.Await):
        root = root.func if isinstance(root, ast.Call) else root.value
    return any(isinstance(node, ast.Name) and node.id == name for node in (root, *passes(call)))


def calls(node: ast.AST) -> Iterator[ast.Call]:
    """The calls that run when a node does, and are waited for.

    What is only defined inside it is left out, and what is handed to a task of its own.
    """
    if isinstance(node, Function | ast.Lambda | ast.ClassDef):
        return
    if isinstance(node, ast.Call):
        yield node
        if name_of(node.func) in _APART:
            return
    for child in ast.iter_child_nodes(node):
        yield from calls(child)


@dataclass(frozen=True, slots=True)
class Reached:
    """A call that runs in a stretch of code, `through` functions of the program if not in it."""

    module: Module
    call: ast.Call  # itself
    given: Arguments
    first: ast.Call  # the call in the stretch that leads there
    through: tuple[str, ...]


def reached(
    values: Values, module: Module, nodes: Sequence[ast.AST], handed_on: str = ""
) -> Iterator[Reached]:
    """Every call that runs with some nodes, those of the program's functions included.

    Functions that are handed what goes by the name `handed_on` work with that, and are left out.
    """
    for node in nodes:
        for call in calls(node):
            yield Reached(module, call, NO_ARGUMENTS, call, ())
            if not (handed_on and uses(call, handed_on)):
                yield from _through(values, module, call, NO_ARGUMENTS, call, (), frozenset())


_BROUGHT = re.compile(r"(^|_|\.)(db|session|conn|connection)\b", re.IGNORECASE)


def _is_without(module: Module, call: ast.Call) -> bool:
    """Whether a function takes its own only where nobody brought one: `if self.db is not None`."""
    inner: ast.AST = call
    for outer in module.around(call):
        if isinstance(outer, Function):
            return False
        if isinstance(outer, ast.If) and inner is not outer.test:
            test = outer.test
            is_negative = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
            if isinstance(test, ast.Compare) and is_none(test.comparators[0]):
                is_negative = isinstance(test.ops[0], ast.Is)
            subject = test.operand if isinstance(test, ast.UnaryOp) else test
            subject = subject.left if isinstance(subject, ast.Compare) else subject
            is_taken_without = (inner in outer.body) is is_negative
            if is_taken_without and _BROUGHT.search(ast.unparse(subject)):
                return True
        inner = outer
    return False


def _through(
    values: Values,
    module: Module,
    call: ast.Call,
    given: Arguments,
    first: ast.Call,
    through: tuple[str, ...],
    seen: frozenset[ast.AST],
) -> Iterator[Reached]:
    """The calls that run in the function of the program that a call runs."""
    if len(through) >= _DEEPEST or name_of(call.func) in _APART:
        return
    found = values.function(module, call, given)
    if found is None or found[0].node in seen:
        return
    function, passed = found
    assert isinstance(function.node, Function)
    if _is_lazy(function.node, module, call):
        return
    through, seen = (*through, function.node.name), seen | {function.node}
    for inner in _run(function.module, function.node):
        yield Reached(function.module, inner, passed, first, through)
        yield from _through(values, function.module, inner, passed, first, through, seen)


@lru_cache(maxsize=1024)  # of a function that n others call
def _run(module: Module, function: Function) -> tuple[ast.Call, ...]:
    """The calls that run in a function which nobody brought a connection."""
    found = (call for node in function.body for call in calls(node))
    return tuple(call for call in found if not _is_without(module, call))


def _is_lazy(function: Function, module: Module, call: ast.Call) -> bool:
    """Whether calling it does not run it: a coroutine that nobody awaits there."""
    if not isinstance(function, ast.AsyncFunctionDef):
        return False
    parent = module.parents.get(call)
    return isinstance(parent, ast.Assign | ast.Expr | ast.Return)
