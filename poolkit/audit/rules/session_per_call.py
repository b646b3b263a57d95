"""A ClientSession or AsyncClient made for each request."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from poolkit.audit.context import is_handler, is_of_tests, runs_once
from poolkit.audit.escape import escapes, is_fallback, uses
from poolkit.audit.finding import Rule, Seen, Settings
from poolkit.audit.makers import REQUESTS
from poolkit.audit.module import Function, Made, Module


def _find(module: Module, settings: Settings) -> Iterator[Seen]:
    for made in module.made:
        function = made.function
        if not made.maker.is_http or function is None or is_of_tests(module.path):
            continue
        if made.local is None and (made.targets or not made.is_with):
            continue
        if module.is_in_loop(made.call) and _is_spent(module, made, function):
            yield Seen(made.call, f"{made.maker.noun} made anew in each turn of a loop")
        elif is_handler(module, function):
            if made.local is None or not escapes(module, function, made.local):
                yield Seen(
                    made.call, f"{made.maker.noun} made in the request handler {function.name}()"
                )
        elif not runs_once(module, function) and _is_spent(module, made, function):
            yield Seen(
                made.call,
                f"{made.maker.noun} made for the one request that {function.name}() sends",
            )


def _is_spent(module: Module, made: Made, function: Function) -> bool:
    """Whether it sends exactly one request, and nobody else ever sees it."""
    name = made.local
    if name is None or escapes(module, function, name) or is_fallback(module, made, function):
        return False
    sent = [node for node in uses(module, function, name) if _sends(module, node)]
    return len(sent) == 1 and (module.is_in_loop(made.call) or not module.is_in_loop(sent[0]))


def _sends(module: Module, node: ast.Name) -> bool:
    method = module.parents[node]
    return (
        isinstance(method, ast.Attribute)
        and method.attr in REQUESTS - {"ws_connect"}
        and isinstance(module.parents[method], ast.Call)
    )


RULE = Rule(
    name="session-per-call",
    what="A ClientSession or AsyncClient is made for each request.",
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
    find=_find,
)
