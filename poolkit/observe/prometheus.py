"""Pool metrics of a time range, read from a Prometheus by range queries, page by page.

Prometheus adds up the processes (`sum by (in_use) (increase(...))`): it sees each series' resets
and gaps before the sum, which nobody could see after it. What comes over is one figure a window and
number in use, however many pods there are.

https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import json
import math
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from poolkit import units
from poolkit.analysis.production import Times, Windows
from poolkit.errors import BadInput
from poolkit.observe.preset import Preset
from poolkit.redact import printable
from poolkit.targets import production
from poolkit.targets.metrics import MetricsFrom

Floats = NDArray[np.float64]
OnQuery = Callable[[str, float], None]  # what is read, and the share of all that is done

TIMEOUT = 60.0  # s, for one answer
PAGE = 1000  # windows an answer; Prometheus gives no more than 11,000
FEWEST = 20  # windows an answer, below which a page is not halved again
WINDOWS = 2100  # at most so many in a range, where windows are not the longest: 5 min for a week
SCRAPES = 4  # in a window at least: `increase` needs two, and one or two may be missing
LENGTHS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)  # s, of a window
EXACT = 64  # in use, up to which each number has a label of its own
STEP = 0.04  # beyond it a label stands for so large a share more
_TOO_MUCH = ("too many samples", "timed out", "timeout", "maximum resolution", "canceled")


class _Series(BaseModel):
    metric: dict[str, str] = Field(default_factory=dict, max_length=50)
    values: list[tuple[float, str]] = Field(default_factory=list)
    value: tuple[float, str] | None = None


class _Data(BaseModel):
    resultType: str  # noqa: N815  # Prometheus's name
    result: list[_Series] = Field(default_factory=list, max_length=100_000)


class _Answer(BaseModel):
    status: str
    error: str = "no reason given"
    data: _Data | None = None


@dataclass
class Asking:
    """Asks one Prometheus for one pool; `queries` counts the queries that were sent."""

    too_much: ClassVar[str] = (  # what to do about it, as in the next one
        "ask for less time (--since), or let Prometheus add the pods up beforehand with a "
        "recording rule"
    )
    refused: ClassVar[str] = "check the names of the preset and production.pool"

    of: MetricsFrom
    on_query: OnQuery
    queries: int = 0
    _page: int = field(default=PAGE, repr=False)

    def check_one_job(self, selector: str, span: int, until: float) -> bool:
        """Whether there are such series; BadInput where more than one job exports them.

        Args:
            span: s before `until`, Unix time (s).
        """
        where = f"max by (job, namespace) (present_over_time({selector}[{span}s]))"
        jobs = [series.metric for series in self.ask("query", where, {"time": f"{until:.3f}"})]
        for label in ("job", "namespace"):
            values = sorted({job.get(label, "") for job in jobs})
            if len(values) > 1 and getattr(self.of, label) is None:
                shown = ", ".join(printable(value) or "none" for value in values[:8])
                raise BadInput(
                    f"pools named {self.of.pool!r} are exported by {len(values)} {label}s: {shown}",
                    f"name the one that is meant: production = {{ ..., {label} = "
                    f"{json.dumps(printable(values[-1]))} }}",
                )
        return bool(jobs)

    def window(self, selector: str, since: float, until: float) -> int:
        """The length of a window (s): several scrapes, and not too many windows."""
        found = self.ask(
            "query", f"max(count_over_time({selector}[10m]))", {"time": f"{until:.3f}"}
        )
        scraped = float(found[0].value[1]) if found and found[0].value else 0.0
        interval = min(600.0 / scraped if scraped > 0 else 60.0, 600.0)
        # A service that began to be scraped within these minutes counts as scraped more rarely.
        interval = min(interval, max(1.0, (until - since) / 50.0))
        least = max(SCRAPES * interval, (until - since) / WINDOWS)
        return next((length for length in LENGTHS if length >= least), LENGTHS[-1])

    def range(
        self, query: str, ends: Floats, window: int
    ) -> dict[str, tuple[dict[str, str], Floats]]:
        """The series of a range query over all pages: labels, and a value for each window."""
        found: dict[str, tuple[dict[str, str], Floats]] = {}
        at = 0
        while at < ends.size:
            last = min(at + self._page, ends.size) - 1
            when = {"start": f"{ends[at]:.3f}", "end": f"{ends[last]:.3f}", "step": f"{window}s"}
            try:
                answer = self.ask("query_range", query, when)
            except _TooMuch as error:
                if self._page <= FEWEST:
                    raise BadInput(error.cause, self.too_much) from None
                self._page = max(FEWEST, self._page // 4)
                continue
            for series in answer:
                key = json.dumps(series.metric, sort_keys=True)
                _, row = found.setdefault(key, (series.metric, np.full(ends.size, np.nan)))
                moments = np.array([moment for moment, _ in series.values])
                place = np.round((moments - ends[0]) / window).astype(int)
                inside = (place >= 0) & (place < ends.size)
                row[place[inside]] = np.array([_number(text) for _, text in series.values])[inside]
            at = last + 1
        return found

    def ask(self, kind: str, query: str, when: Mapping[str, str]) -> list[_Series]:
        """The series that a query gives; BadInput where it gives none, with the remedy."""
        self.queries += 1
        url, what = self.of.prometheus, f"Prometheus at {self.of.prometheus}"
        words = urllib.parse.urlencode({"query": query, "timeout": f"{TIMEOUT:g}s", **when})
        content = production.fetch(
            f"{url}/api/v1/{kind}?{words}",
            what,
            timeout=TIMEOUT,
            keeps=(400, 422, 503),
            headers=self.of.headers(),
            largest=LARGEST,
        )
        try:
            answer = _Answer.model_validate_json(content)
        except ValidationError:
            raise BadInput(
                f"{what} did not answer as Prometheus does, or only in part",
                "check that production.prometheus is its base URL; then try again",
            ) from None
        if answer.status != "success" or answer.data is None:
            said = printable(answer.error)[:300]
            refused = f"Prometheus refused a query: {said}"
            if any(word in said.lower() for word in _TOO_MUCH):
                raise _TooMuch(refused)
            raise BadInput(refused, self.refused)
        return answer.data.result


@dataclass
class Reader(Asking):
    """Reads what poolkit.monitor counts."""

    preset: Preset = field(kw_only=True)

    def read(self, since: float, until: float) -> Windows:
        """The windows of a range of time.

        Args:
            since, until: Unix time (s).

        Raises:
            BadInput: out of reach, refused, or not what a pool's metrics are, with the remedy.
        """
        self._check_source(since, until)
        window = self.window(self._named(self.preset.metrics.size), since, until)
        ends = check_range(since, until, window)
        p, by = self.preset.metrics, self.preset.state_label
        parts = [
            (
                p.state_seconds,
                f"sum by ({by}) (increase({self._named(p.state_seconds)}[{window}s]))",
            ),
            (
                p.state_releases,
                f"sum by ({by}) (increase({self._named(p.state_releases)}[{window}s]))",
            ),
            (p.asks, f"sum(increase({self._named(p.asks)}[{window}s]))"),
            (p.size, f"count({self._named(p.size)})"),
            (p.size, f"min({self._named(p.size)})"),
            (p.size, f"max({self._named(p.size)})"),
            (p.peak, f"max(max_over_time({self._named(p.peak)}[{window}s]))"),
            *(
                (f"{name}_{part}", text)
                for name in (p.wait, p.hold)
                for part, text in self._histogram(name, window)
            ),
        ]
        found = []
        for at, (name, query) in enumerate(parts):
            self.on_query(name, at / len(parts))
            found.append(self.range(query, ends, window))
        seconds, releases, asks, pools, least, most, peak, *times = found
        levels, held = _by_level(seconds, by, p.state_seconds)
        _, released = _by_level(releases, by, p.state_releases, levels)
        highest = _extreme(peak, np.nanmax)
        return Windows(
            seconds=float(window),
            ends=ends,
            levels=tuple(_middle(n) for n in levels),
            held=held,
            releases=released,
            asks=_filled(asks, ends.size),
            pools=_filled(pools, ends.size),
            waits=_times(times[0], times[1], ends.size),
            holds=_times(times[2], times[3], ends.size),
            least_size=_extreme(least, np.nanmin),
            most_size=_extreme(most, np.nanmax),
            peak=None if highest is None or math.isinf(highest) else int(highest),
        )

    def _named(self, name: str) -> str:
        """A selector of the pool's series of this name."""
        pool = json.dumps(self.of.pool)
        return f"{name}{{{self.preset.pool_label}={pool}{self.of.matchers}}}"

    def _histogram(self, name: str, window: int) -> list[tuple[str, str]]:
        bucket, total = self._named(f"{name}_bucket"), self._named(f"{name}_sum")
        return [
            ("bucket", f"sum by (le) (increase({bucket}[{window}s]))"),
            ("sum", f"sum(increase({total}[{window}s]))"),
        ]

    def _check_source(self, since: float, until: float) -> None:
        """BadInput where there is no such pool, nothing of it in time, or more than one job's."""
        span = max(1, round(until - since))
        if not self.check_one_job(self._named(self.preset.metrics.state_seconds), span, until):
            raise self._nothing(span, until)

    def _nothing(self, span: int, until: float) -> BadInput:
        """Why there is no series: another pool, another name, or another time."""
        label, metric = self.preset.pool_label, self.preset.metrics.state_seconds
        when = {"time": f"{until:.3f}"}
        others = self.ask(
            "query", f"count by ({label}) (present_over_time({metric}[{span}s]))", when
        )
        names = sorted(printable(one.metric.get(label, "")) for one in others)
        if names and self.of.pool not in names:
            listed = ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")
            return BadInput(
                f"no pool named {self.of.pool!r} in that time; there are: {listed}",
                "correct production.pool in targets.toml",
            )
        if names:
            return BadInput(
                f"pool {self.of.pool!r} has no series with {self.of.matchers[1:]} in that time",
                "correct production.job and production.namespace, or leave them out",
            )
        asks = self._named(self.preset.metrics.asks)
        if self.ask("query", f"count(present_over_time({asks}[{span}s]))", when):
            return BadInput(
                f"pool {self.of.pool!r} exports no {metric}: its poolkit counts no states",
                "update poolkit in the service; observe again when it has run for a while",
            )
        return BadInput(
            f"Prometheus has no {metric} in that time",
            "ask for a time in which the service was scraped (--since); check that the metrics "
            "are exported under the names of the preset, and were not renamed by relabelling",
        )


LARGEST = 64 << 20  # bytes of one answer: a thousand windows of some hundred series are 5 MB


class _TooMuch(BadInput):
    """The page was too much for the server."""


def check_range(since: float, until: float, window: int) -> Floats:
    """The ends of the windows (Unix time, s); BadInput where there is none."""
    ends = np.arange(since + window, until + 0.5, window)
    if not ends.size:
        raise BadInput(
            f"{units.number(until - since)} s are shorter than one window of {window} s",
            f"ask for more: --since {10 * window}s",
        )
    return ends


Found = Mapping[str, tuple[Mapping[str, str], Floats]]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _middle(level: int) -> int:
    """The middle of the numbers in use that share a label, itself up to 64."""
    return level if level <= EXACT else round(level * (1.0 + STEP / 2.0))


def _by_level(
    found: Found, label: str, name: str, levels: list[int] | None = None
) -> tuple[list[int], Floats]:
    """Numbers in use, ascending, and a row a window with a figure for each; gaps are 0.

    A window without any figure stays nan.
    """
    rows: dict[int, Floats] = {}
    for labels, row in found.values():
        text = labels.get(label, "")
        if not text.isascii() or not text.isdigit() or len(text) > 7:
            raise BadInput(
                f"{name} has a series whose {label} is {printable(text)[:20]!r}, not a number",
                "check the relabelling of the metrics",
            )
        rows[int(text)] = rows.get(int(text), 0.0) + np.nan_to_num(row)
    known = np.any([np.isfinite(row) for _, row in found.values()], axis=0) if found else None
    levels = sorted(rows) if levels is None else levels
    if known is None or not levels:
        raise BadInput(f"{name} has no figures in that time", "ask for another time: --since")
    table = np.array([rows.get(level, np.zeros(known.size)) for level in levels]).T
    table[~known] = np.nan
    return levels, np.maximum(table, 0.0)


def _only(found: Found) -> Floats:
    """The one row of a query that adds everything up; empty without one."""
    rows = [row for _, row in found.values()]
    return rows[0] if rows else np.empty(0)


def _filled(found: Found, count: int) -> Floats:
    row = _only(found)
    return row if row.size else np.full(count, np.nan)


def _extreme(found: Found, choose: Callable[[Floats], float]) -> float | None:
    row = _only(found)
    row = row[~np.isnan(row)]
    return float(choose(row)) if row.size else None


def _times(buckets: Found, total: Found, count: int) -> Times:
    """A histogram by window; without +Inf as it is, and no histogram where no bucket is told."""
    rows = {}
    for labels, row in buckets.values():
        bound = _number(labels.get("le", ""))
        if not math.isnan(bound):
            rows[bound] = np.nan_to_num(row)
    if not rows:
        return Times()
    bounds = tuple(sorted(rows))
    counts = np.maximum.accumulate(np.array([rows[bound] for bound in bounds]).T, axis=1)
    return Times(bounds, np.maximum(counts, 0.0), np.nan_to_num(_filled(total, count)))
