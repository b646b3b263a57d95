"""A ClientSession or AsyncClient made for each request."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from poolkit.audit.context import is_handler, is_of_tests, runs_once
from poolkit.audit.finding import Rule, Settings, Violation
from poolkit.audit.libraries import REQUESTS
from poolkit.audit.module import Made, Module
from poolkit.audit.syntax import Function, arguments_of, bound

_OF_OTHERS = re.compile("session|client", re.IGNORECASE)


def _find(module: Module, settings: Settings) -> Iterator[Violation]:
    for made in module.made:
        function, noun = made.function, made.library.noun
        if not made.library.is_http or function is None or is_of_tests(module.path):
            continue
        if made.local is None and (made.targets or not made.is_with):
            continue
        if module.is_in_loop(made.call) and _is_spent(module, made, function):
            yield Violation(made.call, f"{noun} made anew in each turn of a loop")
        elif is_handler(module, function):
            if not made.escapes():
                yield Violation(made.call, f"{noun} made in the request handler {function.name}()")
        elif not runs_once(module, function) and _is_spent(module, made, function):
            yield Violation(
                made.call, f"{noun} made for the one request that {function.name}() sends"
            )


def _is_spent(module: Module, made: Made, function: Function) -> bool:
    """Whether it sends exactly one request, and no other code ever gets it."""
    if made.local is None or made.escapes() or _is_fallback(module, made, function):
        return False
    sent = [
        used
        for used in made.attributes()
        if used.attr in REQUESTS - {"ws_connect"} and isinstance(module.parents[used], ast.Call)
    ]
    return len(sent) == 1 and (module.is_in_loop(made.call) or not module.is_in_loop(sent[0]))


def _is_fallback(module: Module, made: Made, function: Function) -> bool:
    """Whether it is made only when the caller brought none: `if not self.session: ...`.

    Its name is bound in several places or an argument, or a branch around it asks about a session.
    """
    names = {ast.unparse(target) for target in made.targets}
    if len(bound(ast.walk(function), names)) > 1 or names & arguments_of(function):
        return True
    for outer in module.around(made.call):
        if outer is function:
            return False
        if isinstance(outer, ast.If | ast.IfExp) and _OF_OTHERS.search(ast.unparse(outer.test)):
            return True
    return False


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
