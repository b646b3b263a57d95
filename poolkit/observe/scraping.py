"""Pool metrics of the next minutes, from a service's own /metrics: a window between two scrapes."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence

import numpy as np

from poolkit import units
from poolkit.analysis.windows import Times, Windows
from poolkit.errors import BadInput
from poolkit.monitor import names
from poolkit.monitor.exposition import PoolFigures, Scrape, began_anew, scrape, since, states
from poolkit.redact import printable
from poolkit.targets.metrics import MetricsFrom

WINDOWS = 240  # at most; they are longer where it is looked for longer
# s, of a window. Shorter ones tell the chance of the moment for a busy minute, and files of several
# processes (PROMETHEUS_MULTIPROC_DIR) are a second old.
LEAST = 5.0
IN_A_ROW = 5  # scrapes without an answer, after which no more are tried,
OUTAGE = 30.0  # and that for so many seconds at least: a service may start anew


def watch(
    of: MetricsFrom,
    seconds: float,
    *,
    pause: Callable[[float], None] = time.sleep,
) -> list[Scrape]:
    """Scrapes of the next so many seconds, evenly spaced; what is missed is left out.

    Raises:
        BadInput: the first, or some in a row, have no answer, there is no such pool in them, or
            workers answer in turn, each for itself.
    """
    assert of.metrics is not None, "the caller asks"
    if of.preset != "poolkit":
        raise BadInput(
            f"production.metrics is read with the names of poolkit.monitor, not {of.preset!r}",
            "name a Prometheus that scrapes it in its place: production.prometheus",
        )
    headers, length = of.headers(), window_length(seconds)
    found = [scrape(of.metrics, headers=headers)]
    _check_pool(found[0], of.pool)
    began, at, missed = found[0].at, 0, 0
    while True:
        # Answers may be slower than windows are long: then one is left out, and none sent at once.
        at = max(at + 1, math.ceil((time.monotonic() - began) / length))
        if at * length > seconds:
            return found
        pause(max(0.0, began + at * length - time.monotonic()))
        try:
            one = scrape(of.metrics, headers=headers)
            _check_pool(one, of.pool)
        except BadInput as error:
            missed += 1
            if missed < max(IN_A_ROW, OUTAGE / length):
                continue
            raise BadInput(
                f"{of.metrics} was read for {units.number(found[-1].at - began)} s, then {missed} "
                f"times in a row in vain: {error.cause}",
                "observe again when it runs for longer; a restart in between is only a gap",
            ) from None
        found.append(one)
        missed = 0
        _check_turns([one.pools[of.pool] for one in found])


def window_length(seconds: float) -> float:
    """The length of a window (s) where it is looked for so many."""
    return max(LEAST, seconds / WINDOWS)


def read(scrapes: Sequence[Scrape], pool: str, length: float, until: float) -> Windows:
    """What the pool counted between scrapes; a window in which its process began anew is a gap.

    Args:
        length: s between two scrapes, where none is missed.
        until: Unix time (s) of the last.

    Raises:
        BadInput: no state was counted.
    """
    pairs = [(a.pools[pool], b.pools[pool], b.at) for a, b in itertools.pairwise(scrapes)]
    counted = [
        () if a.worker != b.worker or began_anew(a, b) else states(b, a) for a, b, _ in pairs
    ]
    levels = tuple(sorted({state.in_use for window in counted for state in window}))
    if not levels:
        raise BadInput(
            f"pool {pool!r} counted no states meanwhile",
            "update poolkit in the service, which counts them, or look for longer: --for 5m",
        )
    held, releases = np.full((2, len(pairs), len(levels)), np.nan)
    asks, pools = np.full((2, len(pairs)), np.nan)
    for row, (window, (before, after, at)) in enumerate(zip(counted, pairs, strict=True)):
        if not window:
            continue
        place = [levels.index(state.in_use) for state in window]
        held[row], releases[row] = 0.0, 0.0
        held[row, place] = [state.seconds for state in window]
        releases[row, place] = [state.releases for state in window]
        asks[row] = _more(before, after, names.ASKS.name)
        earlier = max(one.at for one in scrapes if one.at < at)
        # Each worker is in one state at each moment, so these seconds count the workers.
        pools[row] = max(1, round(held[row].sum() / (at - earlier)))
    known = np.flatnonzero(np.isfinite(pools)).tolist()  # there is one, for there are levels

    def of_one(row: int, name: str) -> float:
        """What one worker tells: gauges are added up over all."""
        return pairs[row][1].values.get(name, math.nan) / float(pools[row])

    sizes = [of_one(row, names.SIZE.name) for row in (known[0], known[-1])]
    peaks = [of_one(row, names.PEAK_IN_USE.name) for row in known]
    peak = math.nan if np.all(np.isnan(peaks)) else float(np.nanmax(peaks))
    return Windows(
        seconds=length,
        ends=np.array([until - (scrapes[-1].at - at) for _, _, at in pairs]),
        levels=levels,
        held=held,
        releases=releases,
        asks=asks,
        pools=pools,
        waits=_times(pairs, names.WAIT.name),
        holds=_times(pairs, names.HOLD.name),
        least_size=None if math.isnan(sum(sizes)) else min(sizes),
        most_size=None if math.isnan(sum(sizes)) else max(sizes),
        peak=math.ceil(peak) if math.isfinite(peak) else None,
    )


def _check_pool(found: Scrape, pool: str) -> None:
    if pool in found.pools:
        return
    known = sorted(printable(name) for name in found.pools)
    there = f"; there are: {', '.join(known[:8])}" if known else "; it exports no pool at all"
    raise BadInput(
        f"{units.plural(len(known), 'pool')} at {found.source}, none named {pool!r}{there}",
        "correct production.pool in targets.toml"
        if known
        else "export them with poolkit.monitor, or correct production.metrics",
    )


def _check_turns(figures: Sequence[PoolFigures]) -> None:
    """BadInput where a worker answers again after another did; one that began anew is another."""
    workers = [key for key, _ in itertools.groupby(one.worker for one in figures)]
    if len(workers) > len(set(workers)):
        raise BadInput(
            f"{len(set(workers))} workers or more answer in turn, each for itself",
            "let one answer for all (PROMETHEUS_MULTIPROC_DIR), or name a Prometheus that scrapes "
            "each of them: production.prometheus",
        )


def _more(before: PoolFigures, after: PoolFigures, name: str) -> float:
    return after.values.get(name, math.nan) - before.values.get(name, 0.0)


def _times(pairs: Sequence[tuple[PoolFigures, PoolFigures, float]], name: str) -> Times:
    """The histogram of each window; none where it was not exported throughout."""
    found = [
        since(before.times[name], after.times[name])
        for before, after, _ in pairs
        if name in before.times and name in after.times
    ]
    bounds = tuple(bound for bound, _ in found[-1].buckets) if found else ()
    if len(found) < len(pairs) or any(len(one.buckets) != len(bounds) for one in found):
        return Times()
    counts = np.array([[count for _, count in one.buckets] for one in found])
    return Times(bounds, np.maximum(counts, 0.0), np.array([one.total for one in found]))
