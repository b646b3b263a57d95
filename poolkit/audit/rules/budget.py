"""Pools that together may open more connections than the database allows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from poolkit.audit.address import address_of
from poolkit.audit.context import is_of_tests
from poolkit.audit.finding import Claim, Rule, Settings
from poolkit.audit.module import Made, Module, number


def _claims(module: Module, settings: Settings) -> Iterator[Claim]:
    if settings.max_connections is None or is_of_tests(module.path):
        return
    for made in module.made:
        size = _most(module, made)
        if size is not None:
            # Made in two places under one name of one function: one of them, by a condition.
            where = made.function.lineno if made.function else made.call.lineno
            where = 0 if made.function is None and made.kept_as else where
            name = f"{module.path}:{where}:{made.kept_as}"
            yield Claim(made.call, address_of(module, made).key, name, size)


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
        said, total = f"up to {claim.amount:g} connections", claim.amount
    else:
        others = len(pools) - 1
        rest = f"{total - pools[claim.instead]:g} in {others} other pool{'s' if others > 1 else ''}"
        said = f"up to {claim.amount:g} connections, with {rest} of the same database {total:g},"
    return (
        f"{said} in each of {processes} processes are {total * processes:g}, the budget is {budget}"
    )


def _most(module: Module, made: Made) -> float | None:
    """Most connections that one such pool opens, by its literals and the library's defaults."""
    if made.hides_arguments or made.maker.is_http:
        return None
    if made.maker.driver == "sqlalchemy":
        if made.keyword("poolclass") is not None or address_of(module, made).kind == "file":
            return None
        return _sum(_of(made, "pool_size", 5.0), _of(made, "max_overflow", 10.0))
    if made.maker.driver == "psycopg":
        least = _of(made, "min_size", 4.0)
        return _of(made, "max_size", least)
    return _of(made, "max_size", 10.0)


def _of(made: Made, name: str, default: float | None) -> float | None:
    argument = made.keyword(name)
    return default if argument is None else number(argument)


def _sum(size: float | None, overflow: float | None) -> float | None:
    # An overflow of -1 has no limit, which no sum can show.
    return None if size is None or overflow is None or overflow < 0 else size + overflow


RULE = Rule(
    name="over-budget",
    what=(
        "The pools of one database together may open more connections than it allows (needs "
        "--max-connections)."
    ),
    why=(
        "Under load the last replicas get `too many clients already` while the others hold "
        "connections that they do not need."
    ),
    cure="pool = await asyncpg.create_pool(dsn, max_size=8)  # 8 x 4 replicas x 2 workers = 64\n",
    notebook="05_database_budget.ipynb",
    claims=_claims,
    judge=_judge,
)
