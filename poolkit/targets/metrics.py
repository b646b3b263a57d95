"""Where a service's own pool metrics are read: the key `production` of a target.

Nothing secret stands in it: a token is named by its variable, and looked up when it is used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from poolkit.errors import BadInput
from poolkit.targets.endpoint import is_loopback
from poolkit.targets.headers import VARIABLE
from poolkit.targets.hosts import read_url
from poolkit.targets.production import base_url
from poolkit.targets.words import nearest

ADDRESSES = ("prometheus", "metrics")
KEYS = (*ADDRESSES, "pool", "job", "namespace", "preset", "token_env")
_FORM = '{ prometheus = "http://127.0.0.1:9090", pool = "orders-db" }'


@dataclass(frozen=True, slots=True)
class MetricsFrom:
    """What is asked for a service's pool, and where.

    Attributes:
        pool: the pool's name among the metrics.
        prometheus: base URL of a Prometheus server; None: `metrics` is scraped.
        metrics: address of the service's own /metrics; None: `prometheus` is asked.
        job, namespace: labels that the series must have; None: any.
        preset: whose names the metrics have.
        token_env: variable with the bearer token that Prometheus wants; None: it wants none.
    """

    pool: str
    prometheus: str | None = None
    metrics: str | None = None
    job: str | None = None
    namespace: str | None = None
    preset: str = "poolkit"
    token_env: str | None = None

    @property
    def matchers(self) -> str:
        """The labels of the series beside the pool, as PromQL's selectors have them."""
        known = {"job": self.job, "namespace": self.namespace}
        return "".join(f",{key}={quoted(text)}" for key, text in known.items() if text)

    @property
    def token(self) -> str:
        """The bearer token; empty: none is wanted, or its variable is not set."""
        return os.environ.get(self.token_env or "", "").strip()

    def headers(self) -> dict[str, str]:
        """What is sent with every query.

        Raises:
            BadInput: the token's variable is not set, or the token would travel unencrypted.
        """
        if self.token_env is None:
            return {}
        token = self.token
        if not token:
            raise BadInput(
                f"production.token_env: the environment variable {self.token_env} is not set",
                f"set it with: export {self.token_env}=...",
            )
        if not token.isascii() or not token.isprintable():
            raise BadInput(
                f"production.token_env: {self.token_env} holds no token",
                "a token is one line of ASCII",
            )
        found = read_url(self.prometheus or self.metrics or "")
        if found.scheme != "https" and not is_loopback(found.host):
            raise BadInput(
                "production.token_env: the token would be sent unencrypted",
                "name an https:// address",
            )
        return {"Authorization": f"Bearer {token}"}


def quoted(text: str) -> str:
    """A label's value as PromQL has it: as a JSON string, but no character as two halves."""
    return json.dumps(text, ensure_ascii=False)


def read_metrics(value: object) -> MetricsFrom | None:
    """What targets.toml tells; ValueError names the rule, never a value that may be secret."""
    if value is None or isinstance(value, MetricsFrom):
        return value
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"must be a table such as {_FORM}")
    for key, text in value.items():
        if key not in KEYS:
            raise ValueError(f"has no key {key!r}: it takes {', '.join(KEYS)}{nearest(key, KEYS)}")
        if not isinstance(text, str) or not text.strip() or not text.isprintable():
            raise ValueError(f"{key} must be a text of one line in quotes: {_FORM}")
    if sum(key in value for key in ADDRESSES) != 1:
        raise ValueError(f"needs prometheus or metrics, one of the two: {_FORM}")
    if "pool" not in value:
        raise ValueError(f"needs pool, the pool's name among the metrics: {_FORM}")
    variable = value.get("token_env")
    if variable is not None and not VARIABLE.fullmatch(variable):
        raise ValueError(
            'token_env must be the name of an environment variable, such as "PROMETHEUS_TOKEN"; '
            "the token itself belongs in that variable"
        )
    key = next(key for key in ADDRESSES if key in value)
    return MetricsFrom(**{**value, key: base_url(value[key], key)})
