"""Code that makes an httpx client and the gate in front of it."""

from __future__ import annotations

from poolkit.codegen.source import argument, assignment, by_name, comment, docstring, literal
from poolkit.records import Recommendation
from poolkit.targets import Target

IMPORTS = ("import httpx",)
TYPE = "HttpxPool"

SUPPORT = '''\
@dataclass(frozen=True)
class HttpxPool:
    """A client behind its gate: send every call through it, so that each passes the gate once.

    A call that takes longer than `total` seconds, the gate not counted, ends with a TimeoutError.
    """

    client: httpx.AsyncClient
    gate: Gate
    total: float

    async def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """One call, its body read whole."""
        async with self.gate.slot(), asyncio.timeout(self.total):
            return await self.client.request(method, url, **options)

    @asynccontextmanager
    async def stream(self, method: str, url: str, **options: Any) -> AsyncIterator[httpx.Response]:
        """One call; read the body inside the block, the connection is free after it."""
        async with (
            self.gate.slot(),
            asyncio.timeout(self.total),
            self.client.stream(method, url, **options) as response,
        ):
            yield response'''


def render(name: str, recommendation: Recommendation, target: Target | None) -> list[str]:
    """The functions `NAME_client` and `NAME_pool`, and the URL they were measured with."""
    p = by_name(recommendation.parameters)
    lines = []
    if target is not None:
        # `endpoint` has neither user nor query; the mark of a query that was cut is not part of it.
        url = target.endpoint.removesuffix("?…").replace('"', "%22")
        lines += [*assignment(f"{name.upper()}_URL", literal(url)), "", ""]
    lines += [
        f"def {name}_client() -> httpx.AsyncClient:",
        *docstring("Make it once; close it at shutdown.", 1),
        "    limits = httpx.Limits(",
    ]
    for key in ("max_connections", "max_keepalive_connections", "keepalive_expiry"):
        lines += argument(key, p[key], 2)
    lines += ["    )", "    timeout = httpx.Timeout("]
    for key in ("connect", "read", "write", "pool"):
        lines += argument(key, p[key], 2)
    lines += [
        "    )",
        "    return httpx.AsyncClient(limits=limits, timeout=timeout)",
        "",
        "",
        "@asynccontextmanager",
        f"async def {name}_pool() -> AsyncIterator[HttpxPool]:",
        *docstring("The client behind its gate; closed when the block ends.", 1),
        f"    async with {name}_client() as client:",
        *comment(p["gate"].because, 2),
        *comment(p["gate_timeout"].because, 2),
        f"        gate = Gate({literal(p['gate'].value)}, "
        f"timeout={literal(p['gate_timeout'].value)})",
        *comment(p["total"].because, 2),
        f"        yield HttpxPool(client, gate, total={literal(p['total'].value)})",
    ]
    return lines
