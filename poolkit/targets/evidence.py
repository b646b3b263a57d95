"""Where a target says that its server's side can be looked at while load runs: the key `evidence`.

Nothing secret stands in it: DSNs are named by their variables, and are looked up when they are
used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from poolkit.targets.headers import VARIABLE
from poolkit.targets.production import RateQuery, read_rate_query
from poolkit.targets.words import nearest

DSNS = ("pooler_dsn_env", "server_dsn_env")
WINDOW = "$window"  # in a query: stands for the length of the trial's window, such as 8s
_KEYS = ("prometheus", "query", *DSNS)
_FORM = (
    '{ prometheus = "http://127.0.0.1:9090", '
    "query = 'topk(1, sum by (event) (rate(waits_seconds_total[$window])))' }"
)


@dataclass(frozen=True, slots=True)
class EvidenceFrom:
    """Where evidence comes from, beside the target's own DSN.

    Attributes:
        is_wanted: False: the server's side is not looked at.
        query: asked of Prometheus for the window of each trial; of several series the largest
            counts, and `$window` in it stands for the window's length.
        pooler_dsn_env: variable with a DSN that the pooler's admin console lets in; None: the
            target's own is tried.
        server_dsn_env: variable with the DSN of the server itself, where a pooler stands before it.
    """

    is_wanted: bool = True
    query: RateQuery | None = None
    pooler_dsn_env: str | None = None
    server_dsn_env: str | None = None


def read_evidence(value: object) -> EvidenceFrom:
    """What targets.toml tells; ValueError names the rule, never a value that may be secret."""
    if isinstance(value, EvidenceFrom):
        return value
    if isinstance(value, bool):
        return EvidenceFrom(is_wanted=value)
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"must be true, false, or a table such as {_FORM}")
    for key in value:
        if key not in _KEYS:
            raise ValueError(
                f"has no key {key!r}: it takes {', '.join(_KEYS)}{nearest(key, _KEYS)}"
            )
    for key in DSNS:
        if key in value and not (isinstance(value[key], str) and VARIABLE.fullmatch(value[key])):
            raise ValueError(
                f'{key} must be the name of an environment variable, such as "PGBOUNCER_DSN"; '
                "the DSN itself belongs in that variable"
            )
    asked = {key: value[key] for key in ("prometheus", "query") if key in value}
    try:
        query = read_rate_query(asked) if asked else None
    except ValueError:
        raise ValueError(
            "needs prometheus, a URL without user, password or query, and query, a PromQL text, "
            f"both or none: {_FORM}"
        ) from None
    return EvidenceFrom(
        query=query,
        pooler_dsn_env=value.get("pooler_dsn_env"),
        server_dsn_env=value.get("server_dsn_env"),
    )
