"""Queries to a Prometheus: one at a time, or over a range of time page by page.

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
from poolkit.errors import BadInput
from poolkit.redact import Redactor, printable
from poolkit.targets import production
from poolkit.targets.metrics import KEYS, MetricsFrom, quoted

Floats = NDArray[np.float64]
# The series of a range: labels, and a value for each window.
Found = Mapping[str, tuple[Mapping[str, str], Floats]]
OnQuery = Callable[[str, float], None]  # what is read, and the share of all that is done

TIMEOUT = 60.0  # s, for one answer
LARGEST = 64 << 20  # bytes of one answer: a thousand windows of some hundred series are 5 MB
PAGE = 1000  # windows an answer; Prometheus gives no more than 11,000
FEWEST = 20  # windows an answer, below which a page is not halved again
WINDOWS = 2100  # at most so many in a range, where windows are not the longest: 5 min for a week
SCRAPES = 4  # in a window at least: `increase` needs two, and one or two may be missing
LOOK = 600  # s at the end of a range, in which scrapes are counted
LENGTHS = (2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)  # s, of a window
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
    # Of what stands before several stores: that not all of them answered.
    warnings: list[str] = Field(default_factory=list)
    isPartial: bool = False  # noqa: N815  # VictoriaMetrics' name

    @property
    def lacks(self) -> str:
        """What the answer is without, in the server's words; empty: it is whole."""
        # What begins so is about the query, and leaves nothing out.
        told = [printable(one) for one in self.warnings if not one.startswith("PromQL")]
        return told[0][:300] if told else "isPartial" * self.isPartial


@dataclass
class Asking:
    """Asks one Prometheus for one pool; `queries` counts the queries that were sent."""

    too_much: ClassVar[str] = (  # what to do about it, as in the next one
        "ask for less time (--since), or let Prometheus add the pods up beforehand with a "
        "recording rule"
    )
    refused: ClassVar[str] = "check the names of the preset and production.pool"
    apart: ClassVar[tuple[str, ...]] = ("job", "namespace")  # labels that one service has one of
    most_series: ClassVar[float] = math.inf  # of a range, after which nothing more is asked

    of: MetricsFrom
    on_query: OnQuery
    queries: int = 0
    _page: int = field(default=PAGE, repr=False)

    def check_one_job(self, selector: str, span: int, until: float) -> bool:
        """Whether there are such series; BadInput where more than one job exports them.

        Args:
            span: s before `until`, Unix time (s).
        """
        where = f"max by ({', '.join(self.apart)}) (present_over_time({selector}[{span}s]))"
        jobs = [series.metric for series in self.ask("query", where, {"time": f"{until:.3f}"})]
        for label in self.apart:
            values = sorted({job.get(label, "") for job in jobs})
            if len(values) > 1 and getattr(self.of, label, None) is None:
                shown = ", ".join(printable(value) or "none" for value in values[:8])
                raise BadInput(
                    f"pools named {self.of.pool!r} are exported by {len(values)} {label}s: {shown}",
                    f"name the one that is meant: production = {{ ..., {label} = "
                    f"{quoted(printable(values[-1]))} }}"
                    if label in KEYS
                    else "give each a name of its own, or take a time of one alone (--since)",
                )
        return bool(jobs)

    def window(self, selector: str, since: float, until: float) -> int:
        """The length of a window (s): several scrapes, and not too many windows."""
        span = _looked(until - since)
        found = self.ask(
            "query", f"max(count_over_time({selector}[{span}s]))", {"time": f"{until:.3f}"}
        )
        return window_length(
            until - since, float(found[0].value[1]) if found and found[0].value else 0.0
        )

    def range(
        self, query: str, ends: Floats, window: int, absent: float = math.nan
    ) -> dict[str, tuple[dict[str, str], Floats]]:
        """The series of a range query over all pages: labels, and a value for each window.

        Args:
            absent: the value where a series has no point.
        """
        found: dict[str, tuple[dict[str, str], Floats]] = {}
        at = 0
        while at < ends.size and len(found) <= self.most_series:
            last = min(at + self._page, ends.size) - 1
            when = {"start": f"{ends[at]:.3f}", "end": f"{ends[last]:.3f}", "step": f"{window}s"}
            try:
                answer = self.ask("query_range", query, when)
            except _TooMuch:
                if self._page <= FEWEST:
                    raise
                self._page = max(FEWEST, self._page // 4)
                continue
            for series in answer:
                key = json.dumps(series.metric, sort_keys=True)
                _, row = found.setdefault(key, (series.metric, np.full(ends.size, absent)))
                moments = np.array([moment for moment, _ in series.values])
                place = np.round((moments - ends[0]) / window).astype(int)
                inside = (place >= 0) & (place < ends.size)
                row[place[inside]] = np.array([number(text) for _, text in series.values])[inside]
            at = last + 1
        return found

    def names(self, selected: str, span: int, when: Mapping[str, str]) -> list[str]:
        """The names that such series have, in the last hour of the time at most."""
        query = f"count by (__name__) (last_over_time({selected}[{min(span, 3600)}s]))"
        return [printable(one.metric.get("__name__", "")) for one in self.ask("query", query, when)]

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
            # An error may hold what was sent.
            said = Redactor([self.of.token]).text(printable(answer.error))[:300]
            refused = f"Prometheus refused a query: {said}"
            if any(word in said.lower() for word in _TOO_MUCH):
                raise _TooMuch(refused, self.too_much)
            raise BadInput(refused, self.refused)
        if answer.lacks:
            raise BadInput(
                f"{what} answered in part: {answer.lacks}",
                "ask again when all that it reads from answers: figures of a part are too low",
            )
        return answer.data.result


class _TooMuch(BadInput):
    """The page was too much for the server."""


def _looked(seconds: float) -> int:
    return min(LOOK, max(1, round(seconds)))


def window_length(seconds: float, scraped: float) -> int:
    """The length of a window (s) for a range, with so many scrapes of a pool at its end.

    The end is the last 10 minutes, or all of a shorter range.
    """
    interval = min(_looked(seconds) / scraped if scraped > 0 else 60.0, 600.0)
    # A service that began to be scraped within these minutes counts as scraped more rarely.
    interval = min(interval, max(1.0, seconds / 50.0))
    least = max(SCRAPES * interval, seconds / WINDOWS)
    return next((length for length in LENGTHS if length >= least), LENGTHS[-1])


def check_range(since: float, until: float, window: int) -> Floats:
    """The ends of the windows (Unix time, s); BadInput where there is none."""
    ends = np.arange(until, since + window - 0.5, -window)[::-1]  # the latest scrapes count
    if not ends.size:
        raise BadInput(
            f"{units.number(until - since)} s are shorter than one window of {window} s",
            f"ask for more: --since {10 * window}s",
        )
    return ends


def number(text: str) -> float:
    """A value as Prometheus writes it; nan for what is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
