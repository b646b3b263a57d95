"""Gauges of a service of several processes, as PROMETHEUS_MULTIPROC_DIR asks for them.

There prometheus-client merges what every worker has written into files and asks no collector, so
the books are written into them once a second. Gauges tell the worker by the label `pid`, and only
living ones (`liveall`); counters and histograms are summed over all workers that there were. So the
seconds with n in use are those of every worker with n of its own, in all workers' time.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Iterable

from prometheus_client.core import Metric
from prometheus_client.utils import floatToGoString
from prometheus_client.values import ValueClass

PERIOD = 1.0  # s between two writings

_Key = tuple[str, tuple[tuple[str, str], ...]]  # name and labels of a sample
_log = logging.getLogger("poolkit.monitor")


def is_asked_for() -> bool:
    """Whether prometheus-client was loaded where PROMETHEUS_MULTIPROC_DIR is set."""
    return bool(ValueClass._multiprocess)


class Mirror:
    """Writes families into this worker's files until `close`, from a thread of its own.

    Args:
        collect: the families as they stand, without a label of the worker.
    """

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect
        self._values: dict[_Key, ValueClass] = {}
        self._gauges: set[_Key] = set()
        self._writing = threading.Lock()
        self._has_failed = False
        self._end = threading.Event()
        self.write()
        threading.Thread(target=self._run, name="poolkit-gauges", daemon=True).start()
        atexit.register(self.write)

    def write(self) -> None:
        """Write now; gauges of pools that are exported no more become 0."""
        with self._writing:
            gauges: set[_Key] = set()
            for family in self._collect():
                below = 0.0  # of a histogram's buckets: files hold each by itself
                for sample in family.samples:
                    if sample.name.endswith("_count"):
                        continue  # made from the buckets
                    labels, value = dict(sample.labels), sample.value
                    if "le" in labels:
                        labels["le"] = floatToGoString(float(labels["le"]))  # type: ignore[no-untyped-call]
                        value, below = value - below, value
                    else:
                        below = 0.0
                    key = (sample.name, tuple(labels.items()))
                    if family.type == "gauge":
                        gauges.add(key)
                    self._value(family, key).set(value)
            for key in self._gauges - gauges:
                self._values[key].set(0.0)
            self._gauges = gauges

    def close(self) -> None:
        """Write a last time and no more."""
        self._end.set()
        atexit.unregister(self.write)
        self.write()

    def _value(self, family: Metric, key: _Key) -> ValueClass:
        if key not in self._values:
            name, labels = key
            self._values[key] = ValueClass(
                family.type,
                family.name,
                name,
                tuple(label for label, _ in labels),
                tuple(value for _, value in labels),
                family.documentation,
                multiprocess_mode="liveall",
            )
        return self._values[key]

    def _run(self) -> None:
        while not self._end.wait(PERIOD):
            try:
                self.write()
            except Exception as error:
                if not self._has_failed:
                    self._has_failed = True
                    _log.warning("gauges cannot be written: %s: %s", type(error).__name__, error)
