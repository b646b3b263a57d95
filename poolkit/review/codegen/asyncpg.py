"""Code that makes an asyncpg pool whose every acquire has a time limit."""

from __future__ import annotations

from poolkit.records import Recommendation
from poolkit.review.codegen.source import argument, by_name, comment, docstring, literal
from poolkit.targets import Target

# asyncpg ships no types; with a stub package installed the comment is not needed, so both codes.
IMPORTS = ("import asyncpg  # type: ignore[import-untyped, unused-ignore]",)
TYPE = "DatabasePool"

SUPPORT = '''\
@dataclass(frozen=True)
class DatabasePool:
    """An asyncpg pool; take every connection through `acquire`, which waits for a limited time."""

    pool: Any
    acquire_timeout: float

    def acquire(self) -> Any:
        """`async with pools.NAME.acquire() as connection: ...`; TimeoutError when none is free."""
        return self.pool.acquire(timeout=self.acquire_timeout)


async def close_within(pool: Any, seconds: float) -> None:
    """Close the pool; a connection that is not returned within `seconds` is cut off."""
    try:
        async with asyncio.timeout(seconds):
            await pool.close()
    except TimeoutError:
        pool.terminate()'''


def variable(name: str, target: Target | None) -> str:
    """The environment variable that the generated code reads the DSN from."""
    if target is not None and target.dsn_env is not None:
        return target.dsn_env
    return f"{name.upper()}_DSN"


def render(name: str, recommendation: Recommendation, target: Target | None) -> list[str]:
    """The function `NAME_pool`, which reads the DSN from the environment."""
    p = by_name(recommendation.parameters)
    statement = p["statement_timeout"]
    milliseconds = round(float(statement.value or 0.0) * 1000)
    lines = [
        "@asynccontextmanager",
        f"async def {name}_pool() -> AsyncIterator[DatabasePool]:",
        *docstring("The pool; closed when the block ends.", 1),
        "    pool = await asyncpg.create_pool(",
        f"        os.environ[{literal(variable(name, target))}],",
    ]
    for key in (
        "min_size",
        "max_size",
        "max_inactive_connection_lifetime",
        "timeout",
        "command_timeout",
        "statement_cache_size",
    ):
        lines += argument(key, p[key], 2) if key in p else []
    for key in ("reset", "init", "setup"):
        # Functions of the user's own, which live in a module that this one does not know.
        said = f"Measured with {key} = {p[key].value}: pass it as well." if key in p else ""
        lines += comment(said, 2)
    lines += [
        *comment(statement.because, 2),
        *comment(
            "In ms. Behind PgBouncer set it on the role instead: alter role ... set. One older "
            "than 1.21 also wants statement_cache_size=0 here, with which poolkit measured "
            "behind it.",
            2,
        ),
        f'        server_settings={{"statement_timeout": "{milliseconds}"}},',
        "    )",
        "    try:",
        *comment(p["acquire_timeout"].because, 2),
        f"        yield DatabasePool(pool, acquire_timeout={literal(p['acquire_timeout'].value)})",
        "    finally:",
        *comment(
            "A command under way may end; a connection that was never returned is cut off.", 2
        ),
        f"        await close_within(pool, {literal(p['command_timeout'].value)})",
    ]
    return lines
