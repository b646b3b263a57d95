"""Reads targets.toml and tells every mistake in it at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

from pydantic import ValidationError

from poolkit.drivers.table import Driver, Kind
from poolkit.errors import BadInput
from poolkit.targets import endpoint as endpoints
from poolkit.targets import headers as http_headers
from poolkit.targets import production
from poolkit.targets.evidence import DSNS
from poolkit.targets.headers import VARIABLE
from poolkit.targets.hosts import canonical_host
from poolkit.targets.metrics import ADDRESSES, MetricsFrom, read_metrics
from poolkit.targets.production import RateQuery
from poolkit.targets.reading import read_toml
from poolkit.targets.settings import Binds, HttpxLibrary, Method, RedisPoolClass
from poolkit.targets.target import Target, export_line, kind_of
from poolkit.targets.together import mistakes_together
from poolkit.targets.words import closest, key_path, nearest, rule, shown

_TOP_KEYS = ("allow_hosts", "fleet", "targets")
_KEYS = tuple(key for key in Target.model_fields if key not in ("name", "rate_from"))
_VALUES: dict[str, tuple[str, ...]] = {
    "driver": get_args(Driver),
    "method": get_args(Method),
    "sweep": get_args(Binds),
    "library": get_args(HttpxLibrary),
    "pool_class": get_args(RedisPoolClass),
    "url_order": ("turn", "random"),
}
# Their values are never quoted: a password may stand in them, rightly or by mistake.
_UNQUOTED = frozenset(
    {
        "url",
        "urls",
        "dsn",
        "dsn_env",
        "statements",
        "headers",
        "body",
        "parameters",
        "evidence",
        "production",
    }
)
_TABLES = ("headers", "parameters", "evidence", "production")  # keys whose values are tables
# Hosts that are asked about a target, and get none of its load.
_ASKED = ("evidence.prometheus", *(f"production.{key}" for key in ADDRESSES))
_REMEDY = "data/targets.example.toml shows every key; nothing was sent"


class Mistake(NamedTuple):
    """One line of the message: the key, and the rule with value and nearest valid one."""

    path: str
    rule: str

    def __str__(self) -> str:
        return f"{self.path}: {self.rule}"


def load_targets(
    path: Path | str, only: Sequence[str] = (), *, sends: bool = True
) -> dict[str, Target]:
    """The targets of a targets.toml by name, in the file's order.

    Args:
        path: the file.
        only: names to keep; all when empty. Only kept targets need their variables to be set.
        sends: False: nothing is sent to the targets, so none needs its variables or hosts allowed;
            only those that are asked for metrics do.

    Raises:
        BadInput: the file cannot be read, or holds mistakes: all of them, one a line, no secret.
    """
    path = Path(path)
    return targets_of(read_toml(path), path, only, sends=sends)


def targets_of(
    content: Mapping[str, Any], path: Path, only: Sequence[str] = (), *, sends: bool = True
) -> dict[str, Target]:
    """The same of a file's content; `path` is what messages call it."""
    mistakes = [_unknown(key, "", _TOP_KEYS) for key in content if key not in _TOP_KEYS]
    allowed = _allowed_hosts(content, mistakes)
    tables = content.get("targets", {})
    targets: dict[str, Target] = {}
    queries: dict[str, RateQuery | None] = {}
    if not isinstance(tables, dict):
        mistakes.append(
            Mistake("targets", f"must be tables such as [targets.orders-api], got {shown(tables)}")
        )
        tables = {}
    elif not tables and "targets" not in _meant(content, _TOP_KEYS):
        mistakes.append(
            Mistake("targets", "must hold at least one table such as [targets.orders-api]")
        )
    for name, table in tables.items():
        if not isinstance(table, dict):
            hint = f"; put {name} under a table of its own" if name in _KEYS else ""
            mistakes.append(Mistake(f"targets.{name}", f"must be a table [targets.NAME]{hint}"))
            continue
        is_needed = not only or name in only
        query, mistake = _rate_query(name, table, allowed, is_needed)
        mistakes += mistake
        target, wrong = _target(name, table if query is None else {**table, "target_rate": 1.0})
        mistakes += wrong
        if target is not None:
            targets[name] = target
            queries[name] = query
        dialled = table if sends else {"production": table.get("production")}
        mistakes += _host_mistakes(f"targets.{name}", dialled, allowed, is_needed)
        if is_needed and sends:
            mistakes += _header_mistakes(f"targets.{name}", table.get("headers"))
    # First what was asked for: that the file is not about it may be all that is wrong.
    mistakes[:0] = [
        Mistake(
            f"targets.{name}",
            f"no such target; {path.name} has {', '.join(tables)}{nearest(name, tables)}",
        )
        for name in dict.fromkeys(only)
        if tables and name not in tables
    ]
    _refuse(path, mistakes)
    return {
        name: _with_rate(target, queries[name])
        for name, target in targets.items()
        if not only or name in only
    }


def demand_source(path: Path, name: str) -> RateQuery | MetricsFrom:
    """Where a target's own demand can be read: the query of its rate, or else its pool's metrics.

    Nobody is asked yet, and what else stands in the file need not be right: whoever forecasts has
    no need of the DSNs.

    Raises:
        BadInput: there is no such target, what it says is wrong, or it names no Prometheus.
    """
    content = read_toml(path)
    mistakes: list[Mistake] = []
    allowed = _allowed_hosts(content, mistakes)
    tables = content.get("targets")
    tables = tables if isinstance(tables, dict) else {}
    table = tables.get(name)
    if not isinstance(table, dict):
        there = f"it has {', '.join(tables)}{nearest(name, tables)}" if tables else "it has none"
        raise BadInput(f"{path} has no target {name}: {there}", "name the file that it stands in")
    query, wrong = _rate_query(name, table, allowed, True)
    asked = {"production": table.get("production")}
    mistakes += [*wrong, *_host_mistakes(f"targets.{name}", asked, allowed, True)]
    found = None
    try:
        found = read_metrics(asked["production"])
    except ValueError as error:
        mistakes.append(Mistake(f"targets.{name}.production", str(error)))
    _refuse(path, mistakes)
    if query is not None:
        return query
    if found is None or found.prometheus is None:
        raise BadInput(
            f"targets.{name} names no Prometheus"
            + " (production.metrics keeps no past)" * (found is not None),
            'add to it: production = { prometheus = "http://127.0.0.1:9090", pool = "orders-db" }, '
            "or target_rate = { prometheus = ..., query = ... }",
        )
    return found


def _refuse(path: Path, mistakes: Sequence[Mistake]) -> None:
    if mistakes:
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise BadInput("\n".join([f"{count} in {path}", *(f"  {m}" for m in mistakes)]), _REMEDY)


def _rate_query(
    name: str, table: Mapping[str, Any], allowed: frozenset[str], is_needed: bool
) -> tuple[RateQuery | None, list[Mistake]]:
    """The query that stands in place of a target rate, and what is wrong with it."""
    given = table.get("target_rate")
    if not isinstance(given, dict):
        return None, []
    where = f"targets.{name}.target_rate"
    try:
        query = production.read_rate_query(given)
    except ValueError as error:
        # Beside this mistake the others of the target are told as well.
        return production.NO_QUERY, [Mistake(where, str(error))]
    if is_needed and not endpoints.is_loopback(query.host) and query.host not in allowed:
        rule = (
            f"host {query.host} is not this machine; where it may be asked for the rate, "
            f'add it: allow_hosts = ["{query.host}"]'
        )
        return query, [Mistake(f"{where}.prometheus", rule)]
    return query, []


def _with_rate(target: Target, query: RateQuery | None) -> Target:
    """The target with the rate that production shows now; BadInput where none can be read."""
    if query is None:
        return target
    figure = production.resolve(target.name, query)
    return target.model_copy(update={"target_rate": figure.value, "rate_from": figure.source})


def _allowed_hosts(content: Mapping[str, Any], mistakes: list[Mistake]) -> frozenset[str]:
    given = content.get("allow_hosts", [])
    if not isinstance(given, list):
        mistakes.append(
            Mistake("allow_hosts", f'must be a list such as ["db.internal"], got {shown(given)}')
        )
        return frozenset()
    allowed = set()
    for index, host in enumerate(given):
        try:
            # Brackets as in a URL, or none.
            allowed.add(canonical_host(host.strip().removeprefix("[").removesuffix("]")))
        except (AttributeError, ValueError):
            mistakes.append(
                Mistake(
                    f"allow_hosts[{index}]",
                    f"must be a host name or address, no scheme or path, got {shown(host)}",
                )
            )
    return frozenset(allowed)


def _target(name: str, table: Mapping[str, Any]) -> tuple[Target | None, list[Mistake]]:
    """The target of one table, or everything that is wrong with it."""
    where = f"targets.{name}"
    mistakes = [_unknown(key, f"{where}.", _KEYS) for key in table if key not in _KEYS]
    mistakes += [
        Mistake(where, f'a name that holds a dot needs quotes: [targets."{name}.{key}"]')
        for key, value in table.items()
        if isinstance(value, dict) and key not in _TABLES
    ]
    known = {key: value for key, value in table.items() if key in _KEYS}
    target = None
    try:
        target = Target(name=name, **known)
    except ValidationError as error:
        mistakes += _single_mistakes(where, known, error)
        mistakes += [Mistake(f"{where}.{key}", rule) for key, rule in mistakes_together(known)]
        # A key that is written wrong is not there either: told once, by what is written.
        absent = {f"{where}.{key}" for key in _meant(table, _KEYS)}
        mistakes = [
            m for m in mistakes if m.path not in absent or not m.rule.startswith("required")
        ]
    return (None if mistakes else target), mistakes


def _single_mistakes(
    where: str, table: Mapping[str, Any], error: ValidationError
) -> Iterable[Mistake]:
    for line in error.errors(include_url=False):
        if not line["loc"]:
            continue  # keys that do not go together are told by `mistakes_together`
        key, *inner = line["loc"]
        place = where if key == "name" else _place(where, str(key), inner)
        kind = line["type"]
        valid = _VALUES.get(str(key), ())
        told = rule(kind, line.get("ctx", {}), line["msg"], valid)
        if kind not in ("missing", "value_error") and key not in _UNQUOTED:
            told += f", got {shown(table.get(str(key)))}{nearest(str(table.get(str(key))), valid)}"
        yield Mistake(place, told)


def _place(where: str, key: str, inner: Sequence[str | int]) -> str:
    """The path of a value; a header's name is left out where a secret may have slipped into it."""
    keys = [step for step in inner if step != "[key]"]
    if key == "headers" and not all(http_headers.NAME.fullmatch(str(step)) for step in keys):
        keys = []
    return f"{where}.{key_path(key, *keys)}"


def _host_mistakes(
    where: str, table: Mapping[str, Any], allowed: frozenset[str], is_needed: bool
) -> Iterable[Mistake]:
    """Hosts that nobody allowed, and a DSN variable that is not set or holds no DSN.

    It reads the keys as written, so that hosts are told beside mistakes in other keys.
    """
    urls, database = table.get("urls"), kind_of(table.get("driver"))
    places = [(key, key, table.get(key)) for key in ("url", "dsn", "dsn_env")]
    places += [
        ("url", f"urls[{index}]", url)
        for index, url in enumerate(urls if isinstance(urls, list) else ())
    ]
    evidence = table.get("evidence")
    if isinstance(evidence, dict):
        places += [("dsn_env", f"evidence.{key}", evidence.get(key)) for key in DSNS]
        places.append(("url", "evidence.prometheus", evidence.get("prometheus")))
    asked = table.get("production")
    if isinstance(asked, dict):
        places += [("url", f"production.{key}", asked.get(key)) for key in ADDRESSES]
    for kind, key, text in places:
        if not isinstance(text, str):
            continue
        content = ""
        if kind == "dsn_env":
            if not is_needed or not VARIABLE.fullmatch(text):
                continue
            variable, text = text, os.environ.get(text, "")
            content = f"the content of {variable} "
            if not text:
                yield Mistake(
                    f"{where}.{key}",
                    f"the environment variable {variable} is not set; "
                    f"{export_line(variable, database)}",
                )
                continue
        try:
            found = (
                endpoints.of_url(text)
                if kind == "url"
                else endpoints.of_dsn(text, os.environ if is_needed else {}, database)
            )
        except ValueError as error:
            if key == "dsn" and _is_dsn(text, database):
                content = "with the PG... variables as set here, it "
            if content:  # the others are told by `Target` itself
                yield Mistake(f"{where}.{key}", f"{content}{error}")
            continue
        if is_needed and (moved := endpoints.astray(found.hosts)):
            yield Mistake(f"{where}.{key}", moved)
        for host in dict.fromkeys(found.hosts):
            if not endpoints.is_loopback(host) and host not in allowed:
                may = "it may be asked" if key in _ASKED else "load may be sent to it"
                yield Mistake(
                    f"{where}.{key}",
                    f"host {host} is not this machine; where {may}, "
                    f'add it: allow_hosts = ["{host}"]',
                )


def _header_mistakes(where: str, headers: object) -> Iterable[Mistake]:
    """Variables of headers that are not set, or whose content cannot be sent."""
    for name, written in headers.items() if isinstance(headers, dict) else ():
        try:
            header = http_headers.read_header(written)
        except ValueError:
            continue  # told by `Target` itself
        try:
            header.value(name, os.environ)
        except ValueError as error:
            yield Mistake(_place(where, "headers", [name]), str(error))


def _is_dsn(text: str, kind: Kind) -> bool:
    """Whether a DSN is right by itself, whatever the environment adds."""
    try:
        endpoints.of_dsn(text, {}, kind)
    except ValueError:
        return False
    return True


def _meant(table: Mapping[str, Any], valid: Sequence[str]) -> set[str]:
    """The keys that are not there, and that an unknown one was probably meant to be."""
    unknown = (key for key in table if key not in valid)
    return {meant for key in unknown if (meant := closest(key, valid)) and meant not in table}


def _unknown(key: str, prefix: str, valid: Iterable[str]) -> Mistake:
    return Mistake(f"{prefix}{key}", f"unknown key{nearest(key, valid)}")
