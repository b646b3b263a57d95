"""Code that makes an async engine of SQLAlchemy on asyncpg, all of its connections dialled."""

from __future__ import annotations

from poolkit.records import Recommendation
from poolkit.review.codegen.asyncpg import variable
from poolkit.review.codegen.source import argument, by_name, comment, docstring, literal
from poolkit.targets import Target

IMPORTS = (
    "from sqlalchemy import make_url",
    "from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine",
)
TYPE = "AsyncEngine"

SUPPORT = '''\
async def dial_all(engine: AsyncEngine, size: int) -> None:
    """Dial `size` connections now: a wrong DSN shows at once, and no caller waits for a dial."""
    async with AsyncExitStack() as stack:
        for _ in range(size):
            await stack.enter_async_context(engine.connect())'''


def render(name: str, recommendation: Recommendation, target: Target | None) -> list[str]:
    """The function `NAME_pool`, which reads the DSN from the environment."""
    p = by_name(recommendation.parameters)
    statement = p["statement_timeout"]
    milliseconds = round(float(statement.value or 0.0) * 1000)
    lines = [
        "@asynccontextmanager",
        f"async def {name}_pool() -> AsyncIterator[AsyncEngine]:",
        *docstring("The engine, as for async_sessionmaker; disposed of when the block ends.", 1),
        *comment("asyncpg's own options only: ?ssl=require, not ?sslmode=require.", 1),
        f"    url = make_url(os.environ[{literal(variable(name, target))}])",
        "    engine = create_async_engine(",
        '        url.set(drivername="postgresql+asyncpg"),',
    ]
    for key in (
        "pool_size",
        "max_overflow",
        "pool_timeout",
        "pool_pre_ping",
        "pool_recycle",
        "pool_use_lifo",
    ):
        lines += argument(key, p[key], 2)
    lines.append("        connect_args={")
    for key in ("timeout", "command_timeout"):
        lines += [*comment(p[key].because, 3), f'            "{key}": {literal(p[key].value)},']
    lines += [
        *comment(statement.because, 3),
        *comment(
            "In ms. Behind PgBouncer set it on the role instead: alter role ... set. One older "
            "than 1.21 also wants prepared_statement_cache_size=0 and "
            "prepared_statement_name_func, a "
            'function that returns "", here: with these poolkit measured behind it.',
            3,
        ),
        f'            "server_settings": {{"statement_timeout": "{milliseconds}"}},',
        "        },",
        "    )",
        "    try:",
        f"        await dial_all(engine, {literal(p['pool_size'].value)})",
        "        yield engine",
        "    finally:",
        "        await engine.dispose()",
    ]
    return lines
