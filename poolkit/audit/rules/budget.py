"""Pools that together may open more connections than the database allows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from poolkit.audit.address import address_of
from poolkit.audit.finding import Claim, Violation, rule
from poolkit.audit.made import Made
from poolkit.audit.syntax import number
from poolkit.audit.view import Settings, View


def _judge(claims: Sequence[Claim], settings: Settings) -> list[str | None]:
    """A message for each pool of a database whose pools together exceed the budget."""
    pools: dict[str, dict[str, float]] = defaultdict(dict)
    for claim in claims:
        one = pools[claim.shared]
        one[claim.instead] = max(one.get(claim.instead, 0.0), claim.amount)
    return [_message(claim, pools[claim.shared], settings) for claim in claims]


def _message(claim: Claim, pools: dict[str, float], settings: Settings) -> str | None:
    budget, processes = settings.max_connections, settings.processes
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
    return f"{shown} in each of {processes} processes are {total:g}, the budget is {budget}"


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
        size = _most(view, made)
        if size is not None:
            # Made in two places under one name of one function: one of them, by a condition.
            where = made.function.lineno if made.function else made.call.lineno
            where = 0 if made.function is None and made.name else where
            instead = f"{view.module.path}:{where}:{made.name}"
            yield Violation(made.call, Claim(address_of(view, made).key, instead, size))


def _most(view: View, made: Made) -> float | None:
    """Most connections that one such pool opens, by its literals and the library's defaults."""
    library = made.library
    if library.is_http or made.hides_arguments or made.has_other_pool:
        return None
    if address_of(view, made).kind == "file":
        return None
    total = 0.0
    for names, default in library.size:
        argument = next(filter(None, map(made.keyword, names)), None)
        part = default if argument is None else number(argument)
        if part is None or part < 0:  # an overflow of -1 has no limit, which no sum can show
            return None
        total += part
    return total
