"""Connections and responses that are not given back, or only when all goes well."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from poolkit.audit.finding import Violation, rule
from poolkit.audit.holding import given_back
from poolkit.audit.libraries import REQUESTS
from poolkit.audit.module import Module
from poolkit.audit.scopes import own
from poolkit.audit.syntax import Function, constant, keyword, name_of
from poolkit.audit.view import View


@rule(
    "not-released",
    why=(
        "Whatever is raised in between leaves the connection out for good: the pool is one smaller "
        "after each error, until it is empty."
    ),
    cure=(
        "async with pool.acquire(timeout=1.0) as connection:  # given back whatever happens\n"
        "    await connection.execute(statement)\n"
    ),
    notebook="06_diagnose.ipynb",
)
def not_released(view: View) -> Iterator[Violation]:
    """A connection that is taken by hand is not given back on every path."""
    module = view.module
    fates: dict[ast.AST, _Fate] = {}
    for hold in view.holds:
        function = module.function_of(hold.node)
        if hold.how != "kept" or function is None or not isinstance(hold.node, ast.expr):
            continue
        if function not in fates:
            fates[function] = _fate(module, function)
        fate = fates[function]
        if hold.name in fate.safely | fate.elsewhere:
            continue
        is_released = hold.name in fate.released
        if is_released and not _may_raise(hold.body):
            continue
        how = "only when nothing is raised before" if is_released else "nowhere in this function"
        yield Violation(hold.node, f"{hold.name!r} is given back {how}")


@dataclass(frozen=True, slots=True)
class _Fate:
    """Names in a function: those given back, those so whatever is raised, those others may have."""

    released: set[str]
    safely: set[str]
    elsewhere: set[str]


def _fate(module: Module, function: Function) -> _Fate:
    safely: set[str] = set()
    elsewhere: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Try):
            handlers = [one for handler in node.handlers for one in handler.body]
            safely |= given_back([*node.finalbody, *handlers])
        elif isinstance(node, ast.withitem):
            inside = ast.walk(node.context_expr)
            safely |= {one.id for one in inside if isinstance(one, ast.Name)}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            parent = module.parents[node]
            # Handed to a function it stays ours: that uses it, and does not keep it.
            used = ast.Attribute | ast.Await | ast.Compare | ast.keyword | ast.Call
            if not isinstance(parent, used) or _is_of_constructor(module, parent):
                elsewhere.add(node.id)
    return _Fate(given_back(function.body), safely, elsewhere)


def _is_of_constructor(module: Module, node: ast.AST) -> bool:
    """Whether it is handed to the constructor of an object, which keeps it."""
    call = module.parents[node] if isinstance(node, ast.keyword) else node
    return isinstance(call, ast.Call) and name_of(call.func)[:1].isupper()


def _may_raise(nodes: Sequence[ast.AST]) -> bool:
    return any(isinstance(one, ast.Call | ast.Raise) for node in nodes for one in ast.walk(node))


# What reads a response to its end, or gives its connection back.
_READS = frozenset(
    {"read", "aread", "text", "json", "release", "close", "aclose", "content", "raise_for_status"}
    | {"iter_any", "iter_chunked", "wait_for_close"}
)


@rule(
    "response-unread",
    why=(
        "The connection stays out until the response is read to its end or closed: a few of "
        "these, and callers wait for a pool whose connections nobody uses."
    ),
    cure=(
        "async with session.get(url) as response:  # gives the connection back\n"
        "    exists = response.status == 200\n"
    ),
    notebook="06_diagnose.ipynb",
)
def response_unread(view: View) -> Iterator[Violation]:
    """A response is neither read to its end nor closed."""
    module = view.module
    for call in module.calls:
        library = view.pool_asked(call)
        if library is None or not library.is_http or not isinstance(call.func, ast.Attribute):
            continue
        is_left_open = library.leaves_body or (
            call.func.attr == "send" and constant(keyword(call, "stream")) is True
        )
        parent = module.parents[call]
        if call.func.attr not in REQUESTS or call.func.attr == "ws_connect" or not is_left_open:
            continue
        if not isinstance(parent, ast.Await):
            continue
        if _is_dropped(module, parent):
            yield Violation(call, "the response is neither read nor closed")


def _is_dropped(module: Module, awaited: ast.Await) -> bool:
    """Whether nothing that follows can read the response, close it or hand it on."""
    parent = module.parents[awaited]
    if isinstance(parent, ast.Expr):
        return True
    if isinstance(parent, ast.Attribute):  # (await session.get(url)).status
        return parent.attr not in _READS
    if not isinstance(parent, ast.Assign) or len(parent.targets) != 1:
        return False
    target, function = parent.targets[0], module.function_of(parent)
    if not isinstance(target, ast.Name) or function is None:
        return False
    for node in ast.walk(function):
        if not isinstance(node, ast.Name) or node.id != target.id or node is target:
            continue
        used = module.parents[node]
        if not isinstance(used, ast.Attribute) or used.attr in _READS:
            return False
    return True


@rule(
    "pool-made-twice",
    why=(
        "Two first callers both see that there is none yet, and each makes one: the second "
        "replaces the first, whose connections stay open and are never closed."
    ),
    cure=(
        "@asynccontextmanager\n"
        "async def lifespan(app):  # made once, before the first request\n"
        "    async with asyncpg.create_pool(dsn, max_size=14) as app.state.pool:\n"
        "        yield\n"
    ),
    notebook="06_diagnose.ipynb",
)
def pool_made_twice(view: View) -> Iterator[Violation]:
    """A pool is made at its first use, by whoever comes first, without a lock."""
    module = view.module
    for made in view.made_anew:
        if not isinstance(made.function, ast.AsyncFunctionDef) or len(made.targets) != 1:
            continue
        target = ast.unparse(made.targets[0])
        if isinstance(made.targets[0], ast.Name) and not _is_global(made.function, target):
            continue
        asked = _asked_whether_missing(module, made.call, target)
        if asked is not None and _waits(asked.body) and not _is_locked(module, asked):
            yield Violation(made.call, f"two first callers both make {target}")


def _is_global(function: ast.AsyncFunctionDef, name: str) -> bool:
    return any(
        isinstance(one, ast.Global | ast.Nonlocal) and name in one.names for one in own(function)
    )


def _asked_whether_missing(module: Module, call: ast.Call, target: str) -> ast.If | None:
    """The `if pool is None:` around a call."""
    inner: ast.AST = call
    for outer in module.around(call):
        if isinstance(outer, Function):
            return None
        if isinstance(outer, ast.If) and inner in outer.body and _names(outer.test, target):
            return outer
        inner = outer
    return None


def _names(test: ast.expr, target: str) -> bool:
    places = ast.Name | ast.Attribute | ast.Subscript
    return any(ast.unparse(one) == target for one in ast.walk(test) if isinstance(one, places))


def _waits(body: Sequence[ast.stmt]) -> bool:
    """Whether others run before the pool is in its place."""
    return any(
        isinstance(one, ast.Await | ast.AsyncWith | ast.AsyncFor)
        for node in body
        for one in ast.walk(node)
    )


def _is_locked(module: Module, node: ast.AST) -> bool:
    return any(
        isinstance(outer, ast.With | ast.AsyncWith)
        and any("lock" in ast.unparse(item.context_expr).lower() for item in outer.items)
        for outer in module.around(node)
    )
