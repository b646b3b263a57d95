"""Pool metrics of a time range, read from a Prometheus by range queries, page by page.

Prometheus adds up the processes (`sum by (in_use) (increase(...))`): it sees each series' resets
and gaps before the sum, which nobody could see after it. What comes over is one figure a window and
number in use, however many pods there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from poolkit.analysis.windows import MOST, Times, Windows
from poolkit.errors import BadInput
from poolkit.observe.asking import Asking, Found, check_range, number
from poolkit.observe.preset import Preset
from poolkit.records import MOST_CONNECTIONS
from poolkit.redact import printable
from poolkit.targets.metrics import quoted
from poolkit.targets.words import nearest

Floats = NDArray[np.float64]

EXACT = 64  # in use, up to which each number has a label of its own
STEP = 0.04  # beyond it a label stands for so large a share more
TURNS = 1.5  # times as many processes in a window as at its end, as a rule of the windows
BUSY = "take a time in which the service was scraped and busy (--since)"


@dataclass
class Reader(Asking):
    """Reads what poolkit.monitor counts."""

    apart: ClassVar[tuple[str, ...]] = (*Asking.apart, "driver")

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
            (p.size, f"count(count_over_time({self._named(p.size)}[{window}s]))"),
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
            # Of states and buckets there is a series each, and none for what never was.
            absent = 0.0 if " by (" in query else math.nan
            found.append(self.range(query, ends, window, absent))
        seconds, releases, asks, pools, seen, least, most, peak, *times = found
        for name, series in ((p.state_seconds, seconds), (p.asks, asks), (p.size, pools)):
            if not series:
                raise self._lacking(name, since, until)
        if (known := _only(asks)[np.isfinite(_only(asks))]).size and not known.any():
            raise BadInput(f"pool {self.of.pool!r} had no call in that time", BUSY)
        if not releases:
            raise self._lacking(p.state_releases, since, until)
        _check_turns(_only(pools), _only(seen))
        levels, held = _by_level(seconds, by, p.state_seconds)
        _, released = _by_level(releases, by, p.state_releases, levels)
        highest = _extreme(peak, np.nanmax)
        return Windows(
            seconds=float(window),
            ends=ends,
            levels=tuple(_middle(n) for n in levels),
            held=held,
            releases=released,
            asks=_only(asks),
            pools=_only(pools),
            waits=_times(times[0], times[1]),
            holds=_times(times[2], times[3]),
            least_size=_extreme(least, np.nanmin),
            most_size=_extreme(most, np.nanmax),
            peak=None if highest is None or math.isinf(highest) else int(highest),
        )

    def _named(self, name: str) -> str:
        """A selector of the pool's series of this name."""
        return f"{name}{{{self.preset.pool_label}={quoted(self.of.pool)}{self.of.matchers}}}"

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

    def _lacking(self, metric: str, since: float, until: float) -> BadInput:
        """Why the pool has states in that time, and not this in any window."""
        span, when = max(1, round(until - since)), {"time": f"{until:.3f}"}
        if self.ask("query", f"count(present_over_time({self._named(metric)}[{span}s]))", when):
            return BadInput(
                f"pool {self.of.pool!r} has {metric}, but in no window two scrapes of it",
                "ask for more time (--since), whose windows are longer; or where it is scraped for "
                "some minutes only, for these alone",
            )
        pool = f"{{{self.preset.pool_label}={quoted(self.of.pool)}}}"
        there = set(self.names(pool, span, when)).difference(
            self.preset.metrics.model_dump().values()
        )
        return BadInput(
            f"pool {self.of.pool!r} has no {metric} in that time{nearest(metric, there)}",
            "see that the service exports it, and that relabelling neither drops nor renames it; "
            "of another name make a preset of your own: production.preset",
        )

    def _nothing(self, span: int, until: float) -> BadInput:
        """Why there is no series: another pool, another name, or another time."""
        label, metric = self.preset.pool_label, self.preset.metrics.state_seconds
        when = {"time": f"{until:.3f}"}
        asks = self._named(self.preset.metrics.asks)
        if self.ask("query", f"count(present_over_time({asks}[{span}s]))", when):
            return BadInput(
                f"pool {self.of.pool!r} exports no {metric}: its poolkit counts no states",
                "update poolkit in the service; observe again when it has run for a while",
            )
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
        return BadInput(
            f"Prometheus has no {metric} in that time",
            "ask for a time in which the service was scraped (--since); check that the metrics "
            "are exported under the names of the preset, and were not renamed by relabelling",
        )


def _check_turns(at_the_end: Floats, seen: Floats) -> None:
    """BadInput where more processes answer in most windows than there are at one moment.

    Args:
        at_the_end: of each window, processes that are there at its end.
        seen: those that are there at any time of it.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = seen / at_the_end
    ratios = ratios[np.isfinite(ratios)]
    if ratios.size and float(np.median(ratios)) > TURNS:
        raise BadInput(
            f"{round(float(np.nanmax(seen)))} workers or more answer Prometheus in turn, each for "
            "itself, so it sees a part of what each counts",
            "let one answer for all (PROMETHEUS_MULTIPROC_DIR), or let Prometheus scrape each",
        )


def _middle(level: int) -> int:
    """The middle of the numbers in use that share a label, itself up to 64."""
    return level if level <= EXACT else round(level * (1.0 + STEP / 2.0))


def _by_level(
    found: Found, label: str, name: str, levels: list[int] | None = None
) -> tuple[list[int], Floats]:
    """Numbers in use, ascending, and a row a window with a figure for each.

    What is no number stays none, so that its window is left out.

    Args:
        found: one series at least.
    """
    rows: dict[int, Floats] = {}
    for labels, row in found.values():
        text = labels.get(label, "")
        is_number = text.isascii() and text.isdigit() and len(text) < 8
        if not is_number or _middle(int(text)) > MOST_CONNECTIONS:
            raise BadInput(
                f"{name} has a series whose {label} is {printable(text)[:20]!r}, not a number",
                "check the relabelling of the metrics",
            )
        rows[int(text)] = rows.get(int(text), 0.0) + row
    levels = sorted(rows) if levels is None else levels
    none = np.zeros(len(next(iter(rows.values()))))
    return levels, np.maximum([rows.get(level, none) for level in levels], 0.0).T


def _only(found: Found) -> Floats:
    """The one row of a query that adds everything up; empty without one."""
    rows = [row for _, row in found.values()]
    return rows[0] if rows else np.empty(0)


def _extreme(found: Found, choose: Callable[[Floats], float]) -> float | None:
    row = _only(found)
    row = row[~np.isnan(row)]
    return float(choose(row)) if row.size else None


def _times(buckets: Found, total: Found) -> Times:
    """A histogram by window; without +Inf as it is, and no histogram where no bucket is told.

    A window with a count that is no number holds no call.
    """
    rows: dict[float, Floats] = {}
    for labels, row in buckets.values():
        bound = number(labels.get("le", ""))
        if not math.isnan(bound):
            # "1" and "1.0" are one bound, as versions of an exporter write it.
            rows[bound] = rows.get(bound, 0.0) + row
    if not rows:
        return Times()
    bounds = tuple(sorted(rows))
    counts = np.maximum.accumulate(np.array([rows[bound] for bound in bounds]).T, axis=1)
    sums = _only(total) if total else np.zeros(len(counts))
    is_known = np.asarray((counts <= MOST).all(axis=1))
    counts, sums = np.where(is_known[:, None], counts, 0.0), np.where(is_known, sums, 0.0)
    return Times(bounds, np.maximum(counts, 0.0), np.where(sums <= MOST, sums, 0.0))
