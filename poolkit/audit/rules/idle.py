"""Idle connections: closed by the server before their pool knows, or by the pool too soon."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

from poolkit.audit.address import address_of
from poolkit.audit.finding import Violation, rule
from poolkit.audit.libraries import BY_PACKAGE, Library
from poolkit.audit.made import Made
from poolkit.audit.syntax import constant, hides_arguments, keyword, number
from poolkit.audit.view import View

_MOST = "max_connections"
_DEFAULT = 20.0  # httpx 0.28: Limits(max_connections=100, max_keepalive_connections=20)
SHORT = 1800.0  # s: balancers and databases drop idle connections after minutes to an hour


@rule(
    "stale-connections",
    why=(
        "A database restart, a failover or a balancer's idle timeout leaves dead connections in "
        "the pool, and each of them fails one request."
    ),
    cure=(
        "engine = create_async_engine(url, pool_recycle=240)  # below the server's idle timeout\n"
        "engine = create_async_engine(url, pool_pre_ping=True)  # or ask before each use\n"
    ),
    notebook="04_keepalive_and_stale.ipynb",
)
def stale(view: View) -> Iterator[Violation]:
    """pool_pre_ping is off and pool_recycle is not short."""
    for made in view.made:
        if made.is_closed():  # in the function that makes it: nothing idles there
            continue
        seconds = unchecked_age(view, made)
        if seconds == math.inf:
            yield Violation(made.call, "neither pool_pre_ping nor pool_recycle is set")
        elif seconds is not None and not 0 < seconds <= SHORT:
            yield Violation(made.call, f"pool_pre_ping is off and pool_recycle is {seconds:g} s")


def unchecked_age(view: View, made: Made) -> float | None:
    """The age (s) at which an engine replaces connections that it does not check; inf: at none.

    None: it checks them before use, has no such setting, or the source shows too little.
    """
    library = made.library
    if not library.recycle or made.hides_arguments or made.has_other_pool:
        return None
    # SQLite's file cannot go stale.
    if address_of(view, made).kind != "server":
        return None
    checks = filter(None, map(made.keyword, library.checks))
    if any(constant(check) is not False for check in checks):
        return None
    recycle = made.keyword(library.recycle)
    return math.inf if recycle is None else number(recycle)


@rule(
    "keepalive-too-long",
    why=(
        "The server closes first, and a request that is sent at that moment fails or is "
        "silently sent twice."
    ),
    cure="connector = aiohttp.TCPConnector(keepalive_timeout=4.0)  # `poolkit probe`: 5 s\n",
    notebook="04_keepalive_and_stale.ipynb",
)
def keepalive(view: View) -> Iterator[Violation]:
    """Idle connections are kept longer than the server keeps them (needs --server-keepalive for
    HTTP, --db-idle for databases)."""
    if (limit := view.settings.server_keepalive) is not None:
        yield from _of_http(view, limit)
    if (limit := view.settings.db_idle) is not None:
        for made in view.made:
            if not made.library.is_http and not made.hides_arguments:
                yield from _of_database(view, made, limit)


def _of_http(view: View, limit: float) -> Iterator[Violation]:
    for call in view.module.calls:
        package, name = view.module.meaning(call.func)
        library = BY_PACKAGE.get(package)
        if library is None or name not in library.limits or hides_arguments(call):
            continue
        if constant(keyword(call, "force_close")) is not True:
            yield from _longer(call, library, limit)
    for made in view.made:
        is_default = not (made.hides_arguments or made.has_other_pool or made.call.args)
        if made.library.is_http and is_default and not _is_brief(view, made):
            yield from _longer(made.call, made.library, limit)


def _is_brief(view: View, made: Made) -> bool:
    """Whether a call makes it and closes it: then nothing is kept for the next."""
    if made.function is None or view.runs_once(made.function):
        return False
    return made.is_with or made.is_closed()


def _of_database(view: View, made: Made, limit: float) -> Iterator[Violation]:
    """A pool whose connections outlive the server's patience, unless each is asked before use."""
    key = made.library.recycle
    if key:
        age = unchecked_age(view, made)
        if age is not None and not 0 < age < limit:
            shown = f"{key} is not set" if age == math.inf else f"{key} = {age:g} s"
            yield Violation(made.call, f"{shown}, {_server(limit)}")
    elif not any(map(made.keyword, made.library.checks)):
        yield from _longer(made.call, made.library, limit)


def _longer(call: ast.Call, library: Library, limit: float) -> Iterator[Violation]:
    if library.idle is None:
        return
    key, default = library.idle
    argument = keyword(call, key)
    seconds = default if argument is None else number(argument)
    if seconds is None:
        return
    if seconds >= limit or (seconds == 0 and library.idle_zero_is_endless):
        shown = f"{key} = {seconds:g} s" + (" (the default)" if argument is None else "")
        yield Violation(call, f"{shown}, {_server(limit)}")


def _server(limit: float) -> str:
    return f"the server closes idle connections after {limit:g} s"


@rule(
    "httpx-keepalive-below-max",
    why=(
        "httpx 0.28 compares the keep-alive limit with all open connections: once more than "
        "that many are open, each finished request closes its connection and the next one "
        "dials."
    ),
    cure="limits = httpx.Limits(max_connections=40, max_keepalive_connections=40)\n",
    notebook="04_keepalive_and_stale.ipynb",
)
def httpx_keepalive(view: View) -> Iterator[Violation]:
    """httpx keeps fewer connections than it may open."""
    for call in view.module.calls:
        # httpx2 counts idle connections, so that a lower limit does there what it says.
        if (
            view.module.meaning(call.func) != ("httpx", "Limits")
            or hides_arguments(call)
            or call.args
        ):
            continue
        limit, most = keyword(call, "max_keepalive_connections"), number(keyword(call, _MOST))
        idle = _DEFAULT if limit is None else number(limit)
        if idle is not None and most is not None and idle < most:
            shown = f"{idle:g}" + ("" if limit is not None else " (the default)")
            yield Violation(call, f"max_keepalive_connections = {shown} below {_MOST} = {most:g}")
