"""All that these tests take from inside poolkit: when the inside moves, this file follows it.

What a command line can show is not in here.
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from unittest import mock

from rich.console import Console

from poolkit.cli.closing import knees, print_doubts
from poolkit.cli.printed import print_table
from poolkit.drivers.parameters import probed
from poolkit.drivers.parameters.findings import Findings
from poolkit.probes import Probe
from poolkit.recommend import parameters, recommend
from poolkit.records import Parameter, Recommendation, Sizing, Trial
from poolkit.report.folder import Review, read_review
from poolkit.review.export import write_recommended
from poolkit.show import tables
from poolkit.show.tables.of_probe import tables_of_probe
from poolkit.targets import Target, load_targets
from tests.recommend import examples
from tests.show import cases

CREATED = "2026-01-02T03:04:05Z"
DRIVERS: Mapping[str, Target] = {
    "aiohttp": examples.http_target(),
    "httpx": examples.http_target(driver="httpx"),
    "httpx2": examples.http_target(driver="httpx", library="httpx2"),
    "asyncpg": examples.database_target(),
    "sqlalchemy": examples.database_target(driver="sqlalchemy"),
    "psycopg": examples.database_target(driver="psycopg"),
    "redis": examples.redis_target(),
}


HEADERS = {"Accept": "text/plain", "Authorization": {"env": "GOLDEN_TOKEN"}}
# Beside the plain target of each driver; a name that begins with a digit is none in Python.
VARIANTS: Mapping[str, Target] = {
    "404-aiohttp": DRIVERS["aiohttp"],
    "aiohttp-no-gate": examples.http_target(gate=False),
    "aiohttp-set": examples.http_target(keepalive_timeout=4.0, ttl_dns_cache=60, headers=HEADERS),
    "aiohttp-work": examples.http_target(work="orders_work:place"),
    "httpx-no-gate": examples.http_target(driver="httpx", gate=False),
    "httpx-set": examples.http_target(
        driver="httpx", keepalive_timeout=4.0, max_keepalive_connections=5, headers=HEADERS
    ),
    "httpx-work": examples.http_target(driver="httpx", work="orders_work:place"),
    "httpx2-set": examples.http_target(driver="httpx", library="httpx2", keepalive_timeout=4.0),
    "asyncpg-gate": examples.database_target(gate=True),
    "asyncpg-set": examples.database_target(
        min_size=2, statement_cache_size=0, reset=False, init="orders_db:new", setup="orders_db:use"
    ),
    "sqlalchemy-gate": examples.database_target(driver="sqlalchemy", gate=True),
    "sqlalchemy-set": examples.database_target(
        driver="sqlalchemy",
        max_overflow=3,
        pool_timeout=5.0,
        pool_pre_ping=True,
        pool_recycle=300.0,
        pool_use_lifo=True,
    ),
    "psycopg-gate": examples.database_target(driver="psycopg", gate=True),
    "psycopg-set": examples.database_target(
        driver="psycopg", min_size=2, timeout=5.0, max_waiting=100
    ),
    "redis-set": examples.redis_target(
        pool_class="default", timeout=5.0, health_check_interval=10, gate=False
    ),
}


def fingerprints(targets_file: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """The hash that trials of each target carry: those of another one are refused."""
    with mock.patch.dict(os.environ, variables):
        return {name: target.fingerprint for name, target in load_targets(targets_file).items()}


def measured_rows(driver: str, probe_json: str, rate: float) -> tuple[Parameter, ...]:
    """The parameters that follow for `driver` from what a probe found."""
    return probed(driver, _findings(probe_json, rate))


def _findings(probe_json: str, rate: float) -> Findings:
    """What a probe found of connections: every driver gets the findings of one of them."""
    found = Probe.model_validate_json(probe_json).findings(rate)
    return dataclasses.replace(found, names=None)


def bases() -> dict[str, Trial | None]:
    """What parameters may rest on: verified, seen in the sweep alone, or not at all."""
    return {
        "verified at the target rate": examples.verifying_trial(),
        "calls of 250 ms, dials of 70 ms": examples.verifying_trial(
            hold_time=examples.times(0.1, 0.25, 0.4),
            dial_time=examples.times(0.03, 0.07, 0.07),
            wait_time=examples.times(0.003, 0.009, 1.3),
        ),
        "seen in the sweep alone": examples.trial(),
        "no trial": None,
    }


def parameters_on(basis: Trial | None, target: Target) -> tuple[Parameter, ...]:
    """The parameters of a target of 14 connections."""
    return parameters(target, examples.sizing(target=target.name), basis)


def line(row: Parameter) -> str:
    """One parameter with all that is said of it."""
    return f"{row.name} = {row.value!r} {row.unit or '-'} [{row.source}] {row.because}"


def with_probe(target: Target, probe_json: str) -> tuple[Parameter, ...]:
    """The parameters of a verified target that was probed."""
    return _recommended(target, _findings(probe_json, target.target_rate)).parameters


def _recommended(target: Target, probe: Findings | None = None) -> Recommendation:
    trials = (examples.trial(), examples.verifying_trial())
    sizing = examples.sizing(target=target.name)
    return recommend(target, sizing, examples.verification(), trials, "done", 30.0, probe=probe)


def write_target(out: Path, name: str, target: Target, *, is_probed: bool, probe_json: str) -> None:
    """The files of a review of this target alone; of a probed one with what the probe found."""
    target = target.model_copy(update={"name": name})
    probe = _findings(probe_json, target.target_rate) if is_probed else None
    found = _recommended(target, probe)
    write_recommended(out, (found,), (target,), created=CREATED)


def endings() -> dict[str, Recommendation]:
    """Made-up targets that end in every way."""
    found = {}
    for words, made in cases.KEPT.items():
        sizing, trials, recommendation = cases.records(made)
        name = words.replace(",", "").replace(" ", "-")
        changes: dict[str, object] = {"target": name}
        if made.size is not None:
            make = examples.http_target if made.driver == "aiohttp" else examples.database_target
            asked = {"target_rate": float(made.rate), "wait_p99": made.wait, "workers": made.pools}
            target = make(driver=made.driver, **asked)
            serving = trials[-2 if made.push else -1]
            changes["parameters"] = parameters(target, sizing, serving, size=made.size)
        found[words] = recommendation.model_copy(update=changes)
    return found


def write_ending(out: Path, recommendation: Recommendation) -> None:
    """The files of a review of one of them."""
    write_recommended(out, (recommendation,), (), created=CREATED)


def printed_endings(width: int) -> str:
    """The tables that commands print of them."""
    found = tuple(endings().values())
    file = io.StringIO()
    console = Console(width=width, force_terminal=False, file=file, highlight=False)
    print_table(console, tables.decision_in_short(found))
    print_table(console, tables.parameters_in_short(found[0]))
    print_doubts(console, found)
    for words, made in cases.KEPT.items():
        sizing, _, _ = cases.records(made)
        curve = tables.curve(sizing)
        console.print(f"\n{words}")
        print_table(console, curve)
        console.print(knees(sizing))
    return file.getvalue()


def tables_of_endings() -> Iterator[tuple[str, str, str]]:
    """(caption, Markdown, HTML) of every table about them, the parameters apart."""
    found = endings()
    yield _shown(tables.decision(tuple(found.values())))
    for words, made in cases.KEPT.items():
        sizing, trials, _ = cases.records(made)
        _, *others = _of_target(found[words], sizing)
        for table in (*others, tables.trial_checks(trials)):
            caption, markdown, html = _shown(table)
            yield f"{words}: {caption}", markdown, html


def tables_of_folder(folder: Path, name: str) -> Iterator[tuple[str, str, str]]:
    """(caption, Markdown, HTML) of every table about a review and about one target of it."""
    review: Review = read_review(folder)
    assert review.comparison is not None
    recommendations = tuple(target.recommendation for target in review.targets)
    yield _shown(tables.decision(recommendations, review.comparison))
    yield _shown(tables.changes(review.comparison))
    yield _shown(tables.changes(review.comparison, name))
    (target,) = (target for target in review.targets if target.name == name)
    assert target.probe is not None
    found = _of_target(target.recommendation, target.sizing)
    for table in (*found, *_of_trials(target.trials), *tables_of_probe(target.probe)):
        yield _shown(table)


def _of_target(recommendation: Recommendation, sizing: Sizing | None) -> tuple[tables.Table, ...]:
    found = [
        tables.parameters(recommendation),
        tables.checks(recommendation),
        tables.knees(recommendation, sizing),
        tables.rules_of_thumb(recommendation),
        tables.signals(recommendation),
    ]
    if sizing is not None:
        found.append(tables.predictions(sizing, recommendation.recommended_size))
    return tuple(found)


def _of_trials(trials: Sequence[Trial]) -> tuple[tables.Table, ...]:
    made = (tables.trials, tables.trial_checks, tables.time_budget, tables.cut_and_dials)
    return tuple(make(trials) for make in made)


def _shown(table: tables.Table) -> tuple[str, str, str]:
    return table.caption, table.markdown(), table.html()
