"""Connections that are held while nobody needs them: across other calls, streams, tasks."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from poolkit.audit.finding import Violation, rule
from poolkit.audit.holding import FREES, Hold, Reached, reached, uses
from poolkit.audit.libraries import BY_PACKAGE, REMOTE, REQUESTS
from poolkit.audit.module import Module
from poolkit.audit.scopes import own
from poolkit.audit.syntax import Function, keyword, name_of, passes
from poolkit.audit.view import View

_STREAMS = frozenset({"StreamingResponse", "EventSourceResponse"})
_HANDED_OVER = frozenset({"add_task", "create_task", "ensure_future", "start_soon", "Thread"})


@rule(
    "held-across-call",
    why=(
        "The connection, and the transaction on it, wait for as long as the other service takes: "
        "a slow hour there empties the pool here."
    ),
    cure=(
        "async with sessions() as session:\n"
        "    key = await load_key(session)\n"
        "answer = await model.post('/extract', json={'key': key})  # holds no connection\n"
        "async with sessions() as session:\n"
        "    await save(session, answer)\n"
    ),
    notebook="06_diagnose.ipynb",
)
def held_across_call(view: View) -> Iterator[Violation]:
    """A connection is held while another service is called."""
    for hold in view.holds:
        if hold.value.library is None or hold.value.library.is_http:
            continue
        is_held = not hold.is_lazy
        for one in reached(view.values, view.module, hold.body):
            if not one.through and hold.name and uses(one.call, hold.name):
                is_held = not hold.is_lazy or name_of(one.call.func) not in FREES
            elif is_held and (what := _remote(view, one)):
                yield Violation(one.first, f"{what} is called while {_shown(hold)} is held")
                break


def _remote(view: View, one: Reached) -> str:
    """What another service is called by; empty: it is none."""
    name = name_of(one.call.func)
    pool = view.values.pool_asked(one.module, one.call, one.given)
    if pool is not None and pool.library is not None:
        is_request = pool.library.is_http and name in REQUESTS
        return f"{ast.unparse(one.call.func)}()" if is_request else ""
    package, last = one.module.meaning(one.call.func)
    library = BY_PACKAGE.get(package)
    if library is not None and library.is_http and last in library.one_shots:
        return f"{package}.{last}()"
    return f"{ast.unparse(one.call.func)}()" if _is_of_remote_client(view, one) else ""


# What makes a client of these calls nobody yet.
_SETS_UP = frozenset({"client", "resource", "with_options", "copy", "close", "aclose"})


def _is_of_remote_client(view: View, one: Reached) -> bool:
    """`client.chat.completions.create()` of a client that a library for remote services made."""
    func = one.call.func
    if one.module.meaning(func)[0] in REMOTE:  # not the client's own constructor
        return name_of(func).islower() and name_of(func) not in _SETS_UP
    if not isinstance(func, ast.Attribute) or func.attr in _SETS_UP:
        return False
    owner = view.values.of(one.module, func.value, one.given)
    return owner is not None and owner.role == "remote"


@rule(
    "held-while-streaming",
    why=(
        "A stream lasts as long as its reader likes, and each holds a connection: as many slow "
        "readers as the pool has connections stop everybody else."
    ),
    cure=(
        "async def stream():\n"
        "    async for part in model.answer(question):  # holds no connection\n"
        "        yield part\n"
        "    async with sessions() as session:\n"
        "        await save(session, question)\n"
    ),
    notebook="06_diagnose.ipynb",
)
def held_while_streaming(view: View) -> Iterator[Violation]:
    """A connection is held while an answer is streamed to its reader."""
    module = view.module
    streamed = _streamed(view)
    for hold in view.holds:
        function = module.function_of(hold.node)
        if hold.how == "argument":
            for call in _streams(hold.body):
                sources = [one for one in _sources(view, module, call) if one in module.parents]
                if any(_reads(module, source, hold) for source in sources):
                    yield Violation(call, f"{_shown(hold)} is held until the stream ends")
        elif function in streamed and any(_yields(node) for node in hold.body):
            node = hold.node
            assert isinstance(node, ast.expr)
            yield Violation(node, f"{_shown(hold)} is held while {function.name}() streams")


def _streams(nodes: object) -> list[ast.Call]:
    """The streaming answers that are made in some nodes."""
    assert isinstance(nodes, list)
    return [
        call
        for node in nodes
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and name_of(call.func) in _STREAMS
    ]


def _sources(view: View, module: Module, call: ast.Call) -> list[ast.AST]:
    """What a streaming answer reads from: its generator's body, and what that is given."""
    found: list[ast.AST] = []
    argument = call.args[0] if call.args else keyword(call, "content")
    if isinstance(argument, ast.Name):
        _, bindings = module.bound(argument)
        argument = bindings[0].value if len(bindings) == 1 and bindings[0].value else argument
    if argument is not None:
        found.append(argument)
    if isinstance(argument, ast.Call):
        made = view.values.function(module, argument)
        if made is not None:
            found.append(made[0].node)
    return found


def _reads(module: Module, source: ast.AST, hold: Hold) -> bool:
    """Whether a generator, or the call of one, works with the session of the request."""
    around = hold.node if isinstance(hold.node, ast.arg) else None
    return any(
        isinstance(node, ast.Name)
        and node.id == hold.name
        and any(one.node is around for one in module.bound(node)[1])
        for node in ast.walk(source)
    )


def _streamed(view: View) -> set[ast.AST]:
    """The generators that streaming answers of the program read from."""
    found: set[ast.AST] = set()
    for word in _STREAMS:
        for module, call in view.program.calls_of.get(word, ()):
            found.update(one for one in _sources(view, module, call) if isinstance(one, Function))
    return found


def _yields(node: ast.AST) -> bool:
    return any(isinstance(one, ast.Yield | ast.YieldFrom) for one in ast.walk(node))


@rule(
    "session-in-background",
    why=(
        "The request's end closes the session under the task, or the session stays open as long "
        "as the task takes: either it fails now and then, or it empties the pool."
    ),
    cure=(
        "async def enrich(track):\n"
        "    async with sessions() as session:  # its own, and only while it needs one\n"
        "        ...\n"
        "tasks.add_task(enrich, track)\n"
    ),
    notebook="06_diagnose.ipynb",
)
def session_in_background(view: View) -> Iterator[Violation]:
    """The session of a request is handed to a task that outlives the request."""
    module = view.module
    for hold in view.holds:
        if hold.how != "argument":
            continue
        for node in hold.body:
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and _hands_over(module, call, hold):
                    yield Violation(call, f"{_shown(hold)} is handed to a task of its own")


def _hands_over(module: Module, call: ast.Call, hold: Hold) -> bool:
    if name_of(call.func) not in _HANDED_OVER or _is_waited_for(module, call):
        return False
    function = module.function_of(call)
    for one in passes(call):
        inner = passes(one) if isinstance(one, ast.Call) else [one]
        inner = [e for n in inner for e in (n.elts if isinstance(n, ast.Tuple) else [n])]
        for node in inner:
            if isinstance(node, ast.Name) and node.id == hold.name:
                return True
        # A function inside this one, or a method of an object here, that works with it.
        root = one.func if isinstance(one, ast.Call) else one
        root = root.value if isinstance(root, ast.Attribute) else root
        for binding in module.bound(root)[1] if isinstance(root, ast.Name) else ():
            is_inside = isinstance(binding.node, Function) and binding.node is not function
            if is_inside and module.function_of(binding.node) is function:
                if _reads(module, binding.node, hold):
                    return True
            elif isinstance(binding.value, ast.Call) and root is not one:
                given = passes(binding.value)
                if any(isinstance(n, ast.Name) and n.id == hold.name for n in given):
                    return True
    return False


def _is_waited_for(module: Module, call: ast.Call) -> bool:
    """Whether the request waits for the task: `await task`, or in a group of tasks."""
    if isinstance(call.func, ast.Attribute):
        group = ast.unparse(call.func.value)
        for outer in module.around(call):
            if isinstance(outer, ast.AsyncWith) and any(
                item.optional_vars is not None and ast.unparse(item.optional_vars) == group
                for item in outer.items
            ):
                return True
    parent, function = module.parents[call], module.function_of(call)
    if isinstance(parent, ast.Await):
        return True
    if not isinstance(parent, ast.Assign) or not isinstance(parent.targets[0], ast.Name):
        return False
    name = parent.targets[0].id
    return any(
        isinstance(one, ast.Await)
        and any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(one))
        for one in (own(function) if function is not None else ())
    )


@rule(
    "cleanup-skipped",
    why=(
        "What is raised where the session is used skips the line that closes it; the connection "
        "comes back when the garbage collector finds it, or never."
    ),
    cure=(
        "async def get_session():\n"
        "    async with sessions() as session:  # closes it whatever happens\n"
        "        yield session\n"
    ),
    notebook="06_diagnose.ipynb",
)
def cleanup_skipped(view: View) -> Iterator[Violation]:
    """A dependency or context manager closes what it yields only when nothing was raised."""
    module = view.module
    for function in module.nodes:
        if not isinstance(function, Function):
            continue
        inside = [*own(function)]
        for node in inside:
            if not isinstance(node, ast.Yield) or not isinstance(node.value, ast.expr):
                continue
            # A stream's parts are no resources.
            given = view.values.of(module, node.value)
            if given is None or given.role not in ("session", "pool"):
                continue
            late = [one for one in inside if _closes(view, one, node.lineno)]
            if any(not module.is_safe(one) for one in late):
                yield Violation(
                    node, f"what {function.name}() yields is closed only if all is well"
                )
                break


def _closes(view: View, node: ast.AST, line: int) -> bool:
    """Whether a call below a line closes a session, a connection or a pool."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    if node.lineno <= line:
        return False
    if node.func.attr not in ("close", "aclose", "dispose", "release", "putconn"):
        return False
    owner = view.values.of(view.module, node.func.value)
    return owner is not None and owner.role in ("session", "pool")


def _shown(hold: Hold) -> str:
    library = hold.value.library
    assert library is not None
    return f"{hold.name!r}" if hold.name else f"a connection of a {library.noun}"
