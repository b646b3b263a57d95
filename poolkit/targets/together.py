"""Rules between the keys of a target, such as keys of the other family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from poolkit.targets.drivers import DATABASE_DRIVERS, HTTP_DRIVERS, READING_METHODS
from poolkit.targets.statement import Statement
from poolkit.targets.words import key_path, nearest

HTTP_KEYS = ("url", "method", "headers", "body")
DATABASE_KEYS = ("dsn", "dsn_env", "statements", "parameters", "pause", "read_only")
# What `work` replaces.
_WORK_KEYS = ("body", "statements", "parameters", "pause")
DEFAULT_SIZES = {"max_size": 64, "replicas": 1, "workers": 1}

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
    return mistakes + _sizes(given)


def _http(given: Mapping[str, object], driver: str) -> Iterable[Told]:
    if given.get("url") is None:
        yield "url", f"required by {driver}"
    for key in DATABASE_KEYS:
        if key in given:
            yield key, f"belongs to a database; {driver} takes {_listed(HTTP_KEYS)}"
    method = given.get("method", "GET")
    if given.get("body") is not None and method in READING_METHODS:
        yield (
            "body",
            f'{method} takes no body; set method = "POST" (or PUT, PATCH, DELETE) or leave it out',
        )


def _database(given: Mapping[str, object], driver: str) -> Iterable[Told]:
    dsns = [key for key in ("dsn", "dsn_env") if given.get(key) is not None]
    if not dsns:
        yield "dsn_env", f"required by {driver} (or dsn)"
    if len(dsns) > 1:
        yield "dsn_env", "must not stand beside dsn: keep one of them"
    statements = given.get("statements")
    if given.get("work") is None:
        if not statements:
            yield "statements", f"{driver} needs at least one statement (or work)"
        if isinstance(statements, Sequence) and not isinstance(statements, str):
            yield from _placeholders(statements, given.get("parameters", {}))
            if given.get("pause") and len(statements) < 2:
                yield "pause", "stands between statements, so it needs at least 2 of them"
    for key in HTTP_KEYS:
        if key in given:
            yield key, f"belongs to an HTTP endpoint; {driver} takes {_listed(DATABASE_KEYS)}"


def _placeholders(statements: Sequence[object], parameters: object) -> Iterable[Told]:
    """Placeholders without a parameter and the other way round."""
    uses: dict[str, int] = {}  # placeholder -> the first statement that has it
    for index, text in enumerate(statements):
        if isinstance(text, str):
            statement = Statement(text)
            for name in statement.names:
                uses.setdefault(name, index)
            if statement.has_numbers:
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
            f"required by :{name} in statements[{uses[name]}], such as "
            f"{name} = {{ uniform = [1, 100000] }}; a colon that binds nothing wants a space "
            "behind it",
        )
    for name in unused:
        yield key_path("parameters", name), f"no statement uses :{name}{nearest(name, missing)}"


def _sizes(given: Mapping[str, object]) -> list[Told]:
    size, replicas, workers = (_count(given, key) for key in ("max_size", "replicas", "workers"))
    if size and replicas and workers and size < replicas * workers:
        rule = f"must be {replicas * workers} or more, one for each of replicas * workers pools"
        return [("max_size", f"{rule}, got {size}")]
    return []


def _count(given: Mapping[str, object], key: str) -> int | None:
    """The whole number under `key`, its default where not given, None where it is wrong."""
    value = given.get(key, DEFAULT_SIZES[key])
    return value if type(value) is int and value >= 1 else None


def _listed(keys: Sequence[str]) -> str:
    return f"{', '.join(keys[:-1])} and {keys[-1]}"
