"""Code that makes an AsyncConnectionPool of psycopg_pool, min_size connections dialled."""

from __future__ import annotations

import math

from poolkit.records import Recommendation
from poolkit.review.codegen.asyncpg import variable
from poolkit.review.codegen.source import argument, by_name, comment, docstring, literal
from poolkit.targets import Target

IMPORTS = (
    "from psycopg import AsyncConnection",
    "from psycopg.rows import TupleRow",
    "from psycopg_pool import AsyncConnectionPool",
)
TYPE = "PsycopgPool"

SUPPORT = '''\
class PsycopgPool(AsyncConnectionPool[AsyncConnection[TupleRow]]):
    """`async with pool.connection() as connection:` commits at its end, or rolls back on an error.

    PoolTimeout and TooManyRequests mean that none was free in time: shed the request, with a 503
    say; do not retry it here.
    """'''


def render(name: str, recommendation: Recommendation, target: Target | None) -> list[str]:
    """The function `NAME_pool`, which reads the DSN from the environment."""
    p = by_name(recommendation.parameters)
    statement, dial = p["statement_timeout"], p["connect_timeout"]
    milliseconds = round(float(statement.value or 0.0) * 1000)
    lines = [
        "@asynccontextmanager",
        f"async def {name}_pool() -> AsyncIterator[PsycopgPool]:",
        *docstring("The pool; closed when the block ends.", 1),
        "    pool = PsycopgPool(",
        f"        os.environ[{literal(variable(name, target))}],",
    ]
    for key in ("min_size", "max_size", "timeout", "max_waiting", "max_idle", "max_lifetime"):
        lines += argument(key, p[key], 2)
    if "check" in p and p["check"].value:
        lines += [
            *comment(p["check"].because, 2),
            "        check=PsycopgPool.check_connection,",
        ]
    lines += [
        "        kwargs={",
        *comment(dial.because, 3),
        # libpq takes whole seconds.
        f'            "connect_timeout": {math.ceil(float(dial.value or 0.0))},',
        *comment(statement.because, 3),
        *comment(
            "In ms, in place of any options of the DSN. Behind PgBouncer set it on the role "
            "instead: alter role ... set. One older than 1.21 also wants prepare_threshold=None "
            "here, with which poolkit measured behind it.",
            3,
        ),
        f'            "options": "-c statement_timeout={milliseconds}",',
        "        },",
        "        open=False,",
        "    )",
        "    try:",
        *comment("min_size connections, or an exception: a wrong DSN shows at start-up.", 2),
        f"        await pool.open(wait=True, timeout={literal(dial.value)})",
        "        yield pool",
        "    finally:",
        "        await pool.close()",
    ]
    return lines
