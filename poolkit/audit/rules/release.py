"""Connections and responses that are not given back, or only when all goes well."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from poolkit.audit.finding import Violation, rule
from poolkit.audit.holding import GIVES_BACK, given_back
from poolkit.audit.libraries import REQUESTS
from poolkit.audit.made import Made
from poolkit.audit.module import Module
from poolkit.audit.program import methods
from poolkit.audit.scopes import own
from poolkit.audit.syntax import Function, constant, keyword, name_of, passes
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
    for owner in module.nodes:
        if isinstance(owner, ast.ClassDef):
            yield from _left_by_exit(view, owner)


def _left_by_exit(view: View, owner: ast.ClassDef) -> Iterator[Violation]:
    """A context manager takes a connection; what its exit does first may raise, and skip the
    release."""
    inside = methods(owner)
    leave = inside.get("__aexit__") or inside.get("__exit__")
    enter = inside.get("__aenter__") or inside.get("__enter__")
    if leave is None or enter is None:
        return
    for node in own(enter):
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Attribute):
            continue
        taken = view.values.taken(view.module, node.value)
        kept = ast.unparse(node.targets[0])
        releases = [one for one in own(leave) if _gives_back(one, kept)]
        if taken is None or taken.library is None or not releases:
            continue
        if not any(view.module.is_safe(one) for one in releases) and any(
            isinstance(one, ast.Await | ast.Raise) and one.lineno < releases[0].lineno
            for one in own(leave)
        ):
            how = f"only when nothing is raised before in {leave.name}()"
            yield Violation(node.value, f"{kept!r} is given back {how}")


def _gives_back(node: ast.AST, kept: str) -> TypeGuard[ast.Call]:
    """`pool.release(self.connection)`, `self.session.close()`."""
    if not isinstance(node, ast.Call) or name_of(node.func) not in GIVES_BACK:
        return False
    owner = getattr(node.func, "value", node)
    return any(ast.unparse(one) == kept for one in (owner, *passes(node)))


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
        if isinstance(parent, ast.Call) and name_of(parent.func) in ("wait_for", "shield"):
            parent = module.parents[parent]
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
    match parent:
        case ast.Assign(targets=[target]) | ast.NamedExpr(target=target):
            function = module.function_of(parent)
        case _:
            return False
    if not isinstance(target, ast.Name) or function is None:
        return False
    if isinstance(parent, ast.NamedExpr):  # (reply := await session.get(url)).status
        used = module.parents[parent]
        if not isinstance(used, ast.Attribute) or used.attr in _READS:
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
        function = made.function
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        kept = _kept(module, made, function)
        if kept is None or not _waits(function, made.call, kept):
            continue
        shown = ast.unparse(kept)
        asked = _asked_whether_missing(module, made.call, _places(function, kept)) or _asked_before(
            view, function, kept
        )
        if asked is None:
            continue
        # Whoever starts a program may ask whether that was done: `if self.pool: return`.
        is_around = _names(asked.test, {shown}) and made.call in {*ast.walk(asked)}
        is_start = not is_around or _STARTS.match(function.name)
        if is_start and not _is_asked_for(view, function):
            continue
        if not _is_locked(module, made.call) and not _is_called_locked(view, function):
            yield Violation(made.call, f"two first callers both make {shown}")


_STARTS = re.compile("^_*(start|connect|init|open|set_?up|aenter|lifespan|main|on_)")


def _is_asked_for(view: View, function: ast.AsyncFunctionDef) -> bool:
    """Whether requests come to a function, and not only what starts the program."""
    if any(isinstance(one, ast.Return) and one.value is not None for one in own(function)):
        return True
    around = (module.function_of(call) for module, call in view.calls_of(function))
    return any(one is not None and not _STARTS.match(one.name) for one in around)


def _kept(module: Module, made: Made, function: ast.AsyncFunctionDef) -> ast.expr | None:
    """What outlives the call and is set to the pool: at once, or by the name of a local."""
    for target in made.targets:
        is_local = isinstance(target, ast.Name) and not _is_global(function, target.id)
        if not is_local:
            return target
    for node in made.reads():
        parent = module.parents[node]
        if isinstance(parent, ast.Assign) and parent.value is node:
            places = ast.Attribute | ast.Subscript
            return next((one for one in parent.targets if isinstance(one, places)), None)
    return None


def _is_global(function: ast.AsyncFunctionDef, name: str) -> bool:
    return any(
        isinstance(one, ast.Global | ast.Nonlocal) and name in one.names for one in own(function)
    )


def _places(function: ast.AsyncFunctionDef, kept: ast.expr) -> set[str]:
    """How a function asks whether there is one: by its place, a local that was read of it, a flag.

    A flag is an attribute of `self`, or a global name, that is set to True in the function.
    """
    shown = ast.unparse(kept)
    found = {shown, ast.unparse(kept.value)} if isinstance(kept, ast.Subscript) else {shown}
    for node in own(function):
        if not isinstance(node, ast.Assign | ast.NamedExpr):
            continue
        is_flag = isinstance(node.value, ast.Constant) and node.value.value is True
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            is_own = isinstance(target, ast.Attribute) or (
                isinstance(target, ast.Name) and _is_global(function, target.id)
            )
            is_read = node.lineno < kept.lineno and _names(node.value, found)
            if (is_flag and is_own) or (is_read and isinstance(target, ast.Name)):
                found.add(ast.unparse(target))
    return found


def _asked_whether_missing(module: Module, call: ast.Call, places: set[str]) -> ast.If | None:
    """The `if pool is None:` around a call, or `if pool is not None: return pool` before it."""
    inner: ast.AST = call
    for outer in module.around(call):
        if isinstance(outer, ast.If) and inner in outer.body and _names(outer.test, places):
            return outer
        block = next((b for b in _blocks(outer) if inner in b), [])
        for statement in block[: block.index(inner)] if block else ():  # type: ignore[arg-type]
            if (
                isinstance(statement, ast.If)
                and isinstance(statement.body[-1], ast.Return)
                and _names(statement.test, places)
            ):
                return statement
        if isinstance(outer, Function):
            return None
        inner = outer
    return None


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block


def _asked_before(view: View, function: ast.AsyncFunctionDef, kept: ast.expr) -> ast.If | None:
    """The `if self.pool is None: await self.connect()` around a call of the function."""
    if not isinstance(kept, ast.Attribute):
        return None
    for module, call in view.calls_of(function):
        around = module.function_of(call)
        if isinstance(around, ast.AsyncFunctionDef) and not _is_locked(module, call):
            asked = _asked_whether_missing(module, call, {ast.unparse(kept)})
            if asked is not None:
                return asked
    return None


def _names(test: ast.AST, places: set[str]) -> bool:
    """Whether an expression asks for one of some places; `hasattr(self, "pool")` does."""
    for one in ast.walk(test):
        if isinstance(one, ast.Name | ast.Attribute | ast.Subscript) and ast.unparse(one) in places:
            return True
        if isinstance(one, ast.Call) and name_of(one.func) in ("hasattr", "getattr"):
            owner, name = [*one.args, None, None][:2]
            text = constant(name) if name is not None else None
            if owner is not None and f"{ast.unparse(owner)}.{text}" in places:
                return True
    return False


def _waits(function: ast.AsyncFunctionDef, call: ast.Call, kept: ast.expr) -> bool:
    """Whether others run between the question and the pool's being in its place."""
    last = kept.end_lineno or kept.lineno
    last = max(last, call.end_lineno or call.lineno)
    waits = ast.Await | ast.AsyncWith | ast.AsyncFor
    return any(isinstance(one, waits) and one.lineno <= last for one in own(function))


def _is_locked(module: Module, node: ast.AST) -> bool:
    return any(
        isinstance(outer, ast.With | ast.AsyncWith)
        and any("lock" in ast.unparse(item.context_expr).lower() for item in outer.items)
        for outer in module.around(node)
    )


def _is_called_locked(view: View, function: Function) -> bool:
    """Whether every call of a function that is seen stands under a lock."""
    calls = view.calls_of(function)
    return bool(calls) and all(_is_locked(module, call) for module, call in calls)
