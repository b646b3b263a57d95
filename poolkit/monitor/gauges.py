"""Gauges and histograms of live pools for Prometheus.

They are read from the books when they are scraped; a call of the pool touches no metric object.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import REGISTRY, Collector, CollectorRegistry

from poolkit.drivers.table import HTTP_DRIVERS
from poolkit.monitor import drivers, names, workers
from poolkit.monitor.tap import Buckets, Tap


class Instrumented:
    """A pool whose gauges are exported until `close`; usable in a `with`."""

    def __init__(self, exposition: _Exposition, name: str, tap: Tap) -> None:
        self._exposition = exposition
        self._tap: Tap | None = tap
        self.name = name

    def __repr__(self) -> str:
        return f"Instrumented({self.name!r}, {'ended' if self._tap is None else 'on'})"

    def __enter__(self) -> Instrumented:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Export nothing more and leave the pool as it was; harmless when it has ended."""
        tap, self._tap = self._tap, None
        if tap is not None:
            self._exposition.remove(self.name)
            drivers.let_go(tap)


def instrument(
    pool: Any,
    *,
    name: str,
    registry: CollectorRegistry = REGISTRY,
    opentelemetry: bool = True,
    library: Sequence[str] = (),
) -> Instrumented:
    """Export the gauges of a live pool; `poolkit.monitor.names` says what they tell.

    The label `worker` is the pid of the process. Where PROMETHEUS_MULTIPROC_DIR is set, they are
    written there as well, and a MultiProcessCollector gives those of all workers.

    Args:
        pool: as for `watch`.
        name: the label `pool`, one for each pool of the registry.
        registry: where /metrics reads from.
        opentelemetry: whether OpenTelemetry's names are exported beside poolkit's. One choice for a
            registry: that of its first pool.
        library: as for `watch`.

    Raises:
        TypeError: not a pool that can be listened to, or a name that is not text.
        ValueError: the name is empty or taken.
    """
    if not isinstance(name, str):
        # The registry would take it, and then fail for every metric of the process.
        raise TypeError(f"name must be text, got {name!r}: it becomes the label `pool`")
    if not name:
        raise ValueError("name must not be empty: it becomes the label `pool`")
    with _lock:
        exposition = _expositions.get(id(registry))
        if exposition is not None and name in exposition.taps:
            raise ValueError(
                f"a pool named {name!r} is exported already; choose another name, or close() that "
                "one first"
            )
        tap = drivers.attach(pool, library)
        if exposition is None:
            exposition = _Exposition(registry, opentelemetry)
            try:
                registry.register(exposition)
            except BaseException:
                drivers.let_go(tap)
                raise
            _expositions[id(registry)] = exposition
        exposition.add(name, tap)
    return Instrumented(exposition, name, tap)


class _Exposition(Collector):
    """The pools of one registry; keeps the registry alive, so that its id stays its own."""

    def __init__(self, registry: CollectorRegistry, opentelemetry: bool) -> None:
        self._registry = registry
        self._opentelemetry = opentelemetry
        self.taps: dict[str, Tap] = {}
        self._mirror: workers.Mirror | None = None
        self._unread: set[str] = set()  # names of pools that could not be read, as the log says

    def add(self, name: str, tap: Tap) -> None:
        """One pool more."""
        self.taps[name] = tap
        if self._mirror is None and workers.is_asked_for():
            self._mirror = workers.Mirror(lambda: self._families(self._readings(), ()))

    def remove(self, name: str) -> None:
        """Forget one pool; with the last one the registry is left as it was."""
        with _lock:
            if self._mirror is not None:
                self._mirror.write()  # what it counted last
            del self.taps[name]
            self._unread.discard(name)
            if not self.taps:
                if self._mirror is not None:
                    self._mirror.close()
                self._registry.unregister(self)
                del _expositions[id(self._registry)]

    def describe(self) -> Iterable[Metric]:
        """The names, without a look at any pool."""
        return self._families([])

    def collect(self) -> Iterable[Metric]:
        """Every family, with a sample of each pool."""
        return self._families(self._readings())

    def _readings(self) -> list[_Reading]:
        readings = [self._read(name, tap) for name, tap in list(self.taps.items())]
        return [reading for reading in readings if reading is not None]

    def _read(self, name: str, tap: Tap) -> _Reading | None:
        # The registry gives all of a process's metrics or, after an error, none.
        try:
            return _read(name, tap)
        except Exception as error:
            if name not in self._unread:
                self._unread.add(name)
                _log.warning("pool %s cannot be read: %s: %s", name, type(error).__name__, error)
            return None

    def _families(
        self, readings: Sequence[_Reading], worker: Sequence[str] = (names.WORKER,)
    ) -> Iterable[Metric]:
        families: dict[str, Any] = {}

        def add(
            name: str,
            text: str,
            metric: names.Metric,
            of: Sequence[_Reading] = readings,
            keys: Sequence[str] = names.LABELS,
            state: tuple[tuple[str, str], ...] = (),
        ) -> None:
            if name not in families:
                labels = [*keys, *worker, *(key for key, _ in state)]
                if metric.is_by_state:
                    labels.append(names.N)
                families[name] = _FAMILIES[metric.kind](name, text, labels=labels)
            for reading in of:
                own = [reading.labels[key] for key in (*keys, *worker)]
                labels = [*own, *(value for _, value in state)]
                if metric.is_by_state:
                    for n, value in reading.states[metric].items():
                        families[name].add_metric([*labels, str(n)], value)
                elif metric.kind == "histogram":
                    times = reading.times[metric]
                    families[name].add_metric(labels, list(times.cumulative()), times.total)
                else:
                    families[name].add_metric(labels, reading.values[metric])

        for metric in names.METRICS:
            add(metric.name, metric.help, metric)
        if self._opentelemetry:
            http = [one for one in readings if one.labels["driver"] in HTTP_DRIVERS]
            databases = [one for one in readings if one.labels["driver"] not in HTTP_DRIVERS]
            keys = (*names.LABELS, names.POOL_NAME)
            for metric in names.METRICS:
                state = metric.otel_labels
                text = "Connections of the pool, by state" if state else metric.help
                if metric.otel:
                    add(metric.otel_name, text, metric, databases, keys, state)
            text = "Connections of an HTTP client, by state"
            for metric, word in ((names.IN_USE, "active"), (names.IDLE, "idle")):
                add(names.HTTP_OPEN, text, metric, http, state=((names.HTTP_STATE, word),))
        return families.values()


_log = logging.getLogger("poolkit.monitor")
_lock = threading.RLock()
_expositions: dict[int, _Exposition] = {}


class _Reading(NamedTuple):
    """One pool at the moment of a scrape."""

    labels: dict[str, str]
    values: dict[names.Metric, float]
    times: dict[names.Metric, Buckets]
    states: dict[names.Metric, dict[int, float]]  # by the label `in_use`


def _read(name: str, tap: Tap) -> _Reading:
    tap.fold()
    tap.forgotten()  # counts them
    state = tap.hook.state()
    seconds, releases, peak = tap.states(names.step, state.pool_size)
    size = math.inf if state.pool_size is None else float(state.pool_size)
    now = perf_counter()
    waiting = list(tap.waiting.values())
    out = [*list(tap.held.values()), *list(tap.dialling.values())]
    values: dict[names.Metric, float] = {
        names.SIZE: size,
        names.IN_USE: state.in_use,
        names.PEAK_IN_USE: peak,
        names.IDLE: state.idle,
        names.AVAILABLE: max(0.0, size - state.in_use),
        names.WAITING: len(waiting),
        names.OLDEST_WAIT: max((now - call.asked for call in waiting), default=0.0),
        names.OLDEST_HOLD: max((now - (call.since or now) for call in out), default=0.0),
        names.START: tap.since,
        names.ASKS: tap.asks,
        names.DIALS: tap.dial_time.count,
        names.TIMEOUTS: tap.timeouts,
        names.ABANDONED: tap.abandoned,
        names.SECOND_ASKS: tap.second_asks,
        names.NEVER_RETURNED: tap.never_returned,
    }
    times = {names.WAIT: tap.wait_time, names.HOLD: tap.hold_time, names.DIAL: tap.dial_time}
    labels = {"pool": name, names.POOL_NAME: name, "driver": tap.hook.driver}
    labels[names.WORKER] = str(os.getpid())
    states = {names.STATE_SECONDS: seconds, names.STATE_RELEASES: releases}
    return _Reading(labels, values, times, states)


_FAMILIES: dict[str, Callable[..., Any]] = {
    "gauge": GaugeMetricFamily,
    "counter": CounterMetricFamily,
    "histogram": HistogramMetricFamily,
}
