"""Pools that together may open more connections than the database allows."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence

from poolkit.audit.address import address_of
from poolkit.audit.finding import Claim, Unread, Violation, rule
from poolkit.audit.libraries import QUEUES
from poolkit.audit.made import Made
from poolkit.audit.syntax import is_none, name_of
from poolkit.audit.view import Settings, View


def _judge(claims: Sequence[Claim], settings: Settings) -> list[str | None]:
    """A message for each pool of a database whose pools together exceed the budget."""
    pools: dict[str, dict[str, float]] = defaultdict(dict)
    for claim in claims:
        one = pools[claim.shared]
        one[claim.instead] = max(one.get(claim.instead, 0.0), claim.amount)
    return [_message(claim, pools[claim.shared], settings) for claim in claims]


def _message(claim: Claim, pools: dict[str, float], settings: Settings) -> str | None:
    budget, processes = settings.max_connections, settings.processes + settings.surge
    total = sum(pools.values())
    if budget is None or total * processes <= budget:
        return None
    if claim.amount * processes > budget or len(pools) == 1:
        shown, total = f"up to {claim.amount:g} connections", claim.amount
    else:
        others = len(pools) - 1
        rest = f"{total - pools[claim.instead]:g} in {others} other pool{'s' if others > 1 else ''}"
        shown = f"up to {claim.amount:g} connections, with {rest} of the same database {total:g},"
    total *= processes
    while_rolling = f" ({settings.surge} of them while a deploy rolls)" if settings.surge else ""
    each = f"in each of {processes} processes{while_rolling}" if processes > 1 else "in 1 process"
    return f"{shown} {each} are {total:g}, the budget is {budget}"


@rule(
    "over-budget",
    why=(
        "Under load the last replicas get `too many clients already` while the others hold "
        "connections that they do not need."
    ),
    cure="pool = await asyncpg.create_pool(dsn, max_size=8)  # 8 x 4 replicas x 2 workers = 64\n",
    notebook="05_database_budget.ipynb",
    judge=_judge,
)
def budget(view: View) -> Iterator[Violation]:
    """The pools of one database together may open more connections than it allows (needs
    --max-connections)."""
    if view.settings.max_connections is None:
        return
    for made in view.made:
        if made.library.is_http or address_of(view, made).kind == "file":
            continue
        size = _most(view, made)
        if isinstance(size, Unread):
            yield Violation(made.call, size)
            continue
        # Made in two places under one name of one function: one of them, by a condition.
        where = made.function.lineno if made.function else made.call.lineno
        where = 0 if made.function is None and made.name else where
        instead = f"{view.module.path}:{where}:{made.name}"
        yield Violation(made.call, Claim(address_of(view, made).key, instead, size))


def _most(view: View, made: Made) -> float | Unread:
    """Most connections that one such pool opens, by its arguments and the library's defaults."""
    arguments = view.figures.arguments(view.module, made.call)
    if arguments is None:
        return Unread("its arguments do not show")
    for key in made.library.other_pool:
        if key in arguments:
            node = arguments[key][1]
            kind = name_of(node)
            if kind in _ONE:
                return 1.0
            if kind not in QUEUES and not is_none(node):
                return Unread(f"{key} = {_shown(node)} has no limit of its own")
    total = 0.0
    for keys, default in made.library.size:
        written = next((key for key in keys if key in arguments), None)
        if written is None:
            total += default
            continue
        part = view.figures.number(*arguments[written])
        shown = f"{written} = {_shown(arguments[written][1])}"
        if part is None:
            return Unread(f"{shown} cannot be read")
        # SQLAlchemy: pool_size = 0 and max_overflow = -1 have no limit, which no sum can show.
        if part < 0 or (part == 0 and written == "pool_size"):
            return Unread(f"{shown} has no limit")
        total += part
    return total


_ONE = frozenset({"StaticPool"})
_SHOWN = 60  # characters of an argument


def _shown(node: ast.expr) -> str:
    text = ast.unparse(node)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
