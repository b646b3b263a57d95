"""Certificates that are not checked."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Set

from poolkit.audit.finding import Violation, rule
from poolkit.audit.libraries import BY_PACKAGE, REQUESTS
from poolkit.audit.module import Module
from poolkit.audit.scopes import own
from poolkit.audit.syntax import Function, constant, name_of
from poolkit.audit.view import View


@rule(
    "ssl-off",
    why="Whoever stands between the service and the upstream can read and change every call.",
    cure=(
        'context = ssl.create_default_context(cafile="internal-ca.pem")\n'
        "connector = aiohttp.TCPConnector(ssl=context)\n"
    ),
    notebook="06_diagnose.ipynb",
)
def ssl_off(view: View) -> Iterator[Violation]:
    """Certificates are not checked."""
    for call in view.module.calls:
        package, name = view.module.meaning(call.func)
        keys: tuple[str, ...] = ()
        if (library := BY_PACKAGE.get(package)) is not None:
            keys = library.unverified.get(name, library.unverified.get("*", ()))
        elif name_of(call.func) in REQUESTS and (pool := view.pool_asked(call)) is not None:
            keys = pool.unverified_requests
        for key in keys:
            if constant(view.figures.argument(view.module, call, key)) is False:
                yield Violation(call, f"{key}=False takes any certificate")
    yield from _contexts(view)


def _contexts(view: View) -> Iterator[Violation]:
    """SSL contexts that are told to take any certificate, and handed to a client."""
    for node in view.module.nodes:
        if isinstance(node, ast.Call):
            if view.module.qualified(node.func) == "ssl._create_unverified_context":
                parent = view.module.parents[node]
                is_given = isinstance(parent, ast.keyword) and parent.arg in _TAKE_CONTEXTS
                if isinstance(parent, ast.Assign):
                    is_given = _is_handed(view, node, parent.targets[0])
                if is_given:
                    yield Violation(node, "an unverified context takes any certificate")
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            target = node.targets[0]
            is_off = view.module.qualified(node.value) == "ssl.CERT_NONE"
            is_off = is_off and not _is_chosen(view.module, node)
            if is_off and target.attr == "verify_mode" and _is_handed(view, node, target.value):
                yield Violation(node, "ssl.CERT_NONE takes any certificate")


_MODES = re.compile("ssl_?mode|verify|insecure|self_signed", re.IGNORECASE)


def _is_chosen(module: Module, node: ast.AST) -> bool:
    """Whether who runs the program asks for it there: by a mode like PostgreSQL's `sslmode`."""
    for outer in module.around(node):
        if isinstance(outer, Function):
            return False
        if isinstance(outer, ast.If) and _MODES.search(ast.unparse(outer.test)):
            return True
    return False


_TAKE_CONTEXTS = frozenset({"ssl", "verify", "ssl_context"})


def _is_handed(view: View, node: ast.AST, context: ast.expr) -> bool:
    """Whether the function around passes the context to a client or a request, or its callers do.

    `ssl=context`, `{"ssl": context}`; `verify=make_context()` of a function that returns it.
    """
    function = view.module.function_of(node)
    shown = ast.unparse(context)
    if _takes(function or view.module.tree, {shown}):
        return True
    if function is None or isinstance(context, ast.Attribute):
        owner = view.module.class_of(node)
        return owner is not None and _takes(owner, {shown})
    if not any(
        isinstance(one, ast.Return) and one.value is not None and ast.unparse(one.value) == shown
        for one in own(function)
    ):
        return False
    return any(_is_taken(module.parents[call], call) for module, call in view.calls_of(function))


def _takes(around: ast.AST, shown: set[str]) -> bool:
    return any(_is_taken(one, None, shown) for one in ast.walk(around))


def _is_taken(node: ast.AST, value: ast.expr | None, shown: Set[str] = frozenset()) -> bool:
    """Whether a node hands a context on: an argument of a client, or an item of its settings."""
    match node:
        case ast.keyword(arg=str(name), value=given) if name in _TAKE_CONTEXTS:
            return given is value or ast.unparse(given) in shown
        case ast.Dict(keys=keys, values=values):
            return any(
                constant(key) in _TAKE_CONTEXTS and (v is value or ast.unparse(v) in shown)
                for key, v in zip(keys, values, strict=True)
            )
    return False
