"""Pools that together may open more connections than the database allows."""

from __future__ import annotations

from collections.abc import Iterator

from poolkit.audit.finding import Rule, Seen, Settings
from poolkit.audit.module import Made, Module, constant, number


def _find(module: Module, settings: Settings) -> Iterator[Seen]:
    if settings.max_connections is None:
        return
    for made in module.made:
        size = _most(made)
        if size is None or size * settings.processes <= settings.max_connections:
            continue
        yield Seen(
            made.call,
            f"up to {size:g} connections in each of {settings.processes} processes are "
            f"{size * settings.processes:g}, the budget is {settings.max_connections}",
        )


def _most(made: Made) -> float | None:
    """Most connections that one such pool opens, by its literals and the library's defaults."""
    if made.hides_arguments or made.maker.is_http:
        return None
    if made.maker.driver == "sqlalchemy":
        url = constant(made.call.args[0]) if made.call.args else None
        is_file = isinstance(url, str) and url.startswith("sqlite")
        if made.keyword("poolclass") is not None or is_file:
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
    what="Pools may open more connections than the database allows (needs --max-connections).",
    why=(
        "Under load the last replicas get `too many clients already` while the others hold "
        "connections that they do not need."
    ),
    cure="pool = await asyncpg.create_pool(dsn, max_size=8)  # 8 x 4 replicas x 2 workers = 64\n",
    notebook="05_database_budget.ipynb",
    find=_find,
)
