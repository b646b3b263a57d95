"""Code that makes an aiohttp session and the gate in front of it."""

from __future__ import annotations

from poolkit.records import Recommendation
from poolkit.review.codegen import http
from poolkit.review.codegen.http import Client, Part
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


CLIENT = Client(
    noun="session",
    made="aiohttp.ClientSession",
    how="Make it once, in a running event loop; close it at shutdown.",
    parts=(
        Part(
            "connector",
            "aiohttp.TCPConnector",
            ("limit", "limit_per_host", "keepalive_timeout", "ttl_dns_cache"),
        ),
        Part("timeout", "aiohttp.ClientTimeout", ("total", "connect", "sock_connect", "sock_read")),
    ),
    pool=TYPE,
)


def render(name: str, recommendation: Recommendation, target: Target | None) -> list[str]:
    """The functions `NAME_session` and `NAME_pool`, and the URL they were measured with."""
    return http.render(CLIENT, name, recommendation, target)
