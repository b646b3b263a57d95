"""An engine or pool made for each request or call."""

from __future__ import annotations

from collections.abc import Iterator

from poolkit.audit.context import is_handler, is_of_tests, runs_once
from poolkit.audit.escape import escapes
from poolkit.audit.finding import Rule, Seen, Settings
from poolkit.audit.makers import ACQUIRES, ACQUIRES_FOR_ONE_CALL
from poolkit.audit.module import Function, Made, Module


def _find(module: Module, settings: Settings) -> Iterator[Seen]:
    for made in module.made:
        function = made.function
        if made.maker.is_http or function is None or _is_unpooled(made):
            continue
        if is_handler(module, function) and not _is_kept(module, made, function):
            yield Seen(
                made.call, f"{made.maker.noun} made in the request handler {function.name}()"
            )
        elif (
            not is_of_tests(module.path)
            and not runs_once(module, function)
            and _is_used_up(module, made, function)
        ):
            yield Seen(
                made.call,
                f"{made.maker.noun} made, used and given up within each call of {function.name}()",
            )


def _is_unpooled(made: Made) -> bool:
    poolclass = made.keyword("poolclass")
    return poolclass is not None or made.hides_arguments


def _is_kept(module: Module, made: Made, function: Function) -> bool:
    """Whether the handler makes it once and keeps it for the next request."""
    return made.local is None and bool(made.targets) and not made.is_with


def _is_used_up(module: Module, made: Made, function: Function) -> bool:
    """Whether connections are taken from it here, and nobody else ever sees it."""
    if made.local is None or escapes(module, function, made.local):
        return False
    words = ACQUIRES[made.maker.driver] | ACQUIRES_FOR_ONE_CALL[made.maker.driver]
    return any(
        module.function_of(call) is function
        and getattr(call.func, "attr", None) in words
        and getattr(getattr(call.func, "value", None), "id", None) == made.local
        for call in module.calls
    )


RULE = Rule(
    name="pool-per-call",
    what="An engine or connection pool is made for each request or call.",
    why=(
        "Each call then pays for new connections (TCP, TLS, log-in: tens of milliseconds), nothing "
        "bounds how many the database gets, and the pool never limits anything."
    ),
    cure=(
        "@asynccontextmanager\n"
        "async def lifespan(app):\n"
        "    async with asyncpg.create_pool(dsn, max_size=14) as app.state.pool:\n"
        "        yield\n"
    ),
    notebook="06_diagnose.ipynb",
    find=_find,
)
