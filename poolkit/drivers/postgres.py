"""What the adapters of PostgreSQL's client libraries share, and what their exceptions mean.

Exceptions are told apart by SQLSTATE, which the libraries carry as `sqlstate`; libpq
keeps none of a login that failed, so there the server's own (English) words stand in.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import socket
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from poolkit.drivers import replies
from poolkit.drivers.base import Facts, PoolStatistics
from poolkit.drivers.calls import run_function
from poolkit.drivers.pooler import Ask, mode_of
from poolkit.drivers.table import FORMS
from poolkit.errors import CallFailed, CallRejected, Unreachable

if TYPE_CHECKING:
    from poolkit.targets.workload import SqlWork

DIAL_TIMEOUT = 10.0  # s

# What sessions of this database are busy with: {"waits": {event: sessions}, "locks": {relation:
# sessions}}. The one who asks is left out, and so is whom the condition at its end leaves out. Only
# where somebody waits for a lock is pg_locks read: that holds up the lock manager for a moment. Who
# waits for a row waits for the transaction that changed it. The lock on the tuple, held or not,
# then names the relation (PostgreSQL documentation, "pg_locks"; README.tuplock in
# src/backend/access/heap); who follows the row to its new version has none, and the only table that
# its transaction writes or locks rows of must be it.
_WAITS = """
with busy as materialized (
  select pid, case when state = 'active' then coalesce(wait_event_type || ':' || wait_event, 'CPU')
                   else 'Client:InTransaction' end as event
  from pg_stat_activity
  where datname = current_database()
    and backend_type = 'client backend' and pid <> pg_backend_pid()
    and (state = 'active' or state like 'idle in transaction%') {condition}
)
select json_build_object(
  'waits', (select json_object_agg(event, n) from (
     select event, count(*) as n from busy group by event) as events),
  'locks', case when exists (select from busy where event like 'Lock:%') then (
     with locks as materialized (
       select l.*, b.event from pg_locks as l join busy as b using (pid)
       where b.event like 'Lock:%' and l.relation is not null
         and l.database = (select oid from pg_database where datname = current_database())
     ), named as (
       select pid, relation from locks where locktype = 'tuple' or not granted
     ), written as (
       select l.pid, min(l.relation) as relation
       from (select distinct pid, relation::bigint from locks
             where event = 'Lock:transactionid' and locktype = 'relation'
               and mode in ('RowExclusiveLock', 'RowShareLock')) as l
       join pg_class as c on c.oid = l.relation and c.relkind in ('r', 'p')
       where l.pid not in (select pid from named)
       group by l.pid having count(*) = 1
     )
     select json_object_agg(name, n) from (
       select coalesce(c.relname, l.relation::text) as name, count(distinct l.pid) as n
       from (select pid, relation::bigint from named union all select * from written) as l
       left join pg_class as c on c.oid = l.relation
       group by 1) as relations) end
)::text
"""

# Sessions of our own name only. A pooler's have none: a library's RESET ALL takes it away.
OWN_WAITS = _WAITS.format(condition="and application_name = current_setting('application_name')")
ALL_WAITS = _WAITS.format(condition="")

# In force for the session: every transaction refuses to write, also one that begins by itself.
# Behind a pooler it must not be set for the session: PgBouncer refuses it as a startup parameter
# or, told to ignore it, drops it in silence, and a SET would reach other clients of the pooler; so
# each transaction is begun read-only instead. Prepared statements do not last beyond a transaction
# either (PgBouncer 1.21 can keep them, but does not say so).
READ_ONLY = "default_transaction_read_only"
APPLICATION = "poolkit"

SPARE_CONNECTIONS = """
select current_setting('max_connections')::int
     - current_setting('superuser_reserved_connections')::int
     - coalesce(current_setting('reserved_connections', true)::int, 0)
     - (select count(*) from pg_stat_activity where backend_type = 'client backend')
"""

_TOO_MANY_CONNECTIONS = "53300"
# Admin shutdown, crash shutdown, idle session: the server ended the session.
_ENDED = frozenset({"57P01", "57P02", "57P05"})
_CONNECTION_EXCEPTIONS = "08"  # the class of SQLSTATEs
_WORDS = (
    ("password authentication failed", "28P01"),
    ("no password supplied", "28P01"),
    ("no pg_hba.conf entry", "28000"),
    ("too many clients already", _TOO_MANY_CONNECTIONS),
    ("too many connections for", _TOO_MANY_CONNECTIONS),
    ("remaining connection slots are reserved", _TOO_MANY_CONNECTIONS),
)
# What the libraries say, without a SQLSTATE, of a connection that broke off earlier.
_GONE = ("connection is closed", "released back to the pool", "pool is clos")
# PgBouncer gives all its own errors the SQLSTATE 08P01, or none.
_POOLER_REFUSALS = (
    ("no more connections allowed", "too_many_connections"),
    ("query_wait_timeout", "query_wait_timeout"),
)


def sqlstate_of(error: BaseException) -> str | None:
    """The SQLSTATE of a library's exception, read from its words where it carries none."""
    state = getattr(error, "sqlstate", None)
    if state:
        return str(state)
    text = str(error)
    if "database " in text and "does not exist" in text:
        return "3D000"
    return next((state for words, state in _WORDS if words in text), None)


def first_line(error: BaseException) -> str:
    """What the server said, without the lines of detail, which may quote values."""
    lines = str(error).splitlines()
    return lines[0].rpartition("FATAL: ")[2].strip() if lines else ""


def is_disconnect(error: BaseException) -> bool:
    """Whether the exception says that the peer had closed the connection."""
    state = getattr(error, "sqlstate", None) or ""
    return (
        state in _ENDED
        or state.startswith(_CONNECTION_EXCEPTIONS)
        or isinstance(error, ConnectionResetError | BrokenPipeError)
        or (not state and any(words in str(error) for words in _GONE))
    )


def failure(error: BaseException) -> CallFailed:
    """The outcome that a library's exception stands for; time limits are the adapter's to tell."""
    for words, kind in _POOLER_REFUSALS:
        if words in str(error):
            return CallRejected(kind)
    if "statement pooling mode" in str(error):
        return CallFailed("no_transactions", first_line(error))
    if sqlstate_of(error) == _TOO_MANY_CONNECTIONS:
        return CallRejected("too_many_connections")
    if is_disconnect(error):
        return CallFailed("disconnected", type(error).__name__)
    if isinstance(error, OSError):
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return CallFailed("too_many_open_files")
        if _is_refused(error):
            return CallFailed("connection_refused")
        if isinstance(error, socket.gaierror):
            return CallFailed("host_not_found")
        return CallFailed("os_error", errno.errorcode.get(error.errno or 0, ""))
    return CallFailed(type(error).__name__, first_line(error))


def unreachable(error: BaseException) -> Unreachable:
    """Cause and remedy for a pool that could not be opened; names no password."""
    return Unreachable(*_refusal(error))


def _refusal(error: BaseException) -> tuple[str, str]:
    if replies.cut_off(error) is not None:
        return "the database sent more than max_reply", "see what stands at host and port"
    state = sqlstate_of(error)
    said = first_line(error)
    if "statement pooling mode" in said:
        return f"the pooler has no transactions: {said}", "in PgBouncer, pool_mode = transaction"
    if "unsupported startup parameter" in said:
        return (
            f"a pooler before the database takes no settings from its clients: {said}",
            "leave it out of the DSN and put it on the role: alter role NAME set SETTING = VALUE",
        )
    if state == "28P01":
        return "the database refused the user or password", "check the DSN's user and password"
    if state is not None and state.startswith("28"):
        return f"the database refused the login: {said}", "check the DSN's user and pg_hba.conf"
    if state == "3D000":
        return f"no such database: {said}", "check the database name at the end of the DSN"
    if state == _TOO_MANY_CONNECTIONS or "no more connections allowed" in said:
        return (
            f"the database has no free connection: {said}",
            "lower max_size, or free connections",
        )
    if isinstance(error, TimeoutError) or "timeout expired" in said:
        return (
            f"no answer from the database within {DIAL_TIMEOUT:g} s",
            "check host and port, and that a firewall lets this machine through",
        )
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return "this process may open no more files", "raise the limit with: ulimit -n 4096"
    if _is_refused(error):
        return (
            "the database refused the connection",
            "check host and port in the DSN, and that the server runs",
        )
    if isinstance(error, OSError) or "resolve host" in said or "translate host name" in said:
        named = error.strerror if isinstance(error, OSError) else said.partition("] ")[2] or said
        return (
            f"the database's host cannot be reached: {named or type(error).__name__}",
            "check the host name in the DSN",
        )
    if isinstance(error, ValueError) or (state is None and type(error).__name__ in _MISWRITTEN):
        # Its text may quote the DSN, password included.
        return (
            f"the DSN cannot be used: {type(error).__name__}",
            f"write it as {FORMS['postgres']}",
        )
    return f"the database refused the connection: {said}", "check the DSN and the server's log"


# What the libraries raise for a DSN that they cannot read, before they dial.
_MISWRITTEN = frozenset(
    {"InterfaceError", "ClientConfigurationError", "ProgrammingError", "ArgumentError"}
)


def _is_refused(error: BaseException) -> bool:
    # asyncio folds several refusals into one OSError without an errno; libpq has only words.
    text = str(error)
    return (
        isinstance(error, ConnectionRefusedError)
        or "Connect call failed" in text
        or "Connection refused" in text
    )


class PostgresPool:
    """The part of a pool that does not depend on the library, whose `call` is the subclass's.

    A subclass names its library's logger, how it spells parameters in a statement, and what the
    library raises and nobody else does.

    State: `options`, arguments of the library's own pool, and `session`, those to dial with, which
    `look` finds; both may be changed before `open`.

    Args:
        dsn: PostgreSQL connection URI; never logged.
        work: the statements to run on one connection, or the coroutine function that gets it.
        pool_size: most connections that the pool may hold, 1 or more.
        call_timeout: s, most that the function may take.
        max_reply: bytes that one call may receive.
    """

    wait_is_exact = True
    logger: ClassVar[str]
    spelling: ClassVar[Literal["numbered", "named", "colon"]]
    errors: tuple[type[Exception], ...]

    def __init__(
        self, dsn: str, work: SqlWork, pool_size: int, call_timeout: float, max_reply: int
    ) -> None:
        _silence(self.logger)
        self._dsn = dsn
        self._work = work
        self._statements: tuple[tuple[Any, tuple[str, ...]], ...] = tuple(
            (self._prepared(getattr(statement, self.spelling)), statement.names)
            for statement in work.statements
        )
        # What almost every target has: its call runs it without a further coroutine.
        self._single = self._statements[0] if len(self._statements) == 1 else None
        self._pool_size = pool_size
        self._call_timeout = call_timeout
        self._max_reply = max_reply
        self.options: dict[str, Any] = {}
        self.session: dict[str, Any] = {}
        self.is_pooled = False  # whether a pooler stands before the server
        self._pool: Any = None  # the library's, while it is open
        self._opened = 0
        self._disconnects = 0

    @property
    def pool_size(self) -> int:
        """Most connections that the pool may hold."""
        return self._pool_size

    async def look(self) -> None:
        """Find out what to dial with, unless that is known; costs one dial.

        Raises what the library raises.
        """
        if not self.session:
            self.is_pooled, self.session = await self._look()

    def statistics(self) -> PoolStatistics:
        """A frozen snapshot, from the library's own books."""
        in_use, idle, waiting = (0, 0, 0) if self._pool is None else self._figures()
        return PoolStatistics(
            pool_size=self._pool_size,
            in_use=in_use,
            idle=idle,
            waiting=waiting,
            connections_opened=self._opened,
            disconnects=self._disconnects,
        )

    async def spare_connections(self) -> int | None:
        """How many more connections the server has for this user, beyond those already in use.

        None where a pooler stands in between: then its own limits count, which it does not tell.
        """
        if self._pool is None or self.is_pooled:
            return None
        try:
            return int(await self._ask(SPARE_CONNECTIONS))
        except Exception as error:
            if not isinstance(error, (*self.errors, OSError)):
                raise
            raise CallFailed(type(error).__name__) from error

    async def facts(self) -> Facts:
        """How a pooler before the server lends its connections; asks over two of its own."""
        if not self.is_pooled:
            return Facts()
        return Facts(pooler=await mode_of(self.aside, (*self.errors, OSError)))

    def aside(self) -> AbstractAsyncContextManager[Ask]:
        """A connection outside the pool, to ask over; closed at the end. `look` comes before."""
        raise NotImplementedError

    async def _do(self, connection: Any) -> None:
        """The work of a call that is not a single statement."""
        work = self._work
        if work.function is not None:
            await run_function(work.function, connection, self._call_timeout)
            return
        values = work.draw()
        for number, (statement, names) in enumerate(self._statements):
            if number and work.pause:
                await asyncio.sleep(work.pause)
            await self._run(connection, statement, names, values)

    async def _look(self) -> tuple[bool, dict[str, Any]]:
        """Whether a pooler stands before the server, and the arguments to dial with."""
        raise NotImplementedError

    def _prepared(self, statement: str) -> Any:
        """The statement as the library takes it."""
        return statement

    async def _run(
        self, connection: Any, statement: Any, names: tuple[str, ...], values: Any
    ) -> None:
        """One statement and all its rows."""
        raise NotImplementedError

    async def _ask(self, statement: str) -> Any:
        """The first value of a statement's answer."""
        raise NotImplementedError

    def _figures(self) -> tuple[int, int, int]:
        """Connections in use and idle, and calls that wait."""
        raise NotImplementedError


@functools.cache
def _silence(logger: str) -> None:
    # What libraries warn of is in the outcomes; without a handler Python prints it to stderr.
    logging.getLogger(logger).addHandler(logging.NullHandler())
