"""Idle connections: closed by the server before their pool knows, or by the pool too soon."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator, Mapping

from poolkit.audit.address import address_of
from poolkit.audit.figures import Place
from poolkit.audit.finding import Violation, rule
from poolkit.audit.libraries import BY_PACKAGE, Library
from poolkit.audit.made import Made
from poolkit.audit.syntax import constant, hides_arguments, is_none, keyword
from poolkit.audit.view import View
from poolkit.drivers.table import PING_WAITS, IdleSetting

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
        if made.is_closed() or _is_given_up(view, made):  # nothing idles
            continue
        seconds = unchecked_age(view, made)
        if seconds == math.inf:
            yield Violation(made.call, "neither pool_pre_ping nor pool_recycle is set")
        elif seconds is not None and not 0 < seconds <= SHORT:
            yield Violation(made.call, f"pool_pre_ping is off and pool_recycle is {seconds:g} s")


def _is_given_up(view: View, made: Made) -> bool:
    """Whether it goes with the call that made it, which uses it at once."""
    if made.function is None or view.runs_once(made.function):
        return False
    if made.local is None:
        return made.chained in made.library.opens
    return not made.escapes() and not any(map(view.module.is_in_loop, made.reads()))


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
    if _is_asked(made.keyword(library.asks)):
        return None
    recycle = made.keyword(library.recycle)
    return math.inf if recycle is None else view.figures.number(view.module, recycle)


def _is_asked(node: ast.expr | None) -> bool:
    """Whether the argument may have connections asked before use."""
    return node is not None and not is_none(node) and constant(node) is not False


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
            if not made.library.is_http:
                yield from _of_database(view, made, limit)


def _of_http(view: View, limit: float) -> Iterator[Violation]:
    for call in view.module.calls:
        package, name = view.module.meaning(call.func)
        library = BY_PACKAGE.get(package)
        if library is None or name not in library.limits:
            continue
        if constant(keyword(call, "force_close")) is not True:
            yield from _longer(view, call, library, limit)
    for made in view.made:
        is_default = not (made.hides_arguments or made.has_other_pool or made.call.args)
        if made.library.is_http and is_default and not _is_brief(view, made):
            yield from _longer(view, made.call, made.library, limit)


def _is_brief(view: View, made: Made) -> bool:
    """Whether a call makes it and closes it: then nothing is kept for the next."""
    if made.function is None or view.runs_once(made.function):
        return False
    return made.is_with or made.is_closed()


def _of_database(view: View, made: Made, limit: float) -> Iterator[Violation]:
    """A pool that may hand out a connection which idled for longer than `limit` s.

    What each setting does is in the table of drivers. Whether the server closes connections or
    something in between drops them in silence is not known: what helps against one alone is found.
    """
    arguments = view.figures.arguments(view.module, made.call)
    address, setting = address_of(view, made), made.library.idle
    is_known = arguments is not None and setting is not None and not made.has_other_pool
    if arguments is None or setting is None or not is_known or address.kind == "file":
        return
    if setting.from_dial and address.kind != "server":
        return
    if made.is_closed() or _keeps_way_open(view, arguments, address.key, limit):
        return
    seconds, shown = _figure(view, arguments, setting.name, setting.default)
    if seconds is None:
        return
    asks = made.library.asks
    asked = asks in arguments and _is_asked(arguments[asks][1])
    said = f"; {asks} asks each, but {PING_WAITS}" if asked else ""
    if _is_endless(setting, seconds) or seconds >= limit:
        yield Violation(made.call, f"{shown}, {_server(limit)}{said}")
    elif setting.floor is not None:
        kept, floor = _figure(view, arguments, *setting.floor)
        if kept:
            message = f"{floor} connections idle for ever: {setting.name} leaves them alone"
            yield Violation(made.call, f"{message}, {_server(limit)}{said}")


def _figure(
    view: View, arguments: Mapping[str, Place], name: str, default: float | None
) -> tuple[float | None, str]:
    """The value of an argument, None where it does not show, infinity where it is off; in words."""
    place = arguments.get(name)
    if place is None:
        if default is None:
            return math.inf, f"{name} is not set"
        return default, f"{name} = {default:g} (the default)"
    if is_none(place[1]):
        return math.inf, f"{name} = None"
    value = view.figures.number(*place)
    return value, f"{name} = {value:g}" if value is not None else ""


def _is_endless(setting: IdleSetting, seconds: float) -> bool:
    """Whether the value turns the setting off; SQLAlchemy's pool_recycle is off below 0."""
    return (seconds == 0 and setting.zero_is_endless) or (setting.from_dial and seconds < 0)


_KEEPALIVES = ("keepalives_idle", "tcp_keepalives_idle")  # libpq's, PostgreSQL's


def _keeps_way_open(view: View, arguments: Mapping[str, Place], address: str, limit: float) -> bool:
    """Whether TCP's own probes travel each connection before it has idled for `limit` s."""
    written = re.search(r"keepalives_idle=(\d+)", address)
    if written:
        return float(written[1]) < limit
    for module, node in arguments.values():
        for name, place in view.figures.items(module, node).items():
            if name in _KEEPALIVES:
                seconds = view.figures.number(*place)
                return seconds is None or seconds < limit
            inner = view.figures.items(*place)  # connect_args={"server_settings": {...}}
            for key in _KEEPALIVES:
                if key in inner:
                    seconds = view.figures.number(*inner[key])
                    return seconds is None or seconds < limit
    return False


def _longer(view: View, call: ast.Call, library: Library, limit: float) -> Iterator[Violation]:
    setting, arguments = library.idle, view.figures.arguments(view.module, call)
    if setting is None or arguments is None:
        return
    seconds, shown = _figure(view, arguments, setting.name, setting.default)
    if seconds is not None and seconds >= limit:
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
        limit, read = keyword(call, "max_keepalive_connections"), view.figures.number
        most = read(view.module, keyword(call, _MOST))
        idle = _DEFAULT if limit is None else read(view.module, limit)
        if idle is not None and most is not None and idle < most:
            shown = f"{idle:g}" + ("" if limit is not None else " (the default)")
            yield Violation(call, f"max_keepalive_connections = {shown} below {_MOST} = {most:g}")
