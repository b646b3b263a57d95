"""`poolkit observe`: from a service's metrics to a recommendation. Nothing but queries is sent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from poolkit import units
from poolkit.analysis.averages import Averages
from poolkit.analysis.averages import as_trial as averages_as_trial
from poolkit.analysis.averages import told as told_of
from poolkit.analysis.averages_size import tell
from poolkit.analysis.next_day import next_day
from poolkit.analysis.production import FINGERPRINT, evidence, sized
from poolkit.analysis.todays_waits import todays_waits
from poolkit.analysis.windows import Windows
from poolkit.errors import BadInput, ExitCode
from poolkit.events import Emit, Sized, Step
from poolkit.measure.store import TrialLog, prepare_out, write_atomic
from poolkit.observe import scraping
from poolkit.observe.averages import AveragesReader
from poolkit.observe.looking import Looking
from poolkit.observe.preset import AveragesPreset, load
from poolkit.observe.prometheus import Reader
from poolkit.observe.recommending import recommendation
from poolkit.records import (
    MOST_CONNECTIONS,
    FromProduction,
    Recommendation,
    Scenario,
    Sizing,
    Trial,
)
from poolkit.targets import Target
from poolkit.targets.metrics import MetricsFrom

FEWEST_WINDOWS = 5
FEWEST_CALLS = 200
SLOWER = 1.25  # times as long a call takes, of an upstream that may be asked about
GROWN = (1.25, 2.0)  # times today's peak


@dataclass(frozen=True, slots=True)
class Observation:
    """What came of it.

    Attributes:
        trial: what production told.
        queries: that were sent.
        windows: that were read.
        tried: the trial that verified the size, where one was asked for.
        ended: how that verification ended.
    """

    recommendation: Recommendation
    sizing: Sizing
    trial: Trial
    queries: int
    windows: Windows | Averages
    tried: tuple[Trial, ...] = ()
    ended: ExitCode = ExitCode.DONE

    @property
    def exit_code(self) -> ExitCode:
        """4: cannot say; 130 or 3: not verified to the end; 1: not trusted, or another doubt."""
        if self.recommendation.recommended_size is None:
            return ExitCode.OUT_OF_REACH
        if self.ended != ExitCode.DONE:
            return self.ended
        return ExitCode.FINDINGS if self.recommendation.failed_checks else ExitCode.DONE


def check_out(out: Path, name: str) -> None:
    """Make the folder; BadInput where it holds trials, which would be lost or mixed in.

    Not those that verified what production told before: they are replaced with it.
    """
    prepare_out(out)
    log = TrialLog(out / f"{name}.trials.jsonl")
    trials = log.read()
    if trials and all(trial.fingerprint != FINGERPRINT for trial in trials):
        raise BadInput(
            f"{log.path.name} holds trials under load",
            "choose another --out for what production tells",
        )


def observe(
    target: Target,
    seconds: float,
    emit: Emit,
    *,
    until: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Observation:
    """The size of a target's pool, from its own metrics of the last so many seconds.

    Where they are scraped, and not read from a Prometheus, they are those of the next ones.

    Args:
        until: Unix time (s) at which the range ends; now by default.
        sleep: until the next scrape; what it or `emit` raises ends all of it.

    Raises:
        BadInput: the metrics cannot be read, or nothing in them is left to go by.
    """
    asked = target.production
    if asked is None:
        raise BadInput(
            f"targets.{target.name} does not say where its metrics are",
            'add to it: production = { prometheus = "http://127.0.0.1:9090", pool = "orders-db" }',
        )
    read: Windows | Averages
    if asked.prometheus is None:
        asked_at = f"{asked.metrics}, pool {asked.pool}"
        read, queries = _scraped(target.name, asked, seconds, emit, sleep)
        sizing, trial, found = _from_windows(target, read, asked_at, emit)
    else:
        asked_at = f"Prometheus at {asked.prometheus}, pool {asked.pool}"

        def on_query(what: str, done: float) -> None:
            emit(Step(target=target.name, what=f"reading {what} ({units.share(done)})", limit=0))

        end = time.time() if until is None else until
        preset = load(asked.preset)
        if isinstance(preset, AveragesPreset):
            averages = AveragesReader(asked, on_query, preset=preset)
            read = averages.read(end - seconds, end)
            sizing, trial, found = _from_averages(target, read, asked.prometheus, asked)
            queries = averages.queries
        else:
            reader = Reader(asked, on_query, preset=preset)
            read = reader.read(end - seconds, end)
            sizing, trial, found = _from_windows(target, read, asked_at, emit)
            queries = reader.queries
    emit(Sized(sizing=sizing))
    return Observation(recommendation(target, sizing, trial, found), sizing, trial, queries, read)


def from_windows(target: Target, read: Windows, source: str) -> Observation:
    """The same from windows that were read before; nothing is asked.

    Args:
        source: where they were read, in words.

    Raises:
        BadInput: nothing in them is left to go by.
    """
    sizing, trial, found = _from_windows(target, read, source, lambda _event: None)
    return Observation(recommendation(target, sizing, trial, found), sizing, trial, 0, read)


def _from_windows(
    target: Target, read: Windows, source: str, emit: Emit
) -> tuple[Sizing, Trial, FromProduction]:
    """The answer from counts by number in use."""
    windows = read.whole()
    _check_enough(windows, read, float(windows.releases.sum()))
    if windows.fleet * max(windows.levels) > MOST_CONNECTIONS:
        raise BadInput(
            f"{windows.fleet} pools have up to {max(windows.levels)} connections in use each, more "
            f"than {MOST_CONNECTIONS} together",
            "name a part of them: production.job and production.namespace",
        )
    emit(Step(target=target.name, what="reading the size off the curve", limit=0))
    return _answer(target, windows, read, source)


def _scraped(
    name: str, asked: MetricsFrom, seconds: float, emit: Emit, sleep: Callable[[float], None]
) -> tuple[Windows, int]:
    """What a service's own /metrics tells in the next so many seconds, and the scrapes sent."""
    what = f"looking at {asked.metrics}, nothing else is sent"
    looking = Looking(name, what, seconds, emit, sleep=sleep)
    scrapes = scraping.watch(asked, seconds, pause=looking.pause)
    length = scraping.window_length(seconds)
    return scraping.read(scrapes, asked.pool, length, time.time()), looking.scrapes


def write(out: Path, found: Observation) -> None:
    """Write what a report of the folder reads beside recommended.json."""
    name = found.recommendation.target
    lines = [trial.model_dump_json() + "\n" for trial in (found.trial, *found.tried)]
    write_atomic(out / f"{name}.trials.jsonl", "".join(lines))
    write_atomic(out / f"{name}.sizing.json", found.sizing.model_dump_json(indent=2) + "\n")


def _check_enough(windows: Windows | Averages, read: Windows | Averages, calls: float) -> None:
    """BadInput where hardly a window, or hardly a call, is left; with a range that has more."""
    left, seconds = windows.ends.size, read.seconds
    if left >= FEWEST_WINDOWS and not calls < FEWEST_CALLS:  # nan: calls are not counted
        return
    cause = f"only {left} of {read.ends.size} windows of {units.number(seconds)} s have all figures"
    if left and math.isfinite(calls):
        cause += f", and {units.plural(int(calls), 'call')} in them"
    if left:
        cause += f", from {_moment(windows.ends[0] - seconds)} to {_moment(windows.ends[-1])}"
    remedy = "take a time in which the service was scraped and busy: --since 7d, or --for 5m where "
    remedy += "its own /metrics are read"
    if left and windows.ends[0] - seconds > read.ends[0] + read.seconds and left < FEWEST_WINDOWS:
        minutes = max(1, math.ceil((read.ends[-1] - windows.ends[0] + seconds) / 60.0))
        remedy = f"they begin at {_moment(windows.ends[0] - seconds)}: a shorter range has shorter "
        remedy += f"windows: --since {minutes}m"
    raise BadInput(cause, remedy)


def _answer(
    target: Target, windows: Windows, read: Windows, source: str
) -> tuple[Sizing, Trial, FromProduction]:
    began, ended = (_moment(at) for at in (windows.ends[0] - windows.seconds, windows.ends[-1]))
    of = (target.name, target.driver, began)
    objective = _of_fleet(target, windows.fleet)
    known = evidence(windows, min(objective.rate, windows.peak_rate), *of)
    sizing, trial = sized(windows, objective, *of)
    today = todays_waits(*known, objective.wait_p99)
    peak = windows.peak_rate
    asked = {"today's busiest window": objective.but(target_rate=peak, growth=1.0)}
    for factor in GROWN:
        name = f"{units.number(factor)} times today's busiest"
        asked[name] = objective.but(target_rate=factor * peak, growth=1.0)
    if objective.lost:
        asked["no replica is lost"] = objective.losing(0)
    scenarios = [
        Scenario(name=name, rate=one.rate, size=answer.size, because=answer.because)
        for name, one in asked.items()
        for answer, _ in [sized(windows, one, *of)]
    ]
    answer, _ = sized(windows, objective, *of, slower=SLOWER)
    scenarios.append(
        Scenario(
            name=f"calls take {units.number(SLOWER)} times as long",
            rate=objective.rate,
            size=answer.size,
            because=answer.because,
        )
    )
    least, most = windows.least_size, windows.limit
    now = int(most) if most is not None and least == most and 1 <= most < math.inf else None
    return (
        sizing,
        trial,
        FromProduction(
            source=source,
            since=began,
            until=ended,
            window=windows.seconds,
            windows=windows.ends.size,
            left_out=read.ends.size - windows.ends.size,
            pools=windows.fleet,
            size_now=now,
            most_in_use=windows.most_in_use,
            peak_rate=peak,
            today=today,
            scenarios=tuple(scenarios),
            next_day=next_day(windows, [*dict.fromkeys(n for n in (sizing.size, now) if n)]),
        ),
    )


def _of_fleet(target: Target, fleet: int) -> Target:
    """The target with as many pools as there are in production, which knows."""
    if fleet == target.pools:
        return target
    objective = target.but(replicas=fleet, workers=1, zones=None, surge=0)
    return objective.but(lost_replicas=min(target.lost, fleet - 1))


def _from_averages(
    target: Target, read: Averages, source: str, asked: MetricsFrom
) -> tuple[Sizing, Trial, FromProduction]:
    windows = read.whole()
    calls = float(windows.calls.sum()) if told_of(windows.calls) else math.nan
    _check_enough(windows, read, calls)
    told = tell(windows, _of_fleet(target, windows.fleet), target.name, asked.preset)
    began, ended = (_moment(at) for at in (windows.ends[0] - windows.seconds, windows.ends[-1]))
    trial = averages_as_trial(windows, target.name, target.driver, began)
    found = FromProduction(
        source=f"Prometheus at {source}, pool {asked.pool}, from averages of {asked.preset}",
        since=began,
        until=ended,
        window=windows.seconds,
        windows=windows.ends.size,
        left_out=read.ends.size - windows.ends.size,
        pools=windows.fleet,
        size_now=windows.size,
        most_in_use=math.ceil(told.averaged.highest_load / windows.fleet),
        peak_rate=windows.peak_rate,
        today=told.today,
        scenarios=told.scenarios,
        averages=told.averaged,
    )
    return told.sizing, trial, found


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
