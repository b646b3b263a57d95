"""What targets.toml sets of the client library, in place of what poolkit would choose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from poolkit.drivers.parameters.basis import Basis, row
from poolkit.records import Parameter

_NAMES = {("httpx", "keepalive_timeout"): "keepalive_expiry"}
_UNITS = {"statement_cache_size": "statements", "max_waiting": "callers"}
_UP_TO_SIZE = ("min_size", "max_keepalive_connections")  # what the pool was held to at each size
# What the size is of, or what is measured as a mistake: the driver's own rows tell.
_OF_SIZE = ("sweep", "max_overflow", "pool_class")
AS_SET = "as targets.toml says; every trial ran with it"


def rows_by_name(rows: Iterable[Parameter]) -> dict[str, Parameter]:
    """Parameters under their names."""
    return {row.name: row for row in rows}


def as_set(
    basis: Basis, chosen: Sequence[Parameter], measured: Sequence[Parameter] = ()
) -> tuple[Parameter, ...]:
    """The parameters with the target's own settings in their places, or behind the others.

    They stay whatever a probe `measured`, because every trial ran with them; the reason tells it.
    """
    rows, found = rows_by_name(chosen), rows_by_name(measured)
    for key, value in basis.target.library_settings().items():
        if key in _OF_SIZE:
            continue
        if key in _UP_TO_SIZE:
            value = min(value, basis.size)
        name = _NAMES.get((basis.target.driver, key), key)
        unit = rows[name].unit if name in rows else _UNITS.get(name, "")
        rows[name] = beside_probe(row(name, value, unit, AS_SET), found.get(name))
    return tuple(rows.values())


def beside_probe(row: Parameter, measured: Parameter | None) -> Parameter:
    """A parameter that stays although a probe found another value, which its reason tells."""
    if measured is None or measured.value == row.value:
        return row
    unit = f" {measured.unit}" if measured.unit else ""
    because = f"{row.because}; poolkit probe finds {measured.value}{unit}: {measured.because}"
    return row.model_copy(update={"because": because})
