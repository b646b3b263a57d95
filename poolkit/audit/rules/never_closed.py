"""A pool or session that nothing closes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from poolkit.audit.escape import closes, escapes
from poolkit.audit.finding import Rule, Seen, Settings
from poolkit.audit.makers import CLOSES
from poolkit.audit.module import Function, Made, Module

ENGINE_OPENS = frozenset({"connect", "begin", "raw_connection", "execute"})


def _find(module: Module, settings: Settings) -> Iterator[Seen]:
    for made in module.made:
        if made.is_with or made.function is None or made.keyword("poolclass") is not None:
            continue
        if _is_sent_at_once(module, made):
            yield Seen(
                made.call, f"{made.maker.noun} is used without a name, so nothing can close it"
            )
        elif made.local is not None:
            if (
                not escapes(module, made.function, made.local)
                and not closes(made.function, made.local)
                and _opens(made.function, made)
            ):
                yield Seen(made.call, f"{made.maker.noun} {made.local!r} is never closed")
        elif _is_own_attribute(module, made):
            yield Seen(made.call, f"{made.maker.noun} {made.kept_as!r} is never closed")


def _is_sent_at_once(module: Module, made: Made) -> bool:
    """`ClientSession().get(url)`: used in the expression that makes it."""
    parent = module.parents[made.call]
    return (
        isinstance(parent, ast.Attribute)
        and parent.attr not in CLOSES | {"__aenter__"}
        and (isinstance(module.parents[parent], ast.Call) and made.maker.is_http)
    )


def _opens(function: Function, made: Made) -> bool:
    """Whether connections are opened at all: an engine only dials when it is asked for one."""
    return made.maker.driver != "sqlalchemy" or any(
        isinstance(node, ast.Attribute)
        and node.attr in ENGINE_OPENS
        and ast.unparse(node.value) == made.local
        for node in ast.walk(function)
    )


def _is_own_attribute(module: Module, made: Made) -> bool:
    """`self.session` of a class whose every use is seen here and closes it nowhere.

    A base class could close it, and so could anybody who is handed the object or reads its
    attribute under another name: then the rule is silent.
    """
    owner = module.class_of(made.call)
    target = made.targets[0] if len(made.targets) == 1 else None
    if (
        owner is None
        or owner.bases
        or not made.maker.is_http  # an engine is often left to the end of the process
        or not isinstance(target, ast.Attribute)
        or getattr(target.value, "id", None) != "self"
    ):
        return False
    for node in module.nodes:
        if not isinstance(node, ast.Attribute) or node.attr != target.attr:
            continue
        if isinstance(node.ctx, ast.Store):
            continue
        parent = module.parents[node]
        is_request = isinstance(parent, ast.Attribute) and parent.attr not in CLOSES
        if not is_request and not isinstance(parent, ast.Compare | ast.If | ast.UnaryOp):
            return False
    return True


RULE = Rule(
    name="never-closed",
    what="A pool, session or client is opened and nothing closes it.",
    why=(
        "Its connections stay open until the garbage collector or the server ends them: the "
        "upstream counts them against its limit, and a shut-down leaves half-sent requests."
    ),
    cure="async with aiohttp.ClientSession() as session:\n    ...\n",
    notebook="06_diagnose.ipynb",
    find=_find,
)
