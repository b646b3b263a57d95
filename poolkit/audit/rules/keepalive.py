"""Idle connections that the pool keeps for longer than the server does."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

from poolkit.audit.context import runs_once
from poolkit.audit.finding import Rule, Settings, Violation
from poolkit.audit.libraries import BY_PACKAGE, Library
from poolkit.audit.module import Made, Module
from poolkit.audit.rules.stale import unchecked_age
from poolkit.audit.syntax import constant, hides_arguments, keyword, number


def _find(module: Module, settings: Settings) -> Iterator[Violation]:
    if (limit := settings.server_keepalive) is not None:
        yield from _of_http(module, limit)
    if (limit := settings.db_idle) is not None:
        for made in module.made:
            if not made.library.is_http and not made.hides_arguments:
                yield from _of_database(module, made, limit)


def _of_http(module: Module, limit: float) -> Iterator[Violation]:
    for call in module.calls:
        package, name = module.meaning(call.func)
        library = BY_PACKAGE.get(package)
        if library is None or name not in library.limits or hides_arguments(call):
            continue
        if constant(keyword(call, "force_close")) is not True:
            yield from _longer(call, library, limit)
    for made in module.made:
        is_default = not (made.hides_arguments or made.has_other_pool or made.call.args)
        if made.library.is_http and is_default and not _is_brief(module, made):
            yield from _longer(made.call, made.library, limit)


def _is_brief(module: Module, made: Made) -> bool:
    """Whether a call makes it and closes it: then nothing is kept for the next."""
    if made.function is None or runs_once(module, made.function):
        return False
    return made.is_with or made.is_closed()


def _of_database(module: Module, made: Made, limit: float) -> Iterator[Violation]:
    """A pool whose connections outlive the server's patience, unless each is asked before use."""
    key = made.library.recycle
    if key:
        age = unchecked_age(module, made)
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
