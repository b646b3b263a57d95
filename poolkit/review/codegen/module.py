"""The whole of pools.py: imports, what the drivers need, each target's pool, and the lifespan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType

from poolkit import units
from poolkit.recommend.session import sessions
from poolkit.recommend.settings import library_of
from poolkit.records import Recommendation
from poolkit.review.codegen import aiohttp, asyncpg, gate, http, httpx, httpx2, psycopg, sqlalchemy
from poolkit.review.codegen.names import identifiers
from poolkit.review.codegen.source import comment
from poolkit.targets import Target

# A new driver is one file beside this one and a row here.
_DRIVERS: Mapping[str, ModuleType] = {
    "aiohttp": aiohttp,
    "asyncpg": asyncpg,
    "httpx": httpx,
    "httpx2": httpx2,
    "psycopg": psycopg,
    "sqlalchemy": sqlalchemy,
}
# Several targets may share one of these.
_CLIENTS: Mapping[str, http.Client] = {
    "aiohttp": aiohttp.CLIENT,
    "httpx": httpx.CLIENT,
    "httpx2": httpx2.CLIENT,
}
# Their pools read a DSN from the environment.
_OF_DATABASES = (asyncpg, psycopg, sqlalchemy)
# What several drivers need is written once, before their own.
_SHARED: Mapping[ModuleType, tuple[str, ...]] = {
    aiohttp: (gate.SUPPORT,),
    httpx: (gate.SUPPORT,),
    httpx2: (gate.SUPPORT,),
}


def render(
    recommendations: Sequence[Recommendation], targets: Sequence[Target] = (), created: str = ""
) -> str:
    """The source text of pools.py; it holds no password, user name or query string.

    Args:
        targets: tell the URL and the name of the DSN's variable; without one, no URL is named
            and the variable is named after the target.
        created: ISO 8601, for the first line.
    """
    known = {target.name: target for target in targets}
    sized = [r for r in recommendations if r.recommended_size is not None and r.parameters]
    names = identifiers(recommendation.target for recommendation in sized)
    drivers = [_DRIVERS[name] for name in sorted({library_of(r) for r in sized})]
    gated = [r for r in sized if gate.is_gated(r)]
    blocks = [_head(recommendations, created, drivers, bool(gated))]
    support = [text for driver in drivers for text in (*_SHARED.get(driver, ()), driver.SUPPORT)]
    support += [gate.SUPPORT, gate.PAIR] if gated else []
    blocks += [text.splitlines() for text in dict.fromkeys(support)]
    for recommendation in sized:
        name = names[recommendation.target]
        code = _DRIVERS[library_of(recommendation)].render(
            name, recommendation, known.get(recommendation.target)
        )
        if recommendation in gated:
            code += gate.render(name, recommendation, _DRIVERS[library_of(recommendation)].TYPE)
        blocks.append([*comment(_heading(recommendation)), *code])
    for session in sessions(sized, targets):
        code = http.render_shared(_CLIENTS[session.driver], session, sized, names)
        blocks.append([*comment(session.because), *code])
    blocks += [
        _pools_class(sized, names),
        _open_pools(sized, names),
        _LIFESPAN.splitlines(),
    ]
    return "\n\n\n".join("\n".join(block) for block in blocks) + "\n"


def _head(
    recommendations: Sequence[Recommendation],
    created: str,
    drivers: Sequence[ModuleType],
    has_gated: bool,
) -> list[str]:
    when = f" on {created[:10]}" if created else ""
    lines = [
        f'"""Connection pools, sized by measurement with poolkit{when}.',
        "",
        "In FastAPI:  app = FastAPI(lifespan=lifespan), then request.state.pools.NAME",
        "Elsewhere:   async with open_pools() as pools: ...",
        "",
        "Copy it into the service: poolkit writes this file anew with every review.",
        "Time limits follow from the calls that were measured; slower ones need longer limits.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
    ]
    if has_gated or any(driver not in (psycopg, sqlalchemy) for driver in drivers):
        lines.append("import asyncio")
    if any(driver in _OF_DATABASES for driver in drivers):
        lines.append("import os")
    lines += [
        "from collections.abc import AsyncIterator",
        "from contextlib import AsyncExitStack, asynccontextmanager",
        "from dataclasses import dataclass",
        "from typing import Any, Generic, TypeVar" if has_gated else "from typing import Any",
    ]
    if drivers:
        lines += ["", *(line for driver in drivers for line in driver.IMPORTS)]
    left_out = [r for r in recommendations if r.recommended_size is None or not r.parameters]
    if left_out:
        lines.append("")
    for recommendation in left_out:
        lines += comment(f"No pool for {recommendation.target}: {_why_not(recommendation)}")
    return lines


def _heading(recommendation: Recommendation) -> str:
    size = units.plural(recommendation.recommended_size or 0, "connection")
    text = f"{recommendation.target}: {size} for {units.rate(recommendation.target_rate)}"
    seen = recommendation.verification
    if seen is None:
        return f"{text}, not verified under load."
    wait = units.milliseconds(seen.wait_p99)
    return f"{text}; under load it carried {units.rate(seen.achieved_rate)}, p99 wait {wait}."


def _why_not(recommendation: Recommendation) -> str:
    failing = [check for check in recommendation.checks if not check.passed]
    return failing[0].seen if failing else f"the measurement is {recommendation.status}"


def _pools_class(sized: Sequence[Recommendation], names: Mapping[str, str]) -> list[str]:
    lines = ["@dataclass(frozen=True)", "class Pools:", '    """Every pool of this file."""']
    if sized:
        lines.append("")
    for r in sized:
        kind = _DRIVERS[library_of(r)].TYPE
        lines.append(f"    {names[r.target]}: {f'Gated[{kind}]' if gate.is_gated(r) else kind}")
    return lines


def _open_pools(sized: Sequence[Recommendation], names: Mapping[str, str]) -> list[str]:
    lines = [
        "@asynccontextmanager",
        "async def open_pools() -> AsyncIterator[Pools]:",
        '    """Makes every pool, and closes what was made when the block ends or a pool fails."""',
    ]
    if not sized:
        return [*lines, "    async with AsyncExitStack():", "        yield Pools()"]
    lines += ["    async with AsyncExitStack() as stack:", "        yield Pools("]
    for r in sized:
        name = names[r.target]
        made = f"{name}_gated()" if gate.is_gated(r) else f"{name}_pool()"
        line = f"            {name}=await stack.enter_async_context({made}),"
        if len(line) > 100:
            lines += [
                f"            {name}=await stack.enter_async_context(",
                f"                {made}",
                "            ),",
            ]
        else:
            lines.append(line)
    return [*lines, "        )"]


_LIFESPAN = '''\
@asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[dict[str, Any]]:
    """For FastAPI and Starlette: made at start-up, closed at shutdown, found in request.state."""
    async with open_pools() as pools:
        yield {"pools": pools}'''
