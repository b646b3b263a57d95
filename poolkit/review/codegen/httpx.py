"""Code that makes an httpx client and the gate in front of it, for its fork as well."""

from __future__ import annotations

from dataclasses import replace

from poolkit.records import Recommendation
from poolkit.review.codegen import http
from poolkit.review.codegen.http import Client, Part
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


CLIENT = Client(
    noun="client",
    made="httpx.AsyncClient",
    how="Make it once; close it at shutdown.",
    parts=(
        Part(
            "limits",
            "httpx.Limits",
            ("max_connections", "max_keepalive_connections", "keepalive_expiry"),
        ),
        Part("timeout", "httpx.Timeout", ("connect", "read", "write", "pool")),
    ),
    pool=TYPE,
    has_total=True,
)


def client_of(package: str, pool: str) -> Client:
    """The same client of a package with httpx's interface, `pool` being its class behind a gate."""
    parts = tuple(
        replace(part, callee=part.callee.replace("httpx", package, 1)) for part in CLIENT.parts
    )
    return replace(CLIENT, made=f"{package}.AsyncClient", parts=parts, pool=pool)


def render(name: str, recommendation: Recommendation, target: Target | None) -> list[str]:
    """The functions `NAME_client` and `NAME_pool`, and the URL they were measured with."""
    return http.render(CLIENT, name, recommendation, target)
