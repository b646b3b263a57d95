"""What targets.toml sets of the client library, in place of what poolkit would choose."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit import units
from poolkit.drivers.http import limit_per_host
from poolkit.recommend.rules import Basis, reason_of_size
from poolkit.records import Parameter, Recommendation
from poolkit.targets import Target

_NAMES = {("httpx", "keepalive_timeout"): "keepalive_expiry"}
_UNITS = {"statement_cache_size": "statements", "max_waiting": "callers"}
_UP_TO_SIZE = ("min_size", "max_keepalive_connections")  # what the pool was held to at each size
_AS_SET = "as targets.toml says; every trial ran with it"


def names_set(target: Target) -> frozenset[str]:
    """The parameters that targets.toml sets, by the names of the target's library."""
    keys = target.library_settings()
    return frozenset(_NAMES.get((target.driver, key), key) for key in keys if key != "sweep")


def as_set(basis: Basis, chosen: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """The parameters with the target's own settings in their places, or behind the others."""
    rows = {parameter.name: parameter for parameter in chosen}
    for key, value in basis.target.library_settings().items():
        if key == "sweep":
            continue
        if key in _UP_TO_SIZE:
            value = min(value, basis.size)
        name = _NAMES.get((basis.target.driver, key), key)
        unit = rows[name].unit if name in rows else _UNITS.get(name, "")
        rows[name] = Parameter(name=name, value=value, unit=unit, because=_AS_SET, source="rule")
    if "max_overflow" in basis.target.library_settings():
        rows |= {row.name: row for row in _with_overflow(basis)}
    if basis.target.origins > 1:
        rows |= {row.name: row for row in _of_hosts(basis)}
    return tuple(rows.values())


def library_of(recommendation: Recommendation) -> str:
    """The package that a recommendation is for: its driver, or the fork of it that was measured."""
    rows = {row.name: row.value for row in recommendation.parameters}
    return str(rows.get("library", recommendation.driver))


def _with_overflow(basis: Basis) -> tuple[Parameter, ...]:
    """SQLAlchemy's two sizes, whose sum is what was measured."""
    overflow = min(basis.target.max_overflow or 0, basis.size - 1)
    because = f"{_AS_SET}: of {units.plural(basis.size, 'connection')} in all, those that are "
    because += "dialled on demand and closed on return unless somebody waits"
    trial = basis.trial
    if trial is not None and trial.window > 0:
        dials = units.number(trial.connections_opened / trial.window, 2)
        because += f"; {dials} dials/s were seen, which 0 would save"
    kept = f"{reason_of_size(basis)}; of these, {overflow} are max_overflow"
    return (
        Parameter(
            name="pool_size",
            value=basis.size - overflow,
            unit="connections",
            because=kept,
            source="measured",
        ),
        Parameter(
            name="max_overflow",
            value=overflow,
            unit="connections",
            because=because,
            source="measured" if trial is not None else "rule",
        ),
    )


def _of_hosts(basis: Basis) -> tuple[Parameter, ...]:
    """The limits of a session of several hosts, by the one that was swept."""
    target, size = basis.target, basis.size
    hosts = target.origins
    share = limit_per_host(size, hosts, target.sweep)
    reason = reason_of_size(basis)
    if target.sweep == "limit_per_host":
        total = f"over all {hosts} hosts: what their shares may add up to"
        each = f"{reason}; an even share for each of {hosts} hosts, so none can take another's"
    else:
        total = f"{reason}; over all {hosts} hosts together"
        each = (
            "none: a host that is busy or slow may take every connection of the others"
            if share == 0
            else "the same: the limit over all hosts is what calls meet"
        )
    swept = target.sweep or "limit"
    return tuple(
        Parameter(
            name=name,
            value=value,
            unit="connections",
            because=because,
            source="measured" if name == swept else "rule",
        )
        for name, value, because in (("limit", size, total), ("limit_per_host", share, each))
    )
