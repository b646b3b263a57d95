"""A pool or session that nothing closes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from poolkit.audit.finding import Rule, Settings, Violation
from poolkit.audit.libraries import CLOSES
from poolkit.audit.module import Made, Module


def _find(module: Module, settings: Settings) -> Iterator[Violation]:
    for made in module.made:
        noun, is_http = made.library.noun, made.library.is_http
        if made.is_with or made.function is None or (made.has_other_pool and not is_http):
            continue
        if is_http and _is_sent_at_once(module, made):
            yield Violation(made.call, f"{noun} is used without a name, so nothing can close it")
        elif made.local is not None:
            if not made.escapes() and not made.is_closed() and _opens(made):
                yield Violation(made.call, f"{noun} {made.local!r} is never closed")
        # An engine is often left to the end of the process.
        elif is_http and _is_own_attribute(module, made):
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
    return not opens or any(used.attr in opens for used in made.attributes())


def _is_own_attribute(module: Module, made: Made) -> bool:
    """`self.session` of a class whose every use is visible here and closes it nowhere.

    A base class could close it, and so could anybody who is handed the object or reads its
    attribute under another name: then the rule is silent.
    """
    owner = module.class_of(made.call)
    target = made.targets[0] if len(made.targets) == 1 else None
    if owner is None or owner.bases or not isinstance(target, ast.Attribute):
        return False
    if getattr(target.value, "id", None) != "self":
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
