"""How a service should begin, as parameters beside those of its pool: from measured cold starts."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit import units
from poolkit.drivers.parameters.basis import row
from poolkit.drivers.parameters.settings import AS_SET, rows_by_name
from poolkit.drivers.table import DRIVERS
from poolkit.records import ColdAdvice, Parameter
from poolkit.targets import Target


def with_start(
    target: Target, chosen: Sequence[Parameter], advice: ColdAdvice
) -> tuple[Parameter, ...]:
    """The parameters with what the cold starts ask for.

    A `min_size` that targets.toml sets stays, and so does the 0 of a probe: connections that the
    server closes first are worse than a slow start. SQLAlchemy's engine is dialled whole in any
    case, since its pool has no such setting.
    """
    rows = rows_by_name(chosen)
    if "min_size" in rows:
        rows["min_size"] = _min_size(rows["min_size"], advice)
    elif advice.warm_up and DRIVERS[target.driver].kind != "postgres":
        because = f"to dial before the service reports ready: {advice.because}"
        rows["warm_up"] = row("warm_up", advice.min_size, "connections", because, "measured")
    if advice.jitter:
        rows["start_jitter"] = row("start_jitter", advice.jitter, "s", _jitter(advice), "measured")
    return tuple(rows.values())


def _min_size(row: Parameter, advice: ColdAdvice) -> Parameter:
    if row.because.startswith(AS_SET) or row.value == 0:
        return row
    if not advice.warm_up:
        said = f"{row.because}; the start does without: {advice.because}"
        return row.model_copy(update={"because": said})
    because = f"dialled before the service reports ready: {advice.because}"
    return row.model_copy(
        update={"value": advice.min_size, "because": because, "source": "measured"}
    )


def _jitter(advice: ColdAdvice) -> str:
    dials = advice.pools * advice.min_size
    took = "took" if not advice.is_least else "took at least"
    return (
        f"each replica begins at a random moment within it: {advice.pools} pools dial {dials} "
        f"connections, and the server {took} {units.number(advice.login_rate or 0.0)} logins a "
        "second; half of them stay free for others"
    )
