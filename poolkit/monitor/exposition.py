"""What a service's /metrics says of its pools at one moment."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from prometheus_client.parser import text_string_to_metric_families

from poolkit.errors import BadInput
from poolkit.monitor import names
from poolkit.targets import production

Cumulative = tuple[tuple[float, float], ...]  # (upper bound, values up to it)
_LARGEST = {metric.name for metric in (names.OLDEST_WAIT, names.OLDEST_HOLD, names.START)}


@dataclass(frozen=True, slots=True)
class Times:
    """A histogram as it stands: its buckets, how many values, and their sum (s)."""

    buckets: Cumulative
    count: float
    total: float


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """One pool at the moment of a scrape, all workers of the exposition together.

    `worker` is the one that answered; empty: the answer is of several, or of an older poolkit.
    """

    driver: str
    values: dict[str, float]  # by poolkit's name, a counter's without `_total`
    times: dict[str, Times]  # by poolkit's name
    worker: str = ""


@dataclass(frozen=True, slots=True)
class Scrape:
    """The pools of one /metrics at one moment (s, of a steady clock)."""

    at: float
    source: str
    pools: dict[str, PoolFigures]


def parse(text: str, what: str) -> dict[str, PoolFigures]:
    """The pools of an exposition by name; empty where it exports none.

    Args:
        what: where the text is from, for messages.

    Raises:
        BadInput: the text is not in Prometheus's format.
    """
    pools: dict[str, PoolFigures] = {}
    of: dict[str, set[str]] = defaultdict(set)  # workers of each pool
    parts: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    wanted = {metric.name: metric.kind for metric in names.METRICS}
    try:
        for family in text_string_to_metric_families(text):
            kind = wanted.get(family.name)
            for sample in family.samples if kind is not None else ():
                pool = sample.labels["pool"]
                figures = pools.setdefault(pool, PoolFigures(sample.labels["driver"], {}, {}))
                of[pool].add(sample.labels.get(names.WORKER) or sample.labels.get(names.PID, ""))
                if kind != "histogram":
                    before = figures.values.get(family.name, 0.0)
                    together = max if family.name in _LARGEST else float.__add__
                    figures.values[family.name] = together(before, sample.value)
                    continue
                part = sample.name.removeprefix(f"{family.name}_")
                if part == "bucket":
                    part = sample.labels["le"]
                parts[pool, family.name][part] += sample.value
        for (pool, name), found in parts.items():
            pools[pool].times[name] = _times(found)
        for pool, known in of.items():
            if len(known) == 1:
                pools[pool] = replace(pools[pool], worker=known.pop())
            else:
                # Workers come and go, and the sum of what they count goes on.
                pools[pool].values.pop(names.START.name, None)
        return pools
    except (ValueError, KeyError) as error:
        raise BadInput(
            f"{what} is not an exposition in Prometheus's text format", "name the /metrics address"
        ) from error


def _times(found: Mapping[str, float]) -> Times:
    bounds = {float(part): value for part, value in found.items() if part not in ("count", "sum")}
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


def since(before: Times, after: Times) -> Times:
    """What came in from one reading to the next of one count."""
    earlier = dict(before.buckets)
    return Times(
        tuple((bound, so_far - earlier.get(bound, 0.0)) for bound, so_far in after.buckets),
        after.count - before.count,
        after.total - before.total,
    )


def total(times: Sequence[Times]) -> Times:
    """Several counts as one."""
    buckets: dict[float, float] = defaultdict(float)
    for one in times:
        for bound, so_far in one.buckets:
            buckets[bound] += so_far
    return Times(
        tuple(sorted(buckets.items())),
        sum(one.count for one in times),
        sum(one.total for one in times),
    )
