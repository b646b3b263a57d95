"""What a service's /metrics says of its pools at one moment."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from poolkit.errors import BadInput
from poolkit.monitor import names
from poolkit.redact import printable
from poolkit.targets import production

Cumulative = tuple[tuple[float, float], ...]  # (upper bound, values up to it)
MOST_COUNTED = 2.0**53
_MOST_IN_USE = 1_000_000
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
    # By poolkit's name, then by the label `in_use`; each worker counts its own connections.
    states: dict[str, dict[int, float]] = field(default_factory=dict)


class State(NamedTuple):
    """How long so many connections were in use, and how many calls came back meanwhile.

    `in_use` is the middle of those that share a label, rounded down: itself up to 64.
    """

    in_use: int
    seconds: float
    releases: int


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
    wanted = {metric.name: metric for metric in names.METRICS}
    try:
        for family in text_string_to_metric_families(text):
            metric = wanted.get(family.name)
            if metric is None:
                continue
            for sample in family.samples:
                pool, driver = (printable(sample.labels[name]) for name in names.LABELS[:2])
                figures = pools.setdefault(pool, PoolFigures(driver, {}, {}))
                of[pool].add(sample.labels.get(names.WORKER) or sample.labels.get(names.PID, ""))
                value = sample.value if metric.kind == "gauge" else _counted(sample.value)
                if metric.is_by_state:
                    states = figures.states.setdefault(family.name, defaultdict(float))
                    states[_state(sample.labels)] += value
                    continue
                if metric.kind != "histogram":
                    before = figures.values.get(family.name, 0.0)
                    together = max if family.name in _LARGEST else float.__add__
                    figures.values[family.name] = together(before, value)
                    continue
                part = sample.name.removeprefix(f"{family.name}_")
                if part == "bucket":
                    part = sample.labels["le"]
                parts[pool, family.name][part] += value
        for (pool, name), found in parts.items():
            pools[pool].times[name] = _times(found)
        for pool, known in of.items():
            if len(known) == 1:
                pools[pool] = replace(pools[pool], worker=known.pop())
            else:
                # Workers come and go, and the sum of what they count goes on.
                pools[pool].values.pop(names.START.name, None)
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


def _state(labels: Mapping[str, str]) -> int:
    """The label `in_use`."""
    n = int(labels[names.N])
    if not 0 <= n <= _MOST_IN_USE:
        raise ValueError("in_use must be 0 or more")
    return n


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


def scrape(
    url: str,
    *,
    timeout: float = production.TIMEOUT,
    headers: Mapping[str, str] | None = None,
) -> Scrape:
    """The pools that a service exports now.

    Args:
        url: its /metrics address, http or https.
        timeout: s, for the whole answer.
        headers: sent with it.

    Raises:
        BadInput: no answer, or not an exposition; with what to do.
    """
    if not url.startswith(("http://", "https://")):
        raise BadInput(f"{url} is no http address", "name it like http://127.0.0.1:8000/metrics")
    text = production.fetch(url, url, timeout=timeout, headers=headers).decode(errors="replace")
    found = Scrape(time.monotonic(), url, parse(text, url))
    if text and not text.endswith("\n"):
        # The format wants it; without, the last figure may be half of one, and others be missing.
        raise BadInput(f"{url} was cut off: its last line has no end", "see what ends it half-way")
    return found


def since(before: Times, after: Times) -> Times:
    """What came in from one reading to the next of one count."""
    earlier = dict(before.buckets)
    return Times(
        tuple((bound, so_far - earlier.get(bound, 0.0)) for bound, so_far in after.buckets),
        after.count - before.count,
        after.total - before.total,
    )


def states(after: PoolFigures, before: PoolFigures | None = None) -> tuple[State, ...]:
    """What was counted for each number in use, in order: in all, or since an earlier scrape.

    As Prometheus reads counters: where any of them is less than it was the count began anew, at 0,
    and so did one that was not there yet. Of several workers each state is that of one worker's
    pool, added up: n is in use in one process, not in all together.
    """
    seconds, releases = (
        after.states.get(metric.name, {}) for metric in (names.STATE_SECONDS, names.STATE_RELEASES)
    )
    earlier = {} if before is None or began_anew(before, after) else before.states

    def more(metric: names.Metric, counts: Mapping[int, float], n: int) -> float:
        return counts.get(n, 0.0) - earlier.get(metric.name, {}).get(n, 0.0)

    found = []
    for n in sorted(set(seconds) | set(releases)):
        passed = more(names.STATE_SECONDS, seconds, n)
        count = more(names.STATE_RELEASES, releases, n)
        if passed or count:
            step = names.step(n)
            found.append(State((step[0] + step[-1]) // 2, passed, round(count)))
    return tuple(found)


def began_anew(before: PoolFigures, after: PoolFigures) -> bool:
    """Whether the counts by state began again, at another time or with less than there was."""
    start = names.START.name
    if before.values.get(start) != after.values.get(start):
        return True
    return any(
        after.states.get(name, {}).get(n, 0.0) < count
        for name, counts in before.states.items()
        for n, count in counts.items()
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
