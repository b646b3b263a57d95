"""Idle connections kept for longer than the server keeps them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from poolkit.audit.address import address_of
from poolkit.audit.context import runs_once
from poolkit.audit.escape import closes
from poolkit.audit.finding import Rule, Seen, Settings
from poolkit.audit.module import Made, Module, constant, hides_arguments, keyword, number

# What sets it, and the default that counts when nothing does.
_HTTP = {
    ("aiohttp", "TCPConnector"): ("keepalive_timeout", 15.0),
    ("httpx", "Limits"): ("keepalive_expiry", 5.0),
    ("httpx2", "Limits"): ("keepalive_expiry", 5.0),
}
# Sessions and clients that make their own connector, and the arguments that would bring another.
_PLAIN = {
    "aiohttp": ("keepalive_timeout", 15.0, ("connector",)),
    "httpx": ("keepalive_expiry", 5.0, ("limits", "transport", "mounts")),
}
_POOLS = {"asyncpg": ("max_inactive_connection_lifetime", 300.0), "psycopg": ("max_idle", 600.0)}


def _find(module: Module, settings: Settings) -> Iterator[Seen]:
    if (limit := settings.server_keepalive) is not None:
        yield from _of_http(module, limit)
    if (limit := settings.db_idle) is not None:
        for made in module.made:
            if not made.hides_arguments:
                yield from _of_database(module, made, limit)


def _of_http(module: Module, limit: float) -> Iterator[Seen]:
    for call in module.calls:
        name = module.qualified(call.func) or ""
        parts = (name.partition(".")[0], name.rpartition(".")[2])
        closes = keyword(call, "force_close")
        if parts not in _HTTP or hides_arguments(call) or constant(closes) is True:
            continue
        key, default = _HTTP[parts]
        yield from _longer(call, key, default, limit)
    for made in module.made:
        key, default, others = _PLAIN.get(made.maker.driver, ("", 0.0, ()))
        if not key or made.hides_arguments or any(map(made.keyword, others)) or made.call.args:
            continue
        if default >= limit and not _is_brief(module, made):
            yield Seen(made.call, f"{key} = {default:g} s (the default), {_server(limit)}")


def _is_brief(module: Module, made: Made) -> bool:
    """Whether a call makes it and closes it: then nothing is kept for the next."""
    function = made.function
    if function is None or runs_once(module, function):
        return False
    return made.is_with or (made.local is not None and closes(function, made.local))


def _of_database(module: Module, made: Made, limit: float) -> Iterator[Seen]:
    """A pool whose connections outlive the server's patience, unless each is asked before use."""
    driver = made.maker.driver
    if driver == "sqlalchemy":
        ping = made.keyword("pool_pre_ping")
        is_known = made.keyword("poolclass") is None and address_of(module, made).kind == "server"
        if not is_known or (ping is not None and constant(ping) is not False):
            return
        recycle = made.keyword("pool_recycle")
        seconds = -1.0 if recycle is None else number(recycle)
        if seconds is not None and not 0 < seconds < limit:
            shown = (
                "pool_recycle is not set" if recycle is None else f"pool_recycle = {seconds:g} s"
            )
            yield Seen(made.call, f"{shown}, {_server(limit)}")
    elif driver in _POOLS and (driver != "psycopg" or made.keyword("check") is None):
        yield from _longer(made.call, *_POOLS[driver], limit)


def _longer(call: ast.Call, key: str, default: float, limit: float) -> Iterator[Seen]:
    argument = keyword(call, key)
    seconds = default if argument is None else number(argument)
    if seconds is None:
        return
    is_unlimited = seconds == 0 and key.startswith("max_in")
    if seconds >= limit or is_unlimited:
        shown = f"{key} = {seconds:g} s" + (" (the default)" if argument is None else "")
        yield Seen(call, f"{shown}, {_server(limit)}")


def _server(limit: float) -> str:
    return f"the server closes idle connections after {limit:g} s"


RULE = Rule(
    name="keepalive-too-long",
    what=(
        "Idle connections are kept longer than the server keeps them (needs --server-keepalive for "
        "HTTP, --db-idle for databases)."
    ),
    why=(
        "The server closes first, and a request that is sent at that moment fails or is silently "
        "sent twice."
    ),
    cure=("connector = aiohttp.TCPConnector(keepalive_timeout=4.0)  # `poolkit probe`: 5 s\n"),
    notebook="04_keepalive_and_stale.ipynb",
    find=_find,
)
