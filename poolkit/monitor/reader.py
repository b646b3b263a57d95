"""What a running service does with its pools: arrival rate, hold time and waits, from outside.

Either two scrapes of the service's own /metrics, some seconds apart, or a Prometheus server that
scrapes it.
"""

from __future__ import annotations

import math
import re
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from poolkit.errors import BadInput
from poolkit.monitor import names
from poolkit.redact import printable
from poolkit.targets import production

SECONDS = 10.0  # between two scrapes
LONGEST = 3600.0
MOST_COUNTED = 2.0**53
Cumulative = tuple[tuple[float, float], ...]  # (upper bound, values up to it)


@dataclass(frozen=True, slots=True)
class Times:
    """A histogram as it stands: its buckets, how many values, and their sum (s)."""

    buckets: Cumulative
    count: float
    total: float


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """One pool at the moment of a scrape."""

    driver: str
    values: dict[str, float]  # by poolkit's name, a counter's without `_total`
    times: dict[str, Times]  # by poolkit's name


@dataclass(frozen=True, slots=True)
class Scrape:
    """The pools of one /metrics at one moment (s, of a steady clock)."""

    at: float
    source: str
    pools: dict[str, PoolFigures]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a pool carried for a while; None where there was no call to tell it.

    Attributes:
        arrival_rate: calls/s that asked for a connection, whatever became of them.
        hold_time: s, mean.
        wait_time, wait_p99: s, mean, and as the histogram's buckets tell it.
        timeouts: calls that the pool turned away; abandoned: waits that their caller gave up.
        dials: connections dialled.
        seconds: how long was looked at.
        source: where the figures are from.
    """

    pool: str
    driver: str
    arrival_rate: float
    hold_time: float | None
    wait_time: float | None
    wait_p99: float | None
    timeouts: float
    abandoned: float
    dials: float
    seconds: float
    source: str

    @property
    def offered_load(self) -> float | None:
        """Connections that the traffic keeps busy on average: arrival rate times hold time."""
        return None if self.hold_time is None else self.arrival_rate * self.hold_time


def parse(text: str, what: str) -> dict[str, PoolFigures]:
    """The pools of an exposition by name; empty where it exports none.

    Args:
        what: where the text is from, for messages.

    Raises:
        BadInput: the text is not in Prometheus's format.
    """
    pools: dict[str, PoolFigures] = {}
    parts: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    wanted = {metric.name: metric.kind for metric in names.METRICS}
    try:
        for family in text_string_to_metric_families(text):
            kind = wanted.get(family.name)
            for sample in family.samples if kind is not None else ():
                pool, driver = (printable(sample.labels[name]) for name in names.LABELS)
                figures = pools.setdefault(pool, PoolFigures(driver, {}, {}))
                value = sample.value if kind == "gauge" else _counted(sample.value)
                if kind != "histogram":
                    figures.values[family.name] = value
                    continue
                part = sample.name.removeprefix(f"{family.name}_")
                if part == "bucket":
                    part = sample.labels["le"]
                parts[pool, family.name][part] = value
        for (pool, name), found in parts.items():
            pools[pool].times[name] = _times(found)
        return pools
    except Exception as error:  # the parser is not ours, and the text may be anything
        raise BadInput(
            f"{what} is not an exposition in Prometheus's text format", "name the /metrics address"
        ) from error


def _counted(value: float) -> float:
    """A counter's value; ValueError for what nothing can have counted."""
    if not 0 <= value <= MOST_COUNTED:
        raise ValueError("a counter must be 0 or more, and finite")
    return float(value)


def _times(found: Mapping[str, float]) -> Times:
    bounds = {
        float(part): value
        for part, value in found.items()
        if part not in ("count", "sum", "created")
    }
    if any(math.isnan(bound) for bound in bounds):
        raise ValueError("a bucket needs an upper bound")
    return Times(tuple(sorted(bounds.items())), found["count"], found["sum"])


def quantile(cumulative: Sequence[tuple[float, float]], share: float) -> float | None:
    """The value below which `share` of all lies, as Prometheus's histogram_quantile estimates it.

    Linear within a bucket; the largest finite bound where it lies beyond it; None without values.

    Args:
        cumulative: (upper bound, values up to it), by bound, the last bound infinite.
        share: 0 to 1.
    """
    if not cumulative or cumulative[-1][1] <= 0:
        return None
    rank = share * cumulative[-1][1]
    below, low = 0.0, 0.0
    for bound, so_far in cumulative:
        if so_far >= rank and so_far > below:
            if bound == float("inf"):
                return low
            return low + (bound - low) * (rank - below) / (so_far - below)
        below, low = so_far, bound if bound != float("inf") else low
    return low


def scrape(url: str, *, timeout: float = production.TIMEOUT) -> Scrape:
    """The pools that a service exports now.

    Args:
        url: its /metrics address, http or https.
        timeout: s, for the whole answer.

    Raises:
        BadInput: no answer, or not an exposition; with what to do.
    """
    if not url.startswith(("http://", "https://")):
        raise BadInput(f"{url} is no http address", "name it like http://127.0.0.1:8000/metrics")
    text = production.fetch(url, url, timeout=timeout)
    return Scrape(time.monotonic(), url, parse(text.decode(errors="replace"), url))


def read_service(
    url: str,
    pool: str | None = None,
    *,
    seconds: float = SECONDS,
    timeout: float = production.TIMEOUT,
) -> Traffic:
    """What a pool of a running service carries, from two scrapes of its /metrics.

    Args:
        pool: the name under which it is exported; may be left out where there is one only.
        seconds: between the scrapes, more than 0, at most an hour.

    Raises:
        BadInput: the service cannot be read, exports no such pool, or started anew meanwhile.
    """
    if not 0 < seconds <= LONGEST:
        raise BadInput(f"seconds must be more than 0 and at most {LONGEST:g}, got {seconds:g}")
    first = scrape(url, timeout=timeout)
    name = _chosen(first, pool)
    time.sleep(seconds)
    return between(first, scrape(url, timeout=timeout), name)


def between(first: Scrape, second: Scrape, pool: str) -> Traffic:
    """What a pool carried from one scrape to the next.

    Raises:
        BadInput: the pool is not in both, or the service started anew in between.
    """
    before, after = (s.pools[_chosen(s, pool)] for s in (first, second))
    seconds = second.at - first.at
    for scraped, found in ((first, before), (second, after)):
        if missing := {names.WAIT.name, names.HOLD.name} - set(found.times):
            raise BadInput(
                f"{scraped.source} has no histogram {min(missing)} of {pool}",
                "name the /metrics of a service that poolkit.monitor instruments",
            )
    waits = _since(before.times[names.WAIT.name], after.times[names.WAIT.name])
    holds = _since(before.times[names.HOLD.name], after.times[names.HOLD.name])
    if seconds <= 0 or _has_started_anew(before, after):
        raise BadInput(
            f"the counters of {pool} at {second.source} began anew between the two readings: the "
            "service started again, or instrumented its pool again",
            "read it again; it must run on for the whole time",
        )
    counted = (names.ASKS, names.TIMEOUTS, names.ABANDONED, names.DIALS)
    for metric in counted:
        if not all(metric.name in found.values for found in (before, after)):
            what = "who asks for a connection" if metric is names.ASKS else f"{metric.name}_total"
            raise BadInput(
                f"{second.source} does not count {what} of {pool}",
                "its poolkit is older than this one: update it there",
            )
    counts = {m.name: after.values[m.name] - before.values[m.name] for m in counted}
    return Traffic(
        pool=pool,
        driver=after.driver,
        arrival_rate=counts[names.ASKS.name] / seconds,
        hold_time=holds.total / holds.count if holds.count else None,
        wait_time=waits.total / waits.count if waits.count else None,
        wait_p99=quantile(waits.buckets, 0.99),
        timeouts=counts[names.TIMEOUTS.name],
        abandoned=counts[names.ABANDONED.name],
        dials=counts[names.DIALS.name],
        seconds=seconds,
        source=second.source,
    )


def read_prometheus(
    url: str, pool: str, *, window: str = "5m", timeout: float = production.TIMEOUT
) -> Traffic:
    """What the pools of this name carried lately, all replicas together, as Prometheus knows it.

    Args:
        url: base URL of the server.
        window: how far back rates look, a number with one unit: 30s, 5m, 1h or 1d.
        timeout: s, for each answer.

    Raises:
        BadInput: the server cannot be asked, or knows no such pool.
    """
    if re.fullmatch(r"[1-9][0-9]*[smhd]", window) is None:
        raise BadInput(f"window must be a number and one of s, m, h, d, got {window!r}")
    of = f'{{pool="{pool.translate(_ESCAPES)}"}}[{window}]'
    wait, hold = names.WAIT.name, names.HOLD.name

    def ask(query: str) -> float:
        return production.ask(production.RateQuery(url.rstrip("/"), query), timeout=timeout).value

    rate = ask(f"sum(rate({names.ASKS.name}_total{of}))")
    waited = ask(f"sum(rate({wait}_count{of}))")
    held = ask(f"sum(rate({hold}_count{of}))")
    has_waits, has_holds = waited > 0, held > 0
    increase = {
        metric.name: ask(f"sum(increase({metric.name}_total{of}))")
        for metric in (names.TIMEOUTS, names.ABANDONED, names.DIALS)
    }
    return Traffic(
        pool=pool,
        driver="",
        arrival_rate=rate,
        hold_time=ask(f"sum(rate({hold}_sum{of}))") / held if has_holds else None,
        wait_time=ask(f"sum(rate({wait}_sum{of}))") / waited if has_waits else None,
        wait_p99=ask(f"histogram_quantile(0.99, sum by (le) (rate({wait}_bucket{of})))")
        if has_waits
        else None,
        timeouts=increase[names.TIMEOUTS.name],
        abandoned=increase[names.ABANDONED.name],
        dials=increase[names.DIALS.name],
        seconds=_WINDOW_UNITS[window[-1]] * float(window[:-1]),
        source=f"Prometheus at {url}, the last {window}",
    )


_WINDOW_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def _chosen(found: Scrape, pool: str | None) -> str:
    known = ", ".join(sorted(found.pools))
    if not found.pools:
        raise BadInput(
            f"{found.source} exports no pool",
            "call poolkit.monitor.instrument(pool, name=...) in the service",
        )
    if pool is None and len(found.pools) == 1:
        return next(iter(found.pools))
    if pool is None:
        raise BadInput(f"{found.source} exports several pools: {known}", "name one of them")
    if pool not in found.pools:
        raise BadInput(f"{found.source} exports no pool {pool!r}", f"it exports {known}")
    return pool


def _has_started_anew(before: PoolFigures, after: PoolFigures) -> bool:
    """Whether another count began: at another time, or with any figure that can only grow less."""
    start = names.START.name
    if before.values.get(start) != after.values.get(start):
        return True
    growing = {metric.name for metric in names.METRICS if metric.kind == "counter"}
    pairs = [(before.values[n], after.values.get(n, 0.0)) for n in growing & set(before.values)]
    for name, were in before.times.items():
        are = after.times.get(name)
        if are is None:
            return True
        later = dict(are.buckets)
        pairs += [(were.count, are.count), (were.total, are.total)]
        pairs += [(so_far, later.get(bound, 0.0)) for bound, so_far in were.buckets]
    return any(later < earlier for earlier, later in pairs)


def _since(before: Times, after: Times) -> Times:
    earlier = dict(before.buckets)
    return Times(
        tuple((bound, so_far - earlier.get(bound, 0.0)) for bound, so_far in after.buckets),
        after.count - before.count,
        after.total - before.total,
    )
