"""An engine that hands out connections which the server has closed."""

from __future__ import annotations

from collections.abc import Iterator

from poolkit.audit.address import address_of
from poolkit.audit.context import is_of_tests
from poolkit.audit.finding import Rule, Seen, Settings
from poolkit.audit.module import Module, constant, number

SHORT = 1800.0  # s: balancers and databases drop idle connections after minutes to an hour


def _find(module: Module, settings: Settings) -> Iterator[Seen]:
    for made in module.made:
        if made.maker.driver != "sqlalchemy" or is_of_tests(module.path):
            continue
        if made.hides_arguments or made.keyword("poolclass") is not None:
            continue
        # SQLite's file cannot go stale.
        if address_of(module, made).kind != "server":
            continue
        ping, recycle = made.keyword("pool_pre_ping"), made.keyword("pool_recycle")
        if ping is not None and constant(ping) is not False:
            continue
        if recycle is None:
            yield Seen(made.call, "neither pool_pre_ping nor pool_recycle is set")
        elif (seconds := number(recycle)) is not None and not 0 < seconds <= SHORT:
            yield Seen(made.call, f"pool_pre_ping is off and pool_recycle is {seconds:g} s")


RULE = Rule(
    name="stale-connections",
    what="pool_pre_ping is off and pool_recycle is not short.",
    why=(
        "A database restart, a failover or a balancer's idle timeout leaves dead connections in "
        "the pool, and each of them fails one request."
    ),
    cure=(
        "engine = create_async_engine(url, pool_recycle=240)  # below the server's idle timeout\n"
        "engine = create_async_engine(url, pool_pre_ping=True)  # or ask before each use\n"
    ),
    notebook="04_keepalive_and_stale.ipynb",
    find=_find,
)
