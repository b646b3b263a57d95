"""`poolkit observe --verify` on a real server: one trial of the size, and what is left of it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from typer.testing import CliRunner

from poolkit.analysis.what_if import Planner
from poolkit.cli.application import app
from poolkit.cli.progress import PlainScreen
from poolkit.events import Event, TrialStarted
from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.measure.store import TrialLog
from poolkit.records import Sweep
from poolkit.report import page
from poolkit.report.folder import read_review
from poolkit.report.source import RECORDED, shared
from poolkit.review import verifying
from poolkit.targets import load_targets
from tests.analysis.day import SIX, day
from tests.analysis.test_averages import PARALLEL
from tests.observe.fake import Averaging, Fake, serving
from tests.observe.test_observe import now

pytestmark = pytest.mark.lab

TOML = """\
[targets.orders-api]
driver = "aiohttp"
url = "{url}"
target_rate = {rate}
wait_p99 = 0.010
production = {{ prometheus = "{prometheus}", pool = "orders-db"{more} }}
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[HttpUpstream]:
    with HttpUpstream(Workers(workers=24, service_time=0.012)) as running:
        yield running


@pytest.fixture
def fake() -> Iterator[Fake]:
    """A day that needs 12 or 13 connections for 450 calls/s."""
    with serving(Fake(now(day(SIX[3], 24, seconds=300.0)))) as running:
        yield running


@pytest.fixture
def averaging() -> Iterator[Fake]:
    """A day of which another library exports averages: it needs 16 connections for 390 calls/s."""
    with serving(Averaging(now(day(PARALLEL, 16, seconds=100.0)))) as running:
        yield running


def observe(folder: Path, fake: Fake, url: str, *words: str) -> Any:
    more, rate = "", 450
    if isinstance(fake, Averaging):
        more, rate = f', preset = "{fake.preset}"', 390
    text = TOML.format(url=url, prometheus=fake.url, more=more, rate=rate)
    (folder / "targets.toml").write_text(text, encoding="utf-8")
    line = ["observe", "orders-api", "--targets", "targets.toml", "--out", "out", "--since", "5m"]
    return CliRunner().invoke(app, [*line, *words])


def entry(folder: Path) -> dict[str, Any]:
    (found,) = json.loads((folder / "out/recommended.json").read_text())["targets"]
    return dict(found)


def test_one_trial_of_the_size(tmp_path: Path, fake: Fake, upstream: HttpUpstream) -> None:
    """At the target rate and no more; it stands beside what production told, which it changes not.

    A busy machine is a doubt of its own, so the exit code is not looked at.
    """
    done = observe(tmp_path, fake, upstream.url, "--verify", "--events")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [one["event"] for one in told]
    (begun,) = (one for one in told if one["event"] == "trial_started")
    found = entry(tmp_path)
    assert (begun["purpose"], begun["loop"], begun["arrival_rate"]) == ("verify", "open", 450.0)
    assert begun["pool_size"] == found["recommended_size"]
    assert "progress" in kinds
    assert [kind for kind in kinds if kind in ("recommended", "done")] == ["recommended", "done"]
    assert (found["source"], found["status"], found["trials"]) == ("production", "done", 1)
    assert found["verification"]["achieved_rate"] > 0
    assert found["production"]["today"]["is_trusted"]
    assert {"todays_waits", "verified"} <= {check["name"] for check in found["checks"]}
    trials = TrialLog(tmp_path / "out/orders-api.trials.jsonl").read()
    assert [trial.purpose for trial in trials] == ["production", "verify"]
    target = load_targets(tmp_path / "targets.toml")["orders-api"]
    quiet = [trials[0], trials[1].model_copy(update={"checks": ()})]
    sweeps = (Sweep(target="orders-api", trials=tuple(t)) for t in (quiet, quiet[:1]))
    with_it, without = (Planner.of(sweep, target).upstream for sweep in sweeps)
    assert with_it is not None
    assert without is not None
    assert with_it.curve == without.curve
    # The same folder is observed anew, and what was tried before is replaced.
    assert observe(tmp_path, fake, upstream.url).exit_code == 0
    assert (entry(tmp_path)["trials"], entry(tmp_path)["verification"]) == (0, None)


def test_ctrl_c_while_it_verifies(
    tmp_path: Path, fake: Fake, upstream: HttpUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 130; what production told is kept, with the doubt that its size was not verified."""
    see = PlainScreen.see

    def see_and_cancel(screen: PlainScreen, event: Event) -> None:
        see(screen, event)
        if isinstance(event, TrialStarted):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(PlainScreen, "see", see_and_cancel)
    done = observe(tmp_path, fake, upstream.url, "--verify", "--fail-on", "size")
    assert done.exit_code == 130, done.output
    assert "orders-api: cancelled\n  the same command begins anew" in done.output
    assert "Gates: 0 of 1 passed or waived" in done.output
    found = entry(tmp_path)
    assert found["recommended_size"] in (12, 13, 14)
    assert (found["status"], found["verification"]) == ("done", None)
    (check,) = (one for one in found["checks"] if one["name"] == "verified")
    assert (check["passed"], check["seen"]) == (False, "cancelled")
    assert len(list((tmp_path / "data/observations").iterdir())) == 1
    assert not (tmp_path / "out/orders-api.verify.jsonl").exists()


def test_a_target_that_does_not_answer(tmp_path: Path, averaging: Fake) -> None:
    """Exit 3, which goes before that of a gate; what production told is kept, averages as well."""
    done = observe(tmp_path, averaging, "http://127.0.0.1:9/", "--verify", "--fail-on", "plateau")
    assert done.exit_code == 3, done.output
    found = entry(tmp_path)
    assert found["recommended_size"] == 16
    (check,) = (one for one in found["checks"] if one["name"] == "verified")
    assert "refused" in check["seen"]
    assert (check["passed"], found["status"], found["trials"]) == (False, "done", 0)


def test_a_size_from_averages(
    tmp_path: Path, averaging: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it stands on and the trial of it are shown, and no curve: neither of them is one.

    The trial is a recorded one, for the seconds that it takes.
    """
    trials = TrialLog(shared(RECORDED) / "lab-http.trials.jsonl").read()
    ran = next(one for one in trials if one.purpose == "verify" and not one.failed_checks)
    ran = ran.model_copy(update={"target": "orders-api", "pool_size": 16, "arrival_rate": 390.0})
    monkeypatch.setattr(verifying, "_tried", lambda *_words: verifying.Tried((ran,)))
    done = observe(tmp_path, averaging, "http://127.0.0.1:9/", "--verify")
    assert "From averages of hikaricp" in done.output
    assert "Verification under load" in done.output
    found = entry(tmp_path)
    assert (found["recommended_size"], found["trials"]) == (16, 1)
    assert found["verification"]["achieved_rate"] > 0
    review = read_review(tmp_path / "out")
    section: Any = BeautifulSoup(page.section(review.targets[0], review).html, "html.parser")
    assert section.select_one("#target-orders-api-chart") is None
    assert section.select_one("figcaption").get_text() == (
        "Wait: time between the start of a call and the moment it holds a connection. "
        "The curve ends at the longest wait that was seen."
    )
    assert "metrics alone" not in (tmp_path / "out/recommended.md").read_text()


def test_only_a_child_is_told_the_size(tmp_path: Path) -> None:
    """`poolkit size` finds the size that it verifies itself."""
    (tmp_path / "targets.toml").write_text(
        TOML.format(url="http://127.0.0.1:9", prometheus="x", more="", rate=450)
    )
    line = ["size", "orders-api", "--targets", "targets.toml", "--verify", "3"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 2
    assert "what poolkit observe --verify tells its own child" in done.output
