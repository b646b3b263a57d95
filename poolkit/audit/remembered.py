"""Whether what a request brings is kept, so that the client of it is no client per call."""

from __future__ import annotations

import ast
import math
import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import accumulate

from poolkit.audit.module import Module
from poolkit.audit.scopes import own
from poolkit.audit.syntax import Function, name_of

_Span = tuple[float, float]  # the first line, and the line after the last one


def is_remembered(module: Module, call: ast.Call, function: Function) -> bool:
    """Whether it is made only where nothing is remembered: `if fresh: return self._token`, or
    what it brings is kept in a global name."""
    begins, ends = _spans(module, function)
    at = bisect_right(begins, call.lineno)
    return at > 0 and ends[at - 1] > call.lineno


@lru_cache(maxsize=64)  # asked again for each call in it
def _spans(module: Module, function: Function) -> tuple[list[float], list[float]]:
    """Where whatever is brought is remembered: where spans begin, and the last end of these."""
    inside = [*own(function)]
    kept = {name for one in inside if isinstance(one, ast.Global) for name in one.names}
    spans: list[_Span] = [
        (0, one.lineno)
        for one in inside
        if isinstance(one, ast.Name) and one.id in kept and isinstance(one.ctx, ast.Store)
    ]
    spans += _stored(module, inside)
    for statement in function.body:
        if not isinstance(statement, ast.If) or not isinstance(statement.body[-1], ast.Return):
            continue
        given = statement.body[-1].value
        is_kept = isinstance(given, ast.Attribute) or (
            isinstance(given, ast.Name) and isinstance(module.bound(given)[0], ast.Module)
        )
        if is_kept and _REMEMBERS.search(ast.unparse(statement)):
            spans.append((statement.lineno + 1, math.inf))
            break
    spans.sort()
    return [begin for begin, _ in spans], [*accumulate((end for _, end in spans), max)]


def _stored(module: Module, inside: list[ast.AST]) -> Iterator[_Span]:
    """Up to where a function stores a token, a key or the like, or what it asked for before.

    `self._token = ...`; `cache[key] = ...` and `self.models = ...` after a branch that asked
    whether there is one.
    """
    branches = [one for one in inside if isinstance(one, ast.If)]
    tests = [f"{ast.unparse(one.test)} " for one in branches]
    ends = [*accumulate(map(len, tests))]
    asked = "".join(tests)

    @cache
    def first(text: str) -> float:
        """The line of the first branch that asks for it; infinity: none does."""
        at = asked.find(text)
        return math.inf if at < 0 else branches[bisect_right(ends, at)].lineno

    for one in inside:
        if not isinstance(one, ast.Attribute | ast.Subscript) or not isinstance(one.ctx, ast.Store):
            continue
        if isinstance(one, ast.Subscript):
            owner = one.value
            if isinstance(owner, ast.Attribute) or (
                isinstance(owner, ast.Name) and isinstance(module.bound(owner)[0], ast.Module)
            ):
                shown = ast.unparse(owner)
                yield 0 if _CACHE.search(shown) else first(shown), one.lineno
        elif name_of(one.value) in ("self", "cls"):
            yield 0 if _REMEMBERS.search(one.attr) else first(ast.unparse(one)), one.lineno


_CACHE = re.compile("cache", re.IGNORECASE)
_REMEMBERS = re.compile("cache|token|fresh|expir|valid|jwks|_until$", re.IGNORECASE)
