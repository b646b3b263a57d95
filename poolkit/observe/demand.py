"""Weekly peaks of demand, read from the Prometheus that a target names.

Asked is the rate of the last five minutes at every fifth minute: 2016 figures a week, four weeks an
answer, of which Prometheus lets 11,000 pass. The largest of each day, by a subquery, is less to
bring over and the same work there, and does not tell what of a day is missing; asked for as well,
that costs more than the figures (60 weeks of four processes scraped each minute: 1.1 s in pages,
1.6 s so).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from poolkit.analysis.weekly import MONDAY, WEEK, WINDOW, WeeklyPeaks, weekly_peaks
from poolkit.errors import BadInput
from poolkit.observe import preset as presets
from poolkit.observe.asking import Asking
from poolkit.redact import printable
from poolkit.targets.file import demand_source
from poolkit.targets.metrics import MetricsFrom
from poolkit.targets.production import RateQuery
from poolkit.units import listed, plural

Floats = NDArray[np.float64]

WEEKS = 104  # that are asked for: the year of a slope, and one of forecasts to judge it by
STEP = int(WINDOW)  # s
PAGE = 4 * WEEK // STEP
_ELSE = "or give a CSV of weekly peaks: --demand TARGET=FILE"


@dataclass
class _Asking(Asking):
    """Asks for figures of a range that nobody chose, by a query that may be the user's own."""

    too_much: ClassVar[str] = f"let a recording rule add the processes up beforehand, {_ELSE}"
    refused: ClassVar[str] = f"correct production or target_rate in targets.toml, {_ELSE}"
    most_series: ClassVar[float] = 1  # more are none of a service, and fill the memory


def read_peaks(file: Path, name: str, *, until: float | None = None) -> WeeklyPeaks:
    """The peaks of the last 104 whole weeks, or of those of them that Prometheus knows.

    A target rate that is a query tells its demand; else the calls of its pool do. A query that
    looks back further than five minutes has a peak late on a Sunday in the next week as well.

    Args:
        file: the targets.toml.
        until: Unix time (s); weeks that are over by then count. Now by default.

    Raises:
        BadInput: the target names no Prometheus; that is out of reach or refuses; or nothing that
            it tells is a week of demand.
    """
    source = demand_source(file, name)
    now = time.time() if until is None else until
    end = math.floor((now - MONDAY) / WEEK) * WEEK + MONDAY
    ends = np.arange(end - WEEKS * WEEK, end, STEP, dtype=float) + STEP
    if isinstance(source, RateQuery):
        what = f"Prometheus at {source.prometheus}, query {source.query}"
        asking = _asking(MetricsFrom(pool="", prometheus=source.prometheus))
        found = asking.range(source.query, ends, STEP)
    else:
        what = f"Prometheus at {source.prometheus}, pool {source.pool}"
        calls, label = _calls(source)
        asking = _asking(source)
        is_there = asking.check_one_job(calls, WEEK, now)
        found = asking.range(f"sum(rate({calls}[{STEP}s]))", ends, STEP)
        if not found and not is_there:
            _check_name(asking, calls.partition("{")[0], label, now)
    if len(found) > 1:
        raise BadInput(
            f"{what}, gave {len(found)} series in its first weeks, not one",
            f"add the series up in target_rate: sum(...), {_ELSE}",
        )
    rows = [row for _, row in found.values()]
    return peaks_of(ends - STEP, rows[0] if rows else np.full(ends.size, np.nan), what)


def peaks_of(at: Floats, rates: Floats, what: str) -> WeeklyPeaks:
    """The weekly peaks of what was told, from its first figure on.

    Args:
        at: as `weekly_peaks` has it.
        rates: calls/s; NaN or infinite: not known.
        what: told them, for messages and as the source.

    Raises:
        BadInput: nothing in it is a week of demand.
    """
    known = np.flatnonzero(np.isfinite(rates))
    if known.size < 2:
        raise BadInput(
            f"{what}, tells no rate in the {WEEKS} whole weeks until {_day(at[-1] + STEP)}",
            "try the query in Prometheus's own page, over weeks that are past (Monday to Sunday, "
            f"UTC); a rate of five minutes needs a scrape every two, {_ELSE}",
        )
    inside = slice(known[0], known[-1] + 1)
    endless = int(np.count_nonzero(np.isinf(rates)))
    try:
        peaks = weekly_peaks(
            at[inside], np.where(np.isinf(rates), np.nan, rates)[inside], printable(what)
        )
    except ValueError as error:
        raise BadInput(f"{what}: {error}", f"ask again when there is more, {_ELSE}") from None
    remarks = list(peaks.remarks)
    if at[known[0]] >= at[0] + WEEK:
        remarks.append(f"Prometheus has no figures from before {_day(at[known[0]])}")
    if at[known[-1]] <= at[-1] - WEEK:
        remarks.append(f"Prometheus has no figures since {_day(at[known[-1]])}")
    if endless:
        remarks.append(f"{plural(endless, 'figure')} left out that had no end: a division by 0")
    return peaks.model_copy(update={"remarks": tuple(remarks)})


def _day(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}"


def _asking(of: MetricsFrom) -> Asking:
    return _Asking(of, lambda _what, _done: None, _page=PAGE)


def _calls(of: MetricsFrom) -> tuple[str, str]:
    """The series that count the calls of a pool, and the label that names it."""
    read = presets.load(of.preset)
    if isinstance(read, presets.Preset):
        calls: presets.Quantity | None = presets.Quantity(name=read.metrics.asks)
    else:
        calls = read.averages.acquired
    if calls is None:
        raise BadInput(
            f"the preset {of.preset} counts no calls, so their rate is not told",
            "write target_rate = { prometheus = ..., query = ... } of something that does, "
            + _ELSE,
        )
    label = calls.pool_label or read.pool_label
    return presets.selector(calls, read.pool_label, of.pool, of.matchers), label


def _check_name(asking: Asking, metric: str, label: str, now: float) -> None:
    """BadInput where other pools count such calls, or none does."""
    label = label or "job"
    asked = f"count by ({label}) (present_over_time({metric}[{WEEK}s]))"
    series = asking.ask("query", asked, {"time": f"{now:.3f}"})
    names = sorted(printable(one.metric.get(label, "")) for one in series)
    if not names:
        raise BadInput(
            f"Prometheus at {asking.of.prometheus} has no {metric} in the last week or before",
            f"check production.preset, and that the service is scraped, {_ELSE}",
        )
    raise BadInput(
        f"no {metric} has what production asks for; there are: {listed(names[:8])}",
        "correct production.pool, job and namespace in targets.toml",
    )
