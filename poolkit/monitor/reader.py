"""What a running service does with its pools: arrival rate, hold time and waits, from outside.

Either two scrapes of the service's own /metrics, some seconds apart, or a Prometheus server that
scrapes it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from poolkit.errors import BadInput
from poolkit.monitor import exposition, names
from poolkit.monitor.exposition import PoolFigures, Scrape, Times, quantile, scrape
from poolkit.targets import production

SECONDS = 10.0  # between two scrapes
# Answers in a row, for each worker known, that show no other one: with n + 1 that answer equally
# often, one stays unseen in (n / (n + 1)) ** (10 n) of all readings, less than 1 in 1000.
_LOOKS = 10
_MOST_WORKERS = 100
LONGEST = 3600.0


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
        workers: processes that were read one by one and added up.
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
    workers: int = 1

    @property
    def offered_load(self) -> float | None:
        """Connections that the traffic keeps busy on average: arrival rate times hold time."""
        return None if self.hold_time is None else self.arrival_rate * self.hold_time


def read_service(
    url: str,
    pool: str | None = None,
    *,
    seconds: float = SECONDS,
    timeout: float = production.TIMEOUT,
) -> Traffic:
    """What a pool of a running service carries, from two readings of its /metrics.

    Several workers behind one port answer in turn: each is read twice, and they are added up.

    Args:
        pool: the name under which it is exported; may be left out where there is one only.
        seconds: between the readings, more than 0, at most an hour.

    Raises:
        BadInput: the service cannot be read, exports no such pool, or its workers changed.
    """
    if not 0 < seconds <= LONGEST:
        raise BadInput(f"seconds must be more than 0 and at most {LONGEST:g}, got {seconds:g}")
    name = _chosen(one := scrape(url, timeout=timeout), pool)
    first = {_who(one.pools[name]): one}
    _look_for_workers(url, name, timeout, first, set())
    time.sleep(seconds)
    second: dict[str, Scrape] = {}
    _look_for_workers(url, name, timeout, second, set(first))
    if set(first) != set(second):
        only = [
            f"worker {' and '.join(one.split()[0] for one in who)} in the {which} only"
            for who, which in (
                (set(first) - set(second), "first"),
                (set(second) - set(first), "second"),
            )
            if who
        ]
        raise BadInput(
            f"the two readings of {name} at {url} met different processes, {', '.join(only)}: what "
            "they count cannot be added up",
            "read it again once no worker is replaced; or set PROMETHEUS_MULTIPROC_DIR in the "
            "service, so that one answer tells of all workers, or let Prometheus scrape it and use "
            "read_prometheus",
        )
    return _together([(first[worker], second[worker]) for worker in first], name)


def _look_for_workers(
    url: str, pool: str, timeout: float, found: dict[str, Scrape], known: set[str]
) -> None:
    """Scrape until every worker has answered: all that are known, or no other one for long.

    Args:
        found: the answer of each worker; what is met is added.
    """
    again = 0
    while not known or not known <= set(found):
        one = scrape(url, timeout=timeout)
        worker = _who(one.pools[_chosen(one, pool)])
        again = 0 if worker not in found else again + 1
        found.setdefault(worker, one)
        is_alone = not worker  # one answer for all; an older poolkit tells no worker
        if is_alone or again >= _LOOKS * max(len(found), len(known)):
            return
        if len(found) > _MOST_WORKERS:
            raise BadInput(f"more than {_MOST_WORKERS} workers answer at {url}", "read Prometheus")


def _who(figures: PoolFigures) -> str:
    """The process that counted, told from others of the same pid on other machines by its start."""
    return f"{figures.worker} {figures.values.get(names.START.name)}" if figures.worker else ""


def between(first: Scrape, second: Scrape, pool: str) -> Traffic:
    """What a pool carried from one scrape to the next.

    Raises:
        BadInput: the pool is not in both, or their counters are not of one count.
    """
    return _together([(first, second)], pool)


def _together(pairs: Sequence[tuple[Scrape, Scrape]], pool: str) -> Traffic:
    """What all workers carried, each from its first scrape to its second."""
    rates = [_figures(first, second, pool) for first, second in pairs]
    spans = [second.at - first.at for first, second in pairs]
    waits = exposition.total([waits for _, waits, _ in rates])
    holds = exposition.total([holds for _, _, holds in rates])

    def count(metric: names.Metric) -> float:
        return sum(counts[metric.name] for counts, _, _ in rates)

    last = pairs[0][1]
    return Traffic(
        pool=pool,
        driver=last.pools[pool].driver,
        arrival_rate=sum(
            counts[names.ASKS.name] / span
            for (counts, _, _), span in zip(rates, spans, strict=True)
        ),
        hold_time=holds.total / holds.count if holds.count else None,
        wait_time=waits.total / waits.count if waits.count else None,
        wait_p99=quantile(waits.buckets, 0.99),
        timeouts=count(names.TIMEOUTS),
        abandoned=count(names.ABANDONED),
        dials=count(names.DIALS),
        seconds=sum(spans) / len(spans),
        source=last.source if len(pairs) == 1 else f"{last.source}, {len(pairs)} workers",
        workers=len(pairs),
    )


def _figures(first: Scrape, second: Scrape, pool: str) -> tuple[dict[str, float], Times, Times]:
    """Counts, waits and holds of one worker from one scrape to the next."""
    before, after = (s.pools[_chosen(s, pool)] for s in (first, second))
    for scraped, found in ((first, before), (second, after)):
        if missing := {names.WAIT.name, names.HOLD.name} - set(found.times):
            raise BadInput(
                f"{scraped.source} has no histogram {min(missing)} of {pool}",
                "name the /metrics of a service that poolkit.monitor instruments",
            )
    if second.at <= first.at or _is_another_count(before, after):
        raise BadInput(
            f"the two readings of {pool} at {second.source} are not of one count: the service "
            "started or instrumented its pool again, or several workers of an older poolkit answer "
            "there in turn",
            "read it again while it runs on; of several workers PROMETHEUS_MULTIPROC_DIR, or a "
            "newer poolkit in the service, tells which one answers",
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
    waits, holds = (
        exposition.since(before.times[metric.name], after.times[metric.name])
        for metric in (names.WAIT, names.HOLD)
    )
    return counts, waits, holds


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


def _is_another_count(before: PoolFigures, after: PoolFigures) -> bool:
    """Whether another count began: at another time, or with any figure that can only grow less."""
    start = names.START.name
    if before.values.get(start) != after.values.get(start):
        return True
    growing = {metric.name for metric in names.METRICS if metric.kind == "counter"}
    pairs = [(before.values[n], after.values.get(n, 0.0)) for n in growing & set(before.values)]
    pairs += [
        (count, after.states.get(name, {}).get(n, 0.0))
        for name, counts in before.states.items()
        for n, count in counts.items()
    ]
    for name, were in before.times.items():
        are = after.times.get(name)
        if are is None:
            return True
        later = dict(are.buckets)
        pairs += [(were.count, are.count), (were.total, are.total)]
        pairs += [(so_far, later.get(bound, 0.0)) for bound, so_far in were.buckets]
    return any(later < earlier for earlier, later in pairs)
