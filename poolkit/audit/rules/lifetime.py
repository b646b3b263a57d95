"""Pools and sessions that are made anew for each call, or never closed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from poolkit.audit.address import address_of
from poolkit.audit.finding import Violation, rule
from poolkit.audit.lending import Use
from poolkit.audit.libraries import BY_PACKAGE, CLOSES, REQUESTS
from poolkit.audit.made import Made
from poolkit.audit.module import Module
from poolkit.audit.remembered import is_remembered
from poolkit.audit.scopes import Binding
from poolkit.audit.syntax import ENTERS, Function, constant, keyword, most_on_a_path, name_of
from poolkit.audit.view import View


@rule(
    "pool-per-call",
    why=(
        "Each call then pays for new connections (TCP, TLS, log-in: tens of milliseconds), "
        "nothing bounds how many the database gets, and the pool never limits anything."
    ),
    cure=(
        "@asynccontextmanager\n"
        "async def lifespan(app):\n"
        "    async with asyncpg.create_pool(dsn, max_size=14) as app.state.pool:\n"
        "        yield\n"
    ),
    notebook="06_diagnose.ipynb",
)
def pool_per_call(view: View) -> Iterator[Violation]:
    """An engine or connection pool is made for each request or call."""
    for made in view.made_anew:
        function, noun = made.function, made.library.noun
        if function is None or made.library.is_http or made.has_other_pool or made.hides_arguments:
            continue
        if address_of(view, made).kind == "file":  # nobody dials, logs in or is asked too often
            continue
        is_stored = made.local is None and bool(made.targets) and not made.is_with
        if view.is_handler(function) and not is_stored:  # made once, for the next request too
            yield Violation(made.call, f"{noun} made in the request handler {function.name}()")
        elif not (view.runs_once(function) or _is_for_an_admin(made)) and _is_used_up(made):
            yield Violation(
                made.call, f"{noun} made, used and given up within each call of {function.name}()"
            )


def _is_for_an_admin(made: Made) -> bool:
    """Whether it creates or drops a database: a server does that outside of transactions only."""
    inside = ast.walk(made.function) if made.function is not None else ()
    return constant(made.keyword("isolation_level")) == "AUTOCOMMIT" or any(
        isinstance(one, ast.Call)
        and name_of(one.func) == "execution_options"
        and constant(keyword(one, "isolation_level")) == "AUTOCOMMIT"
        for one in inside
    )


def _is_used_up(made: Made) -> bool:
    """Whether connections are taken from it here, and no other code ever gets it."""
    words = made.library.acquires | made.library.acquires_for_one_call
    if made.chained in words | made.library.opens or made.is_lent_unnamed():
        return True
    return (
        made.local is not None
        and (bool(made.asked(words)) or made.gives_sessions() or bool(made.lent()))
        and not made.escapes()
    )


_OF_OTHERS = re.compile("session|client", re.IGNORECASE)


@rule(
    "session-per-call",
    why=(
        "Its pool is thrown away with it: every request pays for a new TCP connection and TLS "
        "handshake, and nothing limits how many connections the upstream gets."
    ),
    cure=(
        "async def fetch(session, url):  # one session for the life of the program\n"
        "    async with session.get(url) as reply:\n"
        "        return await reply.read()\n"
    ),
    notebook="06_diagnose.ipynb",
)
def session_per_call(view: View) -> Iterator[Violation]:
    """A ClientSession or AsyncClient is made for each request."""
    module = view.module
    for made in view.made_anew:
        function, noun = made.function, made.library.noun
        if not made.library.is_http or function is None or _is_in_process(made):
            continue
        is_unnamed = made.is_with or made.is_given()
        if made.local is None and (made.targets or not is_unnamed):
            continue
        if is_remembered(module, made.call, function) or view.is_for_a_cache(function):
            continue
        if module.is_in_loop(made.call) and _is_spent(module, made, function):
            yield Violation(made.call, f"{noun} made anew in each turn of a loop")
        elif view.is_handler(function):
            if not made.escapes() or made.is_given():
                yield Violation(made.call, f"{noun} made in the request handler {function.name}()")
        elif not view.runs_once(function) and _is_spent(module, made, function):
            sent = len(made.asked(_SENDS)) + len(made.lent())
            what = "the one request" if sent == 1 else f"the {sent} requests"
            yield Violation(made.call, f"{noun} made for {what} that {function.name}() sends")
    yield from _without_a_client(view)


_IN_PROCESS = ("ASGITransport", "WSGITransport", "MockTransport")
_SENDS = REQUESTS - {"ws_connect"}
_FEW = 3  # requests of a function that does not reuse its session either


def _without_a_client(view: View) -> Iterator[Violation]:
    """`httpx.get(url)`, `aiohttp.request("GET", url)`: a client for each call, unseen."""
    for call, sends in _sent_without(view.module):
        package, name = view.module.meaning(sends)
        library = BY_PACKAGE.get(package)
        if library is None or view.module.qualified(sends) != f"{package}.{name}":
            continue
        function = view.module.function_of(call)
        if function is None or name not in library.one_shots or view.runs_once(function):
            continue
        if not is_remembered(view.module, call, function) and not view.is_for_a_cache(function):
            yield Violation(call, f"{package}.{name}() opens a connection for this one request")


def _sent_without(module: Module) -> Iterator[tuple[ast.Call, ast.expr]]:
    """Each call, and what it runs: itself, or what `to_thread(httpx.get, url)` is handed."""
    for call in module.calls:
        yield call, call.func
        handed = _HANDED.get(name_of(call.func))
        if handed is not None and len(call.args) > handed:
            yield call, call.args[handed]


# What runs a function in a thread: the place of that among its arguments.
_HANDED = {"to_thread": 0, "run_in_threadpool": 0, "run_sync": 0, "partial": 0, "submit": 0}
_HANDED |= {"run_in_executor": 1}


def _is_in_process(made: Made) -> bool:
    """Whether its calls go to an application in this process, as tests do it."""
    transport = made.keyword("transport")
    shown = "" if transport is None else ast.unparse(transport)
    return made.keyword("app") is not None or any(one in shown for one in _IN_PROCESS)


def _is_spent(module: Module, made: Made, function: Function) -> bool:
    """Whether it sends a few requests one after the other, and no other code ever gets it."""
    if made.local is None or made.escapes() or _is_fallback(module, made, function):
        return False
    lent = made.lent()
    sent = [*made.asked(_SENDS), *(call for call, _ in lent)]
    is_again = any(use is Use.LOOP for _, use in lent) or any(
        module.is_in_loop(one, is_retry=False) for one in sent
    )
    is_few = 1 <= len(sent) <= _FEW or (
        len(sent) > _FEW and most_on_a_path(function.body, {*sent}) <= _FEW
    )
    return is_few and not (is_again and not module.is_in_loop(made.call))


def _is_fallback(module: Module, made: Made, function: Function) -> bool:
    """Whether it is made only when the caller brought none: `if session is None: ...`.

    Its name is an argument too, or a branch around it asks about a session that somebody brings.
    A client of its own for each call is none, where the object could have kept one.
    """
    names = module.names(function)
    is_closed = made.is_with or made.is_closed()
    for target in made.targets:
        bindings = names.get(ast.unparse(target), ())
        others = [one for one in bindings if not _makes(module, one, made)]
        if any(not (is_closed and _is_brought(module, made, one.value)) for one in others):
            return True
    for outer in module.around(made.call):
        if outer is function:
            return False
        if not isinstance(outer, ast.If | ast.IfExp) or not _OF_OTHERS.search(
            ast.unparse(outer.test)
        ):
            continue
        asked = ast.walk(outer.test)
        if not (is_closed and any(_is_brought(module, made, one) for one in asked)):
            return True
    return False


def _makes(module: Module, binding: Binding, made: Made) -> bool:
    """Whether a name is bound there to such a client, made anew."""
    return binding.value is not None and _is_maker(module, binding.value, made)


def _is_maker(module: Module, value: ast.expr, made: Made) -> bool:
    match value:
        case ast.Await(value=inner) | ast.NamedExpr(value=inner):
            return _is_maker(module, inner, made)
        case ast.IfExp(body=body, orelse=orelse):
            return _is_maker(module, body, made) and _is_maker(module, orelse, made)
        case ast.Call(func=func, args=[first, *_]) if name_of(func) in ENTERS:
            return _is_maker(module, first, made)
        case ast.Call():
            meant = module.meaning(made.call.func)
            return value is made.call or (meant[0] != "" and module.meaning(value.func) == meant)
    return False


def _is_brought(module: Module, made: Made, node: ast.AST | None) -> bool:
    """`self.client` of a class that never makes one to keep: without one it makes one each time."""
    owner = module.class_of(made.call)
    if owner is None or not isinstance(node, ast.Attribute):
        return False
    values = [value for value, _ in module.attributes(owner).get(node.attr, ())]
    makers = {module.meaning(value.func)[1] for value in values if isinstance(value, ast.Call)}
    return getattr(node.value, "id", "") == "self" and makers.isdisjoint(made.library.makers)


@rule(
    "never-closed",
    why=(
        "Its connections stay open until the garbage collector or the server ends them: the "
        "upstream counts them against its limit, and a shut-down leaves half-sent requests."
    ),
    cure=("async with aiohttp.ClientSession() as session:\n    ...\n"),
    notebook="06_diagnose.ipynb",
)
def never_closed(view: View) -> Iterator[Violation]:
    """A pool, session or client is opened and nothing closes it."""
    module = view.module
    for made in view.made_anew:
        noun, is_http = made.library.noun, made.library.is_http
        if made.is_with or made.function is None or (made.has_other_pool and not is_http):
            continue
        if _is_in_process(made):
            continue
        if is_http and _is_sent_at_once(module, made):
            yield Violation(made.call, f"{noun} is used without a name, so nothing can close it")
        elif made.local is not None:
            # A file has no server that counts its connections.
            is_file = not is_http and address_of(view, made).kind == "file"
            if not (made.escapes() or made.is_closed() or is_file) and _opens(made):
                yield Violation(made.call, f"{noun} {made.local!r} is never closed")
        # An engine is often left to the end of the process.
        elif is_http and _is_own_attribute(view, made):
            yield Violation(made.call, f"{noun} {made.name!r} is never closed")


def _is_sent_at_once(module: Module, made: Made) -> bool:
    """`ClientSession().get(url)`: used in the expression that makes it."""
    parent = module.parents[made.call]
    return (
        isinstance(parent, ast.Attribute)
        and parent.attr not in CLOSES | {"__aenter__"}
        and isinstance(module.parents[parent], ast.Call)
    )


def _opens(made: Made) -> bool:
    """Whether connections are opened at all: an engine only dials when it is asked for one."""
    opens = made.library.opens
    return not opens or bool(made.asked(opens)) or made.gives_sessions() or bool(made.lent())


def _is_own_attribute(view: View, made: Made) -> bool:
    """`self.session` of a class whose every use is visible and closes it nowhere.

    Its bases and subclasses could close it, and so could anybody who is handed the object or reads
    its attribute under another name: where one of these does not show, the rule is silent.
    """
    module = view.module
    owner = module.class_of(made.call)
    target = made.targets[0] if len(made.targets) == 1 else None
    if owner is None or not isinstance(target, ast.Attribute):
        return False
    if getattr(target.value, "id", None) != "self" or target.attr in view.program.closed:
        return False
    family = view.values.family(module, owner)
    return family is not None and not any(_is_handed_on(one, target.attr) for one in family)


def _is_used_here(module: Module, getter: Function) -> bool:
    return any(isinstance(one, ast.Attribute) and one.attr == getter.name for one in module.nodes)


def _is_handed_on(module: Module, name: str, depth: int = 2) -> bool:
    """Whether a module does anything but send requests through an attribute of that name.

    A method that returns it counts as the attribute does.
    """
    for node in module.nodes:
        if not isinstance(node, ast.Attribute) or node.attr != name:
            continue
        if isinstance(node.ctx, ast.Store):
            continue
        parent = module.parents[node]
        if isinstance(parent, ast.Call) and parent.func is node:  # self._client().get(url)
            parent = module.parents[parent]
        if isinstance(parent, ast.Await):
            parent = module.parents[parent]
        if isinstance(parent, ast.Return) and depth:
            getter = module.function_of(parent)
            if getter is None or not _is_used_here(module, getter):
                return True
            if _is_handed_on(module, getter.name, depth - 1):
                return True
            continue
        is_request = isinstance(parent, ast.Attribute) and parent.attr not in CLOSES
        if not is_request and not isinstance(parent, ast.Compare | ast.If | ast.UnaryOp):
            return True
    return False
