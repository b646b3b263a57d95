"""An engine that hands out connections which the server has closed."""

from __future__ import annotations

import math
from collections.abc import Iterator

from poolkit.audit.address import address_of
from poolkit.audit.context import is_of_tests
from poolkit.audit.finding import Rule, Settings, Violation
from poolkit.audit.module import Made, Module
from poolkit.audit.syntax import constant, number

SHORT = 1800.0  # s: balancers and databases drop idle connections after minutes to an hour


def _find(module: Module, settings: Settings) -> Iterator[Violation]:
    for made in [] if is_of_tests(module.path) else module.made:
        seconds = unchecked_age(module, made)
        if seconds == math.inf:
            yield Violation(made.call, "neither pool_pre_ping nor pool_recycle is set")
        elif seconds is not None and not 0 < seconds <= SHORT:
            yield Violation(made.call, f"pool_pre_ping is off and pool_recycle is {seconds:g} s")


def unchecked_age(module: Module, made: Made) -> float | None:
    """The age (s) at which an engine replaces connections that it does not check; inf: at none.

    None: it checks them before use, has no such setting, or the source shows too little.
    """
    library = made.library
    if not library.recycle or made.hides_arguments or made.has_other_pool:
        return None
    # SQLite's file cannot go stale.
    if address_of(module, made).kind != "server":
        return None
    checks = filter(None, map(made.keyword, library.checks))
    if any(constant(check) is not False for check in checks):
        return None
    recycle = made.keyword(library.recycle)
    return math.inf if recycle is None else number(recycle)


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
