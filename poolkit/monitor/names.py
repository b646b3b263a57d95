"""The names under which gauges are exported: poolkit's own, and OpenTelemetry's beside them.

OpenTelemetry's semantic conventions (database client metrics, and those of HTTP clients) are
written in Prometheus's form: dots become underscores, a unit of seconds the suffix `_seconds`, a
counter gets `_total`, and units in braces vanish. Nothing there counts asks, dials, calls that
gave up or second asks, so those exist under poolkit's name only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LABELS = ("pool", "driver")
# The process that counts: its pid, or as the multiprocess mode of prometheus-client labels gauges.
WORKER, PID = "worker", "pid"
# The number of connections in use, of figures that are counted for each; see `step`.
N = "in_use"
_EXACT, _SHARE = 64, 25  # in use, and 1 / 4 %


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a pool: its name, what it means, and the names that others use for it."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    help: str
    otel: str = ""  # as the semantic conventions write it
    otel_labels: tuple[tuple[str, str], ...] = ()  # in Prometheus's form
    is_by_state: bool = False  # counted for each number in use, which is the label `in_use`

    @property
    def otel_name(self) -> str:
        """OpenTelemetry's name in Prometheus's form, without the `_total` of a counter."""
        suffix = "_seconds" if self.kind == "histogram" else ""
        return self.otel.replace(".", "_") + suffix


def step(n: int) -> range:
    """The numbers in use that are counted as one with n; the label `in_use` is the lowest of them.

    Up to 64 each stands for itself. From 65 on a step that begins at n is n // 25 wide, so a label
    is never more than 4 % below what it stands for, and a pool of 1000 has 140 labels.

    Args:
        n: connections in use, 0 or more.
    """
    low, width = n, 1
    if n > _EXACT:
        low = _EXACT + 1
        while low + (width := low // _SHARE) <= n:
            low += width
    return range(low, low + width)


_STATE = "db_client_connection_state"

SIZE = Metric(
    "poolkit_pool_size",
    "gauge",
    "Most connections that the pool may hold; +Inf where it has no limit",
    "db.client.connection.max",
)
IN_USE = Metric(
    "poolkit_pool_in_use",
    "gauge",
    "Connections that calls hold, those being dialled included",
    "db.client.connection.count",
    ((_STATE, "used"),),
)
PEAK_IN_USE = Metric(
    "poolkit_pool_peak_in_use",
    "gauge",
    "Most connections in use at once since the last scrape, and in the last minute; of several "
    "workers the sum is what they had at most",
)
STATE_SECONDS = Metric(
    "poolkit_pool_state_seconds",
    "counter",
    "Time with so many connections of the worker's pool in use, those that pass to a waiting call "
    "included; above 64 the label is the lowest of 4 %",
    is_by_state=True,
)
STATE_RELEASES = Metric(
    "poolkit_pool_state_releases",
    "counter",
    "Calls that gave their connection back while so many were in use, their own included; what was "
    "dropped or not dialled is no such call",
    is_by_state=True,
)
IDLE = Metric(
    "poolkit_pool_idle",
    "gauge",
    "Connections that are open and free",
    "db.client.connection.count",
    ((_STATE, "idle"),),
)
AVAILABLE = Metric(
    "poolkit_pool_available",
    "gauge",
    "Calls that could begin now without waiting: the size less the connections in use",
)
WAITING = Metric(
    "poolkit_pool_waiting",
    "gauge",
    "Calls that wait for a connection at this moment, counted call by call",
    "db.client.connection.pending_requests",
)
OLDEST_WAIT = Metric(
    "poolkit_pool_oldest_wait_seconds", "gauge", "How long the longest waiting call has waited"
)
OLDEST_HOLD = Metric(
    "poolkit_pool_oldest_hold_seconds",
    "gauge",
    "How long the connection that is out for longest has been held",
)
WAIT = Metric(
    "poolkit_pool_wait_seconds",
    "histogram",
    "From the ask to the connection, or to the right to dial one; calls that gave up included",
    "db.client.connection.wait_time",
)
HOLD = Metric(
    "poolkit_pool_hold_seconds",
    "histogram",
    "From the connection to its return, dial and reset included",
    "db.client.connection.use_time",
)
DIAL = Metric(
    "poolkit_pool_dial_seconds",
    "histogram",
    "To dial one connection, TLS and login included",
    "db.client.connection.create_time",
)
START = Metric(
    "poolkit_pool_start_time_seconds",
    "gauge",
    "When counting began, in seconds since 1970; another time, and every counter began anew",
)
ASKS = Metric(
    "poolkit_pool_asks",
    "counter",
    "Calls that asked for a connection, counted when they ask: their rate is the arrival rate",
)
DIALS = Metric("poolkit_pool_dials", "counter", "Connections dialled")
TIMEOUTS = Metric(
    "poolkit_pool_timeouts",
    "counter",
    "Calls that the pool turned away after its own time limit, or at once",
    "db.client.connection.timeouts",
)
ABANDONED = Metric(
    "poolkit_pool_abandoned", "counter", "Waits that their caller gave up: cancelled meanwhile"
)
SECOND_ASKS = Metric(
    "poolkit_pool_second_asks",
    "counter",
    "Tasks that asked for a connection while they held one of the same pool",
)
NEVER_RETURNED = Metric(
    "poolkit_pool_never_returned",
    "counter",
    "Connections that the program dropped without giving them back",
)

METRICS = tuple(value for value in list(vars().values()) if isinstance(value, Metric))

# The one figure that the conventions know of an HTTP client's pool.
HTTP_OPEN = "http_client_open_connections"
HTTP_STATE = "http_connection_state"
POOL_NAME = "db_client_connection_pool_name"
