"""Certificates that are not checked."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from poolkit.audit.finding import Violation, rule
from poolkit.audit.libraries import BY_PACKAGE, REQUESTS
from poolkit.audit.syntax import constant, keyword, name_of
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
            if constant(keyword(call, key)) is False:
                yield Violation(call, f"{key}=False takes any certificate")
    yield from _contexts(view)


def _contexts(view: View) -> Iterator[Violation]:
    """SSL contexts that are told to take any certificate, and handed to a client."""
    for node in view.module.nodes:
        if isinstance(node, ast.Call):
            if view.module.qualified(node.func) == "ssl._create_unverified_context":
                parent = view.module.parents[node]
                if isinstance(parent, ast.keyword) and parent.arg in _TAKE_CONTEXTS:
                    yield Violation(node, "an unverified context takes any certificate")
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            target = node.targets[0]
            is_off = view.module.qualified(node.value) == "ssl.CERT_NONE"
            if is_off and target.attr == "verify_mode" and _is_handed(view, node, target.value):
                yield Violation(node, "ssl.CERT_NONE takes any certificate")


_TAKE_CONTEXTS = frozenset({"ssl", "verify", "ssl_context"})


def _is_handed(view: View, node: ast.Assign, context: ast.expr) -> bool:
    """Whether the function around passes the context to a client or a request."""
    around = view.module.function_of(node) or view.module.tree
    shown = ast.unparse(context)
    return any(
        isinstance(one, ast.keyword)
        and one.arg in _TAKE_CONTEXTS
        and ast.unparse(one.value) == shown
        for one in ast.walk(around)
    )
