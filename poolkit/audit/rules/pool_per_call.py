"""An engine or pool made for each request or call."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from poolkit.audit.context import is_handler, is_of_tests, runs_once
from poolkit.audit.finding import Rule, Settings, Violation
from poolkit.audit.module import Made, Module


def _find(module: Module, settings: Settings) -> Iterator[Violation]:
    for made in module.made:
        function, noun = made.function, made.library.noun
        if function is None or made.library.is_http or made.has_other_pool or made.hides_arguments:
            continue
        is_stored = made.local is None and bool(made.targets) and not made.is_with
        if is_handler(module, function) and not is_stored:  # made once, for the next request too
            yield Violation(made.call, f"{noun} made in the request handler {function.name}()")
        elif (
            not is_of_tests(module.path)
            and not runs_once(module, function)
            and _is_used_up(module, made)
        ):
            yield Violation(
                made.call, f"{noun} made, used and given up within each call of {function.name}()"
            )


def _is_used_up(module: Module, made: Made) -> bool:
    """Whether connections are taken from it here, and no other code ever gets it."""
    words = made.library.acquires | made.library.acquires_for_one_call
    return (
        made.local is not None
        and any(
            used.attr in words and isinstance(module.parents[used], ast.Call)
            for used in made.attributes()
        )
        and not made.escapes()
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
