"""One endpoint to size a pool for, and what is asked of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from poolkit.drivers.table import DRIVERS, FORMS, Driver, Kind
from poolkit.errors import BadInput
from poolkit.targets import endpoint as endpoints
from poolkit.targets import headers as http_headers
from poolkit.targets.draws import Draw, read_draw
from poolkit.targets.endpoint import Endpoint
from poolkit.targets.evidence import EvidenceFrom, read_evidence
from poolkit.targets.headers import VARIABLE, Header
from poolkit.targets.metrics import MetricsFrom, read_metrics
from poolkit.targets.objective import MOST, Objective
from poolkit.targets.settings import Method, Settings
from poolkit.targets.together import mistakes_together
from poolkit.targets.words import check_function_name

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class Target(Objective, Settings):
    """What targets.toml says of one endpoint; frozen, and its text forms hold no secret.

    Args:
        name: also the stem of its files.
        driver: the client library whose pool is sized.
        url, method: for HTTP drivers; redirects are not followed. A method other than GET, HEAD and
            OPTIONS is what allows a call to write.
        urls: in place of url, several addresses that share one session (aiohttp).
        url_order: how calls go to them: in "turn", or evenly at "random" from the trial's seed.
        headers: sent with every HTTP call; a secret one by reference to the environment.
        body: text sent with every HTTP call, where the method takes one.
        dsn, dsn_env: for database drivers, one: a PostgreSQL or Redis URI, or the variable holding
            it.
        statements: SQL texts that one call runs in order on one connection, 1 or more; `:name` in
            them is a placeholder. For Redis: commands, sent together, with `$name` in them.
        parameters: placeholder -> how its value is drawn for each call, from the trial's seed.
        pause: s that the connection is held idle between statements, 0 or more.
        read_only: whether the database is told to refuse writes.
        work: "module:function", a coroutine function of the user's own that does the whole call.
        evidence: where the server's side is looked at while load runs; shapes no load.
        production: where the service's own metrics are read, for `poolkit observe`.
        gate: whether a semaphore stands in front of the pool; None: where the driver needs one.

    What is asked of it (rate, times, sizes) is described in `Objective`, how its library is set up
    and the load capped in `Settings`.
    """

    name: str
    driver: Driver
    # None of url, headers, body and dsn is shown or dumped: each may hold a password.
    url: str | None = Field(None, repr=False, exclude=True)
    urls: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = Field(
        (), repr=False, exclude=True
    )
    url_order: Literal["turn", "random"] = "turn"
    method: Method = "GET"
    headers: Mapping[
        Annotated[str, AfterValidator(http_headers.check_name)],
        Annotated[Header, PlainValidator(http_headers.read_header)],
    ] = Field(default_factory=dict, repr=False, exclude=True)
    body: str | None = Field(None, repr=False, exclude=True)
    dsn: SecretStr | None = Field(None, repr=False, exclude=True)
    dsn_env: str | None = None
    statements: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = ()
    parameters: Mapping[
        str,
        Annotated[Draw, PlainValidator(read_draw), PlainSerializer(lambda draw: draw.written())],
    ] = Field(default_factory=dict)
    pause: float = Field(0.0, ge=0, le=MOST)
    read_only: bool = True
    work: str | None = None
    gate: bool | None = None
    evidence: Annotated[EvidenceFrom, PlainValidator(read_evidence)] = Field(
        EvidenceFrom(), repr=False, exclude=True
    )
    production: Annotated[MetricsFrom | None, PlainValidator(read_metrics)] = Field(
        None, repr=False, exclude=True
    )
    # A file asks for no less than today's rate, where a what-if may.
    growth: float = Field(1.0, ge=1, le=MOST)

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError(
                "a target's name must be usable as a file name: up to 100 letters, digits, . _ -, "
                "and start with a letter, digit or _"
            )
        return name

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        return None if url is None else endpoints.of_url(url).canonical

    @field_validator("urls")
    @classmethod
    def _check_urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(endpoints.of_url(url).canonical for url in urls)

    @field_validator("dsn")
    @classmethod
    def _check_dsn(cls, dsn: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if dsn is not None:
            endpoints.of_dsn(dsn.get_secret_value(), {}, kind_of(info.data.get("driver")))
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

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: Mapping[str, Header]) -> Mapping[str, Header]:
        http_headers.check_once(headers)
        return headers

    @field_validator("work")
    @classmethod
    def _check_work(cls, work: str | None) -> str | None:
        return check_function_name(work)

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
        return self.kind == "http"

    @property
    def kind(self) -> Kind:
        """What the driver's pool connects to."""
        return DRIVERS[self.driver].kind

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
        sent = (
            secret
            for name, header in self.headers.items()
            for secret in header.secrets(name, os.environ)
        )
        beside = (
            secret
            for variable in (self.evidence.pooler_dsn_env, self.evidence.server_dsn_env)
            if variable is not None and os.environ.get(variable)
            for secret in endpoints.of_dsn(os.environ[variable], os.environ).secrets
        )
        return (*(() if known is None else known.secrets), *sent, *beside)

    @property
    def fingerprint(self) -> str:
        """A short hash of the settings that shape the load; trials with another one do not compare.

        It holds no credential, so a changed password keeps it and it gives none away to guessing. A
        key that is left out leaves no trace, so that trials from before there was such a key count.
        """
        known = self._parsed()
        shape: dict[str, Any] = {
            "driver": self.driver,
            "endpoint": f"${self.dsn_env}" if known is None else known.identity,
            "method": self.method if self.is_http else None,
            "statements": self.statements,
            **self._load_settings(),
        }
        return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every URL that calls go to, secrets included; empty for a database."""
        return self.urls if self.url is None else (self.url,)

    @property
    def origins(self) -> int:
        """How many hosts and ports the calls of an HTTP target go to."""
        # An identity begins with scheme and authority.
        parsed = (endpoints.of_url(url).identity.split(" ")[:2] for url in self.addresses)
        return len({tuple(origin) for origin in parsed})

    def resolved_dsn(self) -> str:
        """The DSN in the form that was judged, the only one that a library is handed.

        Raises:
            BadInput: its variable is not set, or it breaks a rule with the environment as it is.
        """
        return self._database().canonical

    def _database(self) -> Endpoint:
        written = self._written_dsn()
        try:
            return endpoints.of_dsn(written, os.environ, self.kind)
        except ValueError as error:
            raise BadInput(
                f"targets.{self.name}: the DSN {error}", f"write it as {FORMS[self.kind]}"
            ) from None

    def _written_dsn(self) -> str:
        """The DSN as written in the file or the environment."""
        if self.dsn is not None:
            return self.dsn.get_secret_value()
        if self.dsn_env is None:
            raise ValueError(f"{self.name} is driven by {self.driver}, which takes no DSN")
        dsn = os.environ.get(self.dsn_env)
        if not dsn:
            raise BadInput(
                f"targets.{self.name}.dsn_env: the environment variable {self.dsn_env} is not set",
                export_line(self.dsn_env, self.kind),
            )
        return dsn

    def public_settings(self) -> dict[str, Any]:
        """What manifest.json says of the target."""
        settings: dict[str, Any] = {"driver": self.driver, "endpoint": self.endpoint}
        if self.is_http:
            settings["method"] = self.method
        else:
            settings["statements"] = list(self.statements)
            settings["read_only"] = self.read_only
        return settings | self._load_settings() | self.asked_settings()

    def _load_settings(self) -> dict[str, Any]:
        """The optional settings that shape the load, those that are set, without secrets."""
        settings = {
            "headers": {name: header.public(name) for name, header in self.headers.items()},
            "body": None if self.body is None else _digest(self.body),
            "parameters": {name: draw.written() for name, draw in self.parameters.items()},
            "pause": self.pause,
            "work": self.work,
        }
        given = {key: value for key, value in settings.items() if value}
        given |= self.library_settings()
        if self.url_order != "turn":
            given["url_order"] = self.url_order
        if self.gate is not None:
            given["gate"] = self.gate
        if not self.read_only:
            given["read_only"] = False
        return given

    def _parsed(self) -> Endpoint | None:
        """The endpoint taken apart; None while its variable is not set."""
        if self.url is not None:
            return endpoints.of_url(self.url)
        if self.urls:
            return endpoints.together([endpoints.of_url(url) for url in self.urls])
        is_set = self.dsn is not None or os.environ.get(self.dsn_env or "")
        return self._database() if is_set else None


def kind_of(driver: object) -> Kind:
    """What a database driver, as written in a file, connects to: PostgreSQL where it is wrong."""
    kind = DRIVERS[driver].kind if isinstance(driver, str) and driver in DRIVERS else "http"
    return "postgres" if kind == "http" else kind


def export_line(variable: str, kind: Kind) -> str:
    """What to type so that a DSN variable is set."""
    return f"set it with: export {variable}={FORMS[kind]}"


def _digest(body: str) -> str:
    """What may be written of a body: its length and a short hash."""
    content = body.encode()
    return f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()[:12]}"
