"""For a service's own code: a watch on its live pools, and gauges for Prometheus.

`watch` needs nothing but the pool's own library, `instrument` prometheus-client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from poolkit.errors import MissingExtra
from poolkit.monitor.report import Report
from poolkit.monitor.snapshot import (
    Deadlock,
    Holder,
    Place,
    Shortage,
    Snapshot,
    Waiter,
    pool_locking_floor,
)
from poolkit.monitor.watch import Watch, unwatch, watch

if TYPE_CHECKING:
    from poolkit.monitor.gauges import Instrumented, instrument

__all__ = [
    "Deadlock",
    "Holder",
    "Instrumented",
    "Place",
    "Report",
    "Shortage",
    "Snapshot",
    "Waiter",
    "Watch",
    "instrument",
    "pool_locking_floor",
    "unwatch",
    "watch",
]


def __getattr__(name: str) -> Any:
    # prometheus-client is loaded where gauges are asked for, and not for a watch.
    if name in ("Instrumented", "instrument"):
        try:
            from poolkit.monitor import gauges
        except ModuleNotFoundError as error:
            raise MissingExtra("prometheus-client", "monitor") from error
        return getattr(gauges, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
