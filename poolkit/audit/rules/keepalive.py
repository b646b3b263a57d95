"""Idle connections kept for longer than the server keeps them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from poolkit.audit.finding import Rule, Seen, Settings
from poolkit.audit.module import Module, hides_arguments, keyword, number

# What sets it, and the default that counts when nothing does.
_HTTP = {
    ("aiohttp", "TCPConnector"): ("keepalive_timeout", 15.0),
    ("httpx", "Limits"): ("keepalive_expiry", 5.0),
    ("httpx2", "Limits"): ("keepalive_expiry", 5.0),
}
_POOLS = {"asyncpg": ("max_inactive_connection_lifetime", 300.0), "psycopg": ("max_idle", 600.0)}


def _find(module: Module, settings: Settings) -> Iterator[Seen]:
    limit = settings.server_keepalive
    if limit is None:
        return
    for call in module.calls:
        key, default = _setting(module, call)
        if not key or hides_arguments(call):
            continue
        argument = keyword(call, key)
        seconds = default if argument is None else number(argument)
        if seconds is not None and (
            seconds >= limit or (seconds == 0 and key.startswith("max_in"))
        ):
            shown = f"{key} = {seconds:g} s" + (" (the default)" if argument is None else "")
            yield Seen(call, f"{shown}, the server closes idle connections after {limit:g} s")


def _setting(module: Module, call: ast.Call) -> tuple[str, float]:
    name = module.qualified(call.func) or ""
    if name in ("asyncpg.create_pool", "asyncpg.pool.create_pool"):
        return _POOLS["asyncpg"]
    if name.startswith("psycopg_pool."):
        return _POOLS["psycopg"] if name.endswith("ConnectionPool") else ("", 0.0)
    return _HTTP.get((name.partition(".")[0], name.rpartition(".")[2]), ("", 0.0))


RULE = Rule(
    name="keepalive-too-long",
    what="Idle connections are kept longer than the server keeps them (needs --server-keepalive).",
    why=(
        "The server closes first, and a request that is sent at that moment fails or is silently "
        "sent twice."
    ),
    cure=("connector = aiohttp.TCPConnector(keepalive_timeout=4.0)  # `poolkit probe`: 5 s\n"),
    notebook="04_keepalive_and_stale.ipynb",
    find=_find,
)
