"""Rules between the keys of a target, such as keys of the other family."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from poolkit.drivers.table import DATABASE_DRIVERS, DRIVERS, HTTP_DRIVERS, SUPPORTED_DRIVERS, Kind
from poolkit.targets.evidence import DSNS, read_evidence
from poolkit.targets.settings import READING_METHODS, misplaced_settings
from poolkit.targets.statement import Command, Statement
from poolkit.targets.words import key_path, nearest

HTTP_KEYS = ("url", "method", "headers", "body")
_SEVERAL = ("urls", "url_order")  # addresses in place of url
DATABASE_KEYS = ("dsn", "dsn_env", "statements", "parameters", "pause", "read_only")
REDIS_KEYS = tuple(key for key in DATABASE_KEYS if key != "pause")
# Kind of database -> how a text of `statements` is read.
_STATEMENTS: Mapping[Kind, type[Statement | Command]] = {"postgres": Statement, "redis": Command}
# What `work` replaces.
_WORK_KEYS = ("body", "statements", "parameters", "pause")
DEFAULT_SIZES = {
    "max_size": 64,
    "replicas": 1,
    "workers": 1,
    "surge": 0,
    "reserved_connections": 0,
    "used_connections": 0,
    "tasks": 1,
    "connections_per_task": 1,
}
_LEAST = {"reserved_connections": 0, "used_connections": 0, "surge": 0}

Told = tuple[str, str]


def mistakes_together(given: Mapping[str, object]) -> list[Told]:
    """(key, broken rule) of what single keys cannot tell.

    `given` are the keys as written, right or wrong by themselves; of their values only counts and
    the names of placeholders are quoted.
    """
    driver = given.get("driver")
    mistakes: list[Told] = []
    if driver in HTTP_DRIVERS:
        mistakes += _http(given, str(driver))
    elif driver in DATABASE_DRIVERS:
        mistakes += _database(given, str(driver))
    if given.get("work") is not None:
        mistakes += [
            (key, "must not stand beside work, whose function does the whole call")
            for key in _WORK_KEYS
            if given.get(key) or given.get(key) == ""
        ]
    if driver in SUPPORTED_DRIVERS:
        mistakes += misplaced_settings(given)
    return [*mistakes, *_evidence(given), *_sizes(given), *_tasks(given)]


def _evidence(given: Mapping[str, object]) -> Iterable[Told]:
    """DSNs of a server that is no PostgreSQL."""
    driver = given.get("driver")
    if driver not in SUPPORTED_DRIVERS or DRIVERS[str(driver)].kind == "postgres":
        return
    try:
        asked = read_evidence(given.get("evidence", True))
    except ValueError:
        return  # told by `Target` itself
    for key in DSNS:
        if getattr(asked, key) is not None:
            yield "evidence", f"{key} belongs to PostgreSQL; {driver} takes prometheus and query"


def _http(given: Mapping[str, object], driver: str) -> Iterable[Told]:
    yield from _addresses(given, driver)
    for key in DATABASE_KEYS:
        if key in given:
            yield key, f"belongs to a database; {driver} takes {_listed(HTTP_KEYS)}"
    method = given.get("method", "GET")
    if given.get("body") is not None and method in READING_METHODS:
        yield (
            "body",
            f'{method} takes no body; set method = "POST" (or PUT, PATCH, DELETE) or leave it out',
        )
    yield from _two_logins(given)


def _two_logins(given: Mapping[str, object]) -> Iterable[Told]:
    """A user in the URL, which clients send as the header that is also given; they disagree."""
    headers, urls = given.get("headers"), given.get("urls")
    if not isinstance(headers, Mapping):
        return
    names = [name for name in headers if str(name).lower() == "authorization"]
    written = [given.get("url"), *(urls if isinstance(urls, Sequence) else ())]
    if names and any(
        isinstance(url, str) and "@" in re.split("[/?#]", url.partition("//")[2])[0]
        for url in written
    ):
        yield (
            key_path("headers", str(names[0])),
            "must not stand beside a user in the URL, which is sent as the same header: keep one "
            "of them",
        )


def _addresses(given: Mapping[str, object], driver: str) -> Iterable[Told]:
    """`url`, or for aiohttp several `urls` and what only makes sense with them."""
    urls = given.get("urls")
    if given.get("url") is None and "urls" not in given:
        yield "url", f"required by {driver}"
    if urls is not None:
        if driver != "aiohttp":
            yield "urls", f"belongs to aiohttp, whose session limits each; {driver} takes url"
        if given.get("url") is not None:
            yield "urls", "must not stand beside url: keep one of them"
        if isinstance(urls, Sequence) and len(urls) < 2:
            yield "urls", "must hold 2 or more addresses; write one as url"
    else:
        for key in ("url_order", "sweep") if driver == "aiohttp" else ("url_order",):
            if key in given:
                yield key, "needs several urls"


def _database(given: Mapping[str, object], driver: str) -> Iterable[Told]:
    dsns = [key for key in ("dsn", "dsn_env") if given.get(key) is not None]
    if not dsns:
        yield "dsn_env", f"required by {driver} (or dsn)"
    if len(dsns) > 1:
        yield "dsn_env", "must not stand beside dsn: keep one of them"
    statements = given.get("statements")
    is_redis = DRIVERS[driver].kind == "redis"
    if given.get("work") is None:
        if not statements:
            yield "statements", f"{driver} needs at least one statement (or work)"
        if isinstance(statements, Sequence) and not isinstance(statements, str):
            read = _STATEMENTS[DRIVERS[driver].kind]
            yield from _placeholders(statements, given.get("parameters", {}), read)
            if not is_redis and given.get("read_only", True) is True:
                yield from _escapes(statements)
            if given.get("pause") and not is_redis and len(statements) < 2:
                yield "pause", "stands between statements, so it needs at least 2 of them"
    own = REDIS_KEYS if is_redis else DATABASE_KEYS
    for key in (*HTTP_KEYS, *_SEVERAL):
        if key in given:
            yield key, f"belongs to an HTTP endpoint; {driver} takes {_listed(own)}"
    if is_redis and "pause" in given:
        yield "pause", "stands between SQL statements; Redis is sent all commands of a call at once"


def _escapes(statements: Sequence[object]) -> Iterable[Told]:
    """Statements that may write although the database is told to refuse that."""
    for index, text in enumerate(statements):
        if isinstance(text, str) and (word := Statement(text).escape_from_read_only):
            yield (
                f"statements[{index}]",
                f"may leave the read-only transaction or write without one ({word}); where it may "
                "really write to this database, say read_only = false",
            )


def _placeholders(
    statements: Sequence[object], parameters: object, read: type[Statement | Command]
) -> Iterable[Told]:
    """Statements that cannot be read, placeholders without a parameter and the other way round."""
    uses: dict[str, int] = {}  # placeholder -> the first statement that has it
    for index, text in enumerate(statements):
        if not isinstance(text, str):
            continue
        try:
            statement = read(text)
        except ValueError as error:
            yield f"statements[{index}]", str(error)
            continue
        for name in statement.names:
            uses.setdefault(name, index)
        if isinstance(statement, Statement) and statement.has_numbers:
            yield (
                f"statements[{index}]",
                "uses $1 or the like; write :name, and its values under parameters",
            )
    if not isinstance(parameters, Mapping):
        return
    unused = [name for name in parameters if name not in uses]
    missing = [name for name in uses if name not in parameters]
    for name in missing:
        yield (
            key_path("parameters", name),
            f"required by {read.mark}{name} in statements[{uses[name]}], such as "
            f"{name} = {{ uniform = [1, 100000] }}; {read.escape}",
        )
    for name in unused:
        yield (
            key_path("parameters", name),
            f"no statement uses {read.mark}{name}{nearest(name, missing)}",
        )


def budget_of(given: Mapping[str, object]) -> int | None:
    """Connections that the server leaves for all pools together; None where a key is not right."""
    taken = [_count(given, key) for key in ("reserved_connections", "used_connections")]
    most = _count(given, "max_connections")
    if most is None or any(value is None for value in taken):
        return None
    return most - sum(value for value in taken if value is not None)


def _sizes(given: Mapping[str, object]) -> Iterable[Told]:
    size, replicas, workers = (_count(given, key) for key in ("max_size", "replicas", "workers"))
    budget = budget_of(given)
    if given.get("max_connections") is None:
        for key in ("reserved_connections", "used_connections"):
            if key in given:
                yield key, "is taken off max_connections, which is not there"
        if given.get("surge"):
            yield "surge", "needs room among max_connections, which is not there"
    elif budget is not None and budget < 1:
        rule = "must be more than reserved_connections and used_connections together"
        yield "max_connections", f"{rule}, got {given['max_connections']}"
    elif size and budget is not None and "max_size" in given and size > budget:
        rule = f"must be {budget} or less: max_connections less those reserved and used by others"
        yield "max_size", f"{rule}, got {size}"
    elif size and budget is not None:
        size = min(size, budget)
    if not (size and replicas and workers):
        return
    tasks, held = _count(given, "tasks"), _count(given, "connections_per_task")
    least = locking_floor(tasks or 1, held or 1)
    if size < replicas * workers:
        rule = f"must be {replicas * workers} or more, one for each of replicas * workers pools"
        yield "max_size", f"{rule}, got {size}"
    elif size < least * replicas * workers:
        rule = (
            f"must be {least * replicas * workers} or more: {least} in each pool, so that its "
            "tasks cannot lock each other out"
        )
        yield "max_size", f"{rule}, got {size}"
    else:
        yield from _rolling(given, least, budget)
    yield from losses(given, replicas)


def _rolling(given: Mapping[str, object], least: int, budget: int | None) -> Iterable[Told]:
    """Old and new replicas side by side, which the server must have room for."""
    replicas, surge, workers = (_count(given, key) for key in ("replicas", "surge", "workers"))
    if not (budget and replicas and surge and workers):
        return
    needed = least * (replicas + surge) * workers
    if needed > budget:
        yield (
            "surge",
            f"makes {(replicas + surge) * workers} pools while a deploy rolls, which need {needed} "
            f"connections; max_connections leaves {budget}",
        )


def losses(given: Mapping[str, object], replicas: int) -> Iterable[Told]:
    """Replicas that may be lost, of which one must be left."""
    lost, zones = given.get("lost_replicas"), given.get("zones")
    if type(lost) is int and lost >= replicas:
        yield "lost_replicas", f"must be less than replicas = {replicas}, got {lost}"
    if zones is None:
        return
    if lost is not None:
        yield "zones", "must not stand beside lost_replicas: keep one of them"
    if replicas < 2:
        yield "zones", "needs replicas of 2 or more: with one, a lost zone leaves none"


def _tasks(given: Mapping[str, object]) -> Iterable[Told]:
    held = _count(given, "connections_per_task")
    if held is not None and held > 1 and "tasks" not in given:
        yield "tasks", "required by connections_per_task: the tasks of one process at a time"
    if "tasks" in given and "connections_per_task" not in given:
        yield "tasks", "says nothing without connections_per_task"


def locking_floor(tasks: int, connections: int) -> int:
    """The smallest pool in which `tasks` tasks of `connections` each cannot lock each other out.

    T * (m - 1) + 1: when every task holds all but its last connection, one is still free, so one
    task can go on (HikariCP, "About Pool Sizing"; it breaks the circular wait of Coffman, Elphick
    and Shoshani 1971). Both 1 or more.
    """
    return tasks * (connections - 1) + 1


def _count(given: Mapping[str, object], key: str) -> int | None:
    """The whole number under `key`, its default where not given, None where it is wrong."""
    value = given.get(key, DEFAULT_SIZES.get(key))
    return value if type(value) is int and value >= _LEAST.get(key, 1) else None


def _listed(keys: Sequence[str]) -> str:
    return f"{', '.join(keys[:-1])} and {keys[-1]}"
