"""Pools that begin their life in the wrong place: in a constructor, before a fork, in a loop."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from poolkit.audit.finding import Violation, rule
from poolkit.audit.made import Made
from poolkit.audit.syntax import constant, name_of
from poolkit.audit.view import View


@rule(
    "opens-in-constructor",
    why=(
        "It dials before an event loop runs, or in one that nobody waits for: errors appear "
        "somewhere else, and psycopg warns that it will stop doing so."
    ),
    cure=(
        "async with AsyncConnectionPool(dsn, max_size=14, open=False) as pool:  # opens it\n"
        "    ...\n"
    ),
    notebook="06_diagnose.ipynb",
)
def opens_in_constructor(view: View) -> Iterator[Violation]:
    """An async pool opens in its constructor."""
    for made in view.made:
        name = view.module.meaning(made.call.func)[1]
        if name not in made.library.opens_when_made or made.is_with:
            continue
        if view.figures.arguments(view.module, made.call) is None:  # some do not show
            continue
        is_open = view.figures.argument(view.module, made.call, "open")
        if is_open is None or constant(is_open) is True:
            yield Violation(made.call, f"{name} opens in its constructor (open=False is not set)")


@rule(
    "pool-across-loops",
    why=(
        "Connections belong to the event loop or process that dialled them: in the next one they "
        "fail (`attached to a different loop`), or two processes talk on one socket."
    ),
    cure=(
        "async def main():\n"
        "    engine = create_async_engine(url, pool_pre_ping=True)  # in the loop that uses it\n"
        "    try:\n"
        "        await serve(engine)\n"
        "    finally:\n"
        "        await engine.dispose()\n"
        "asyncio.run(main())\n"
    ),
    notebook="06_diagnose.ipynb",
)
def pool_across_loops(view: View) -> Iterator[Violation]:
    """A pool that is made once is used in a new event loop, or a new process, each time."""
    once = {
        value.key: made
        for made in view.made
        if _is_made_once(made) and not made.has_other_pool
        if (value := view.values.pool(view.module, made.call)) is not None
    }
    if not once:
        return
    for key, made in once.items():
        if (how := view.loops.used.get(key)) is not None:
            yield Violation(made.call, f"used in {how}")


def _is_made_once(made: Made) -> bool:
    """At the top of a module, or in the constructor of an object that keeps it."""
    target = made.targets[0] if len(made.targets) == 1 else None
    return made.function is None or (
        made.function.name == "__init__"
        and isinstance(target, ast.Attribute)
        and name_of(target.value) == "self"
    )
