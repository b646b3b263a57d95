"""What the rules know of each client library, a row each; one without a row is not audited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from poolkit.drivers.table import IdleSetting, idle_setting


@dataclass(frozen=True, kw_only=True, eq=False)
class Library:
    """One client library and its pools (engines, sessions, clients).

    Args:
        packages: what is imported; names are compared by package and last part only, since
            libraries export a thing from several modules.
        noun: what people call such a pool.
        is_http: whether it is a session or client, and not a pool of a database.
        makers: the calls that make one.
        types: what it is called in annotations.
        sessions: what is made on a pool and holds a connection of it, and what these are called in
            annotations.
        session_makers: what makes such sessions on a pool.
        one_shots: for HTTP, functions of the package that make a client for one request.
        limits: for HTTP, the calls that take the argument of `idle`.
        leaves_body: whether a response that is only awaited keeps its connection until it is read.
        opens_when_made: the makers whose pool dials in the constructor unless `open` is False.
        acquires: methods that hand out a connection for as long as their `async with` lasts.
        acquires_for_one_call: short cuts that take a connection of their own for one statement.
        is_held_by_await: whether such a method holds nothing before it is awaited or entered.
        opens: methods that open its first connection; empty: it opens some when it is made.
        other_pool: arguments that bring another pool, or say how its own is made.
        size: arguments (of each group the first that is written) and the default, whose sum is the
            most connections that it opens.
        driver: its row in the table of drivers.
        endless: the argument whose None waits without end -> what to say of it.
        acquire_timeout: the argument without which `acquires` wait without end.
        unverified: maker ("*": any) -> arguments that are False where certificates go unchecked.
        unverified_requests: the same for its requests.
    """

    packages: tuple[str, ...]
    noun: str
    is_http: bool = False
    makers: tuple[str, ...]
    types: tuple[str, ...]
    sessions: frozenset[str] = frozenset()
    session_makers: frozenset[str] = frozenset()
    one_shots: frozenset[str] = frozenset()
    limits: tuple[str, ...] = ()
    leaves_body: bool = False
    opens_when_made: frozenset[str] = frozenset()
    acquires: frozenset[str] = frozenset()
    acquires_for_one_call: frozenset[str] = frozenset()
    is_held_by_await: bool = False
    opens: frozenset[str] = frozenset()
    other_pool: tuple[str, ...] = ()
    size: tuple[tuple[tuple[str, ...], float], ...] = ()
    driver: str
    endless: Mapping[str, str] = field(default_factory=dict)
    acquire_timeout: str = ""
    unverified: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unverified_requests: tuple[str, ...] = ()

    @property
    def exports(self) -> frozenset[str]:
        """What `from package import *` brings of it."""
        return self.sessions | self.session_makers | {*self.makers, *self.types, *self.limits}

    @property
    def idle(self) -> IdleSetting | None:
        """The setting that ends idle connections, or some of them."""
        return idle_setting(self.driver, "ends", "shrinks")

    @property
    def asks(self) -> str:
        """The argument that has each connection asked before it is handed out, or nothing."""
        found = idle_setting(self.driver, "asks")
        return "" if found is None else found.name

    @property
    def recycle(self) -> str:
        """The argument that replaces old connections, off by default; or nothing."""
        return self.idle.name if self.idle is not None and self.idle.from_dial else ""


REQUESTS = frozenset(
    {"get", "post", "put", "patch", "delete", "head", "options", "request", "send", "stream"}
    | {"ws_connect"}
)

LIBRARIES = (
    Library(
        packages=("aiohttp",),
        noun="ClientSession",
        is_http=True,
        makers=("ClientSession",),
        types=("ClientSession",),
        one_shots=frozenset({"request"}),
        leaves_body=True,
        limits=("TCPConnector",),
        other_pool=("connector",),
        driver="aiohttp",
        unverified={"TCPConnector": ("ssl", "verify_ssl")},
        unverified_requests=("ssl",),
    ),
    Library(
        packages=("httpx", "httpx2"),
        noun="httpx client",
        is_http=True,
        makers=("AsyncClient", "Client"),
        types=("AsyncClient", "Client"),
        one_shots=REQUESTS - {"send", "ws_connect"},
        limits=("Limits",),
        other_pool=("limits", "transport", "mounts"),
        driver="httpx",
        endless={"timeout": "timeout=None also waits for a connection without end"},
        unverified={"*": ("verify",)},
    ),
    Library(
        packages=("asyncpg",),
        noun="asyncpg pool",
        makers=("create_pool",),
        types=("Pool",),
        sessions=frozenset({"Connection"}),
        acquires=frozenset({"acquire"}),
        acquires_for_one_call=frozenset(
            {"execute", "executemany", "fetch", "fetchrow", "fetchval"}
        ),
        is_held_by_await=True,
        size=((("max_size",), 10),),
        driver="asyncpg",
        acquire_timeout="timeout",
    ),
    Library(
        packages=("psycopg_pool",),
        noun="psycopg pool",
        makers=("AsyncConnectionPool", "ConnectionPool"),
        types=("AsyncConnectionPool", "ConnectionPool"),
        sessions=frozenset({"AsyncConnection", "Connection"}),
        opens_when_made=frozenset({"AsyncConnectionPool"}),
        acquires=frozenset({"connection", "getconn"}),
        size=((("max_size", "min_size"), 4),),
        driver="psycopg",
    ),
    Library(
        packages=("sqlalchemy", "sqlmodel"),
        noun="SQLAlchemy engine",
        makers=("create_async_engine", "create_engine"),
        types=("AsyncEngine", "Engine"),
        sessions=frozenset({"AsyncSession", "Session", "AsyncConnection", "Connection"}),
        session_makers=frozenset(
            {"sessionmaker", "async_sessionmaker", "scoped_session", "async_scoped_session"}
        ),
        acquires=frozenset({"connect", "begin"}),
        opens=frozenset({"connect", "begin", "raw_connection", "execute"}),
        other_pool=("poolclass",),
        size=((("pool_size",), 5), (("max_overflow",), 10)),
        driver="sqlalchemy",
        endless={"pool_timeout": "pool_timeout=None waits for a connection without end"},
    ),
)
BY_PACKAGE = {package: library for library in LIBRARIES for package in library.packages}

# Pools of SQLAlchemy that keep to its sizes and ages, when they are named.
QUEUES = frozenset({"QueuePool", "AsyncAdaptedQueuePool", "FallbackAsyncAdaptedQueuePool"})
# Clients of models and clouds, whose calls take seconds.
REMOTE = frozenset(
    {"openai", "anthropic", "litellm", "mistralai", "requests", "aioboto3", "boto3", "cohere"}
    | {"groq", "ollama", "voyageai", "langchain_openai", "langchain_anthropic"}
)
# What has FastAPI fill an argument.
DEPENDS = frozenset({"Depends", "Security"})
CLOSES = frozenset(
    {"close", "aclose", "dispose", "terminate", "close_all", "__aexit__", "__exit__"}
)
