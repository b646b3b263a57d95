"""One endpoint to size a pool for, and what is asked of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from poolkit.errors import BadInput
from poolkit.targets import endpoint as endpoints
from poolkit.targets.endpoint import Endpoint

Driver = Literal["aiohttp", "httpx", "asyncpg", "sqlalchemy", "psycopg"]
Method = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
HTTP_DRIVERS: tuple[Driver, ...] = ("aiohttp", "httpx")
DATABASE_DRIVERS: tuple[Driver, ...] = ("asyncpg", "sqlalchemy", "psycopg")
SUPPORTED_DRIVERS: tuple[Driver, ...] = ("aiohttp", "asyncpg")
_HTTP_KEYS = ("url", "method")
_DATABASE_KEYS = ("dsn", "dsn_env", "statements")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class Target(BaseModel):
    """What targets.toml says of one endpoint; frozen, and its text forms hold no secret.

    Args:
        name: also the stem of its files.
        driver: the client library whose pool is sized.
        url, method: for HTTP drivers; redirects are not followed.
        dsn, dsn_env: for database drivers, one: a PostgreSQL URI, or the variable holding it.
        statements: SQL texts that one call runs in order on one connection; 1 or more.
        target_rate: calls/s that the whole service must sustain, more than 0.
        wait_p99: s, longest acceptable p99 wait for a connection, more than 0.
        response_p99: s, longest acceptable p99 response time, more than 0; None: not asked.
        max_size: most connections ever opened, all pools together; at least one a pool.
        replicas, workers: `replicas * workers` processes share the upstream, each with a pool.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True
    )

    name: str
    driver: Driver
    # Neither is shown or dumped: both may hold a password.
    url: str | None = Field(None, repr=False, exclude=True)
    method: Method = "GET"
    dsn: SecretStr | None = Field(None, repr=False, exclude=True)
    dsn_env: str | None = None
    statements: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = ()
    target_rate: float = Field(gt=0)
    wait_p99: float = Field(0.010, gt=0)
    response_p99: float | None = Field(None, gt=0)
    max_size: int = Field(64, ge=1)
    replicas: int = Field(1, ge=1)
    workers: int = Field(1, ge=1)

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError(
                "a target's name must be usable as a file name: up to 100 letters, digits, . _ -, "
                "and start with a letter, digit or _"
            )
        return name

    @field_validator("driver")
    @classmethod
    def _check_driver(cls, driver: Driver) -> Driver:
        if driver not in SUPPORTED_DRIVERS:
            raise ValueError(
                f"this version does not drive {driver} yet; use {' or '.join(SUPPORTED_DRIVERS)}"
            )
        return driver

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        if url is not None:
            endpoints.of_url(url)
        return url

    @field_validator("dsn")
    @classmethod
    def _check_dsn(cls, dsn: SecretStr | None) -> SecretStr | None:
        if dsn is not None:
            endpoints.of_dsn(dsn.get_secret_value(), {})
        return dsn

    @field_validator("dsn_env")
    @classmethod
    def _check_variable(cls, variable: str | None) -> str | None:
        # A likely mistake is the DSN itself in this place, so the value is not quoted.
        if variable is not None and not VARIABLE.fullmatch(variable):
            raise ValueError(
                'must be the name of an environment variable, such as "ORDERS_DSN"; '
                "the DSN itself belongs in that variable"
            )
        return variable

    @field_validator("statements")
    @classmethod
    def _check_statements(cls, statements: tuple[str, ...]) -> tuple[str, ...]:
        if any(not statement.strip() for statement in statements):
            raise ValueError("must hold no empty statement")
        return statements

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        given = {key: getattr(self, key) for key in self.model_fields_set}
        mistakes = mistakes_together(given)
        if mistakes:
            raise ValueError("\n".join(f"{key}: {rule}" for key, rule in mistakes))
        return self

    @property
    def is_http(self) -> bool:
        """Whether the driver speaks HTTP; otherwise it speaks to a database."""
        return self.driver in HTTP_DRIVERS

    @property
    def pools(self) -> int:
        """How many pools share the upstream."""
        return self.replicas * self.workers

    @property
    def endpoint(self) -> str:
        """Scheme, host, port and path or database: safe to print, no user, query or password."""
        known = self._parsed()
        return f"${self.dsn_env}" if known is None else known.printable

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host that a call may dial; a path is a Unix socket; empty: $dsn_env is not set."""
        known = self._parsed()
        return () if known is None else known.hosts

    @property
    def host(self) -> str:
        """The first host that a call dials."""
        return next(iter(self.hosts), "")

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that must be written nowhere: hand them to `poolkit.redact.Redactor`."""
        known = self._parsed()
        return () if known is None else known.secrets

    @property
    def fingerprint(self) -> str:
        """A short hash of the settings that shape the load; trials with another one do not compare.

        It holds no credential, so a changed password keeps it and it gives none away to guessing.
        """
        known = self._parsed()
        shape = {
            "driver": self.driver,
            "endpoint": f"${self.dsn_env}" if known is None else known.identity,
            "method": self.method if self.is_http else None,
            "statements": self.statements,
        }
        return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:12]

    def resolved_dsn(self) -> str:
        """The DSN, from the file or the environment; BadInput when the variable is not set."""
        if self.dsn is not None:
            return self.dsn.get_secret_value()
        if self.dsn_env is None:
            raise ValueError(f"{self.name} is driven by {self.driver}, which takes no DSN")
        dsn = os.environ.get(self.dsn_env)
        if not dsn:
            raise BadInput(
                f"targets.{self.name}.dsn_env: the environment variable {self.dsn_env} is not set",
                export_line(self.dsn_env),
            )
        return dsn

    def public_settings(self) -> dict[str, Any]:
        """What manifest.json says of the target."""
        settings: dict[str, Any] = {"driver": self.driver, "endpoint": self.endpoint}
        if self.is_http:
            settings["method"] = self.method
        else:
            settings["statements"] = list(self.statements)
        for key in ("target_rate", "wait_p99", "response_p99", "max_size", "replicas", "workers"):
            settings[key] = getattr(self, key)
        return settings

    def _parsed(self) -> Endpoint | None:
        """The endpoint taken apart; None while its variable is not set."""
        if self.url is not None:
            return endpoints.of_url(self.url)
        try:
            return endpoints.of_dsn(self.resolved_dsn(), os.environ)
        except BadInput:
            return None


def export_line(variable: str) -> str:
    """What to type so that a DSN variable is set."""
    return f"set it with: export {variable}=postgresql://USER:PASSWORD@HOST:PORT/DATABASE"


def mistakes_together(given: Mapping[str, object]) -> list[tuple[str, str]]:
    """(key, broken rule) of what single keys cannot tell, such as keys of the other family.

    `given` are the keys as written, right or wrong by themselves; of their values only counts are
    quoted.
    """
    mistakes: list[tuple[str, str]] = []
    driver = given.get("driver")
    if driver in HTTP_DRIVERS:
        if given.get("url") is None:
            mistakes.append(("url", f"required by {driver}"))
        mistakes += [
            (key, f"belongs to a database; {driver} takes url and method")
            for key in _DATABASE_KEYS
            if key in given
        ]
    elif driver in DATABASE_DRIVERS:
        dsns = [key for key in ("dsn", "dsn_env") if given.get(key) is not None]
        if not dsns:
            mistakes.append(("dsn_env", f"required by {driver} (or dsn)"))
        if len(dsns) > 1:
            mistakes.append(("dsn_env", "must not stand beside dsn: keep one of them"))
        if not given.get("statements"):
            mistakes.append(("statements", f"{driver} needs at least one statement"))
        mistakes += [
            (key, f"belongs to an HTTP endpoint; {driver} takes dsn_env (or dsn) and statements")
            for key in _HTTP_KEYS
            if key in given
        ]
    size, replicas, workers = (_count(given, key) for key in ("max_size", "replicas", "workers"))
    if size and replicas and workers and size < replicas * workers:
        rule = f"must be {replicas * workers} or more, one for each of replicas * workers pools"
        mistakes.append(("max_size", f"{rule}, got {size}"))
    return mistakes


def _count(given: Mapping[str, object], key: str) -> int | None:
    """The whole number under `key`, its default where not given, None where it is wrong."""
    value = given.get(key, Target.model_fields[key].default)
    return value if type(value) is int and value >= 1 else None
