"""Code that makes an aiohttp session and the gate in front of it."""

from __future__ import annotations

from poolkit.codegen.source import argument, assignment, by_name, comment, docstring, literal
from poolkit.records import Recommendation
from poolkit.targets import Target

IMPORTS = ("import aiohttp",)
TYPE = "HttpPool"

SUPPORT = '''\
@dataclass(frozen=True)
class HttpPool:
    """A session behind its gate: send every call through `request`, which passes the gate once."""

    session: aiohttp.ClientSession
    gate: Gate

    @asynccontextmanager
    async def request(
        self, method: str, url: str, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One call; read the body inside the block, the connection is free after it."""
        async with self.gate.slot(), self.session.request(method, url, **options) as response:
            yield response'''


def render(name: str, recommendation: Recommendation, target: Target | None) -> list[str]:
    """The functions `NAME_session` and `NAME_pool`, and the URL they were measured with."""
    p = by_name(recommendation.parameters)
    lines = []
    if target is not None:
        # `endpoint` has neither user nor query; the mark of a query that was cut is not part of it.
        url = target.endpoint.removesuffix("?…").replace('"', "%22")
        lines += [*assignment(f"{name.upper()}_URL", literal(url)), "", ""]
    lines += [
        f"def {name}_session() -> aiohttp.ClientSession:",
        *docstring("Make it once, in a running event loop; close it at shutdown.", 1),
        "    connector = aiohttp.TCPConnector(",
    ]
    for key in ("limit", "limit_per_host", "keepalive_timeout", "ttl_dns_cache"):
        lines += argument(key, p[key], 2)
    lines += ["    )", "    timeout = aiohttp.ClientTimeout("]
    for key in ("total", "connect", "sock_connect", "sock_read"):
        lines += argument(key, p[key], 2)
    lines += [
        "    )",
        "    return aiohttp.ClientSession(connector=connector, timeout=timeout)",
        "",
        "",
        "@asynccontextmanager",
        f"async def {name}_pool() -> AsyncIterator[HttpPool]:",
        *docstring("The session behind its gate; closed when the block ends.", 1),
        f"    async with {name}_session() as session:",
        *comment(p["gate"].because, 2),
        *comment(p["gate_timeout"].because, 2),
        f"        gate = Gate({literal(p['gate'].value)}, "
        f"timeout={literal(p['gate_timeout'].value)})",
        "        yield HttpPool(session, gate)",
    ]
    return lines
