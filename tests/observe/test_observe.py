"""`poolkit observe` on metrics of known content, good and bad, over HTTP."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from bs4 import BeautifulSoup
from typer.testing import CliRunner

from poolkit.analysis.windows import Times, Windows
from poolkit.cli import reviewing
from poolkit.cli.application import app
from poolkit.measure import store
from poolkit.observe.asking import check_range, window_length
from poolkit.report import page
from poolkit.report.execute import execute
from poolkit.report.export import export
from poolkit.report.folder import read_review
from poolkit.review.history import read_history
from tests.analysis.day import SIX, day
from tests.cli.test_nothing_sent import counting
from tests.observe.fake import Fake, Reply, serving

TOML = """\
[targets.orders-db]
driver = "asyncpg"
dsn = "postgresql://u:p@127.0.0.1:{port}/orders"
statements = ["select 1"]
target_rate = {rate}
wait_p99 = 0.010
production = {{ prometheus = "{url}", pool = "{pool}"{more} }}
"""


@pytest.fixture(scope="module")
def contended() -> Windows:
    """A day of the contended upstream, which needs 12 connections at its peak, with 24."""
    return day(SIX[3], 24, seconds=300.0)


def now(windows: Windows) -> Windows:
    """The same, as if it were of the last minutes."""
    return replace(windows, ends=windows.ends - windows.ends[-1] + math.floor(time.time()))


def observe(
    fake: Fake,
    folder: Path,
    *options: str,
    pool: str = "orders-db",
    more: str = "",
    port: int = 9,
    rate: int = 450,
    keys: str = "",
) -> Any:
    with serving(fake):
        file = folder / "targets.toml"
        text = TOML.format(url=fake.url, pool=pool, more=more, port=port, rate=rate) + keys
        file.write_text(text, encoding="utf-8")
        words = ["observe", "orders-db", "--targets", str(file), "--out", str(folder / "out")]
        return CliRunner().invoke(app, [*words, "--since", "5m", *options])


@pytest.mark.parametrize(
    ("seconds", "scraped", "length"),
    [
        (90.0, 225.0, 2),  # a compressed day: all of it is looked at, not the ten minutes before
        (90.0, 90.0, 5),
        (3600.0, 40.0, 60),
        (3600.0, 4.0, 300),  # scraped for a minute: counts as rarely
        (7 * 86_400.0, 40.0, 300),
        (7 * 86_400.0, 10.0, 300),
        (90 * 86_400.0, 40.0, 3600),
        (3600.0, 0.0, 300),
    ],
)
def test_windows_hold_several_scrapes_and_are_not_too_many(
    seconds: float, scraped: float, length: int
) -> None:
    """By the scrapes at the end of the range, and its length."""
    assert window_length(seconds, scraped) == length


def test_a_size_and_nothing_but_queries(contended: Windows, tmp_path: Path) -> None:
    """A trusted size in every file of a review; GETs to Prometheus, and no packet to the target."""
    fake = Fake(now(contended))
    with counting() as (port, seen):
        done = observe(fake, tmp_path, port=port)
    assert done.exit_code == 0, done.output
    assert seen == []
    assert {method for method, _ in fake.asked} <= {"GET", "POST"}
    assert {path for _, path in fake.asked} == {"/api/v1/query", "/api/v1/query_range"}
    assert f"sent: {len(fake.asked)} queries" in done.output
    (entry,) = json.loads((tmp_path / "out/recommended.json").read_text())["targets"]
    assert (entry["source"], entry["trials"], entry["verification"]) == ("production", 0, None)
    assert 12 <= entry["recommended_size"] <= 14
    assert entry["production"]["today"]["is_trusted"]
    assert "From production metrics alone" in (tmp_path / "out/recommended.md").read_text()
    assert page.scope(read_review(tmp_path / "out")).rows[0][-1] == "64 (the default)"
    compile((tmp_path / "out/pools.py").read_text(), "pools.py", "exec")


def test_the_report(contended: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the size comes from and whether the model is trusted; nothing about load."""
    monkeypatch.setattr(reviewing, "make_report", lambda out: export(execute(out), out / "r.html"))
    done = observe(Fake(now(contended)), tmp_path)
    assert done.exit_code == 0, done.output
    shown: Any = BeautifulSoup((tmp_path / "out/r.html").read_text(), "html.parser")
    decision = shown.select_one("#decision").parent.get_text(" ", strip=True)
    assert "Source: production." in decision
    assert "predicted from production metrics, not verified" in decision
    section = shown.select_one("section.pk-target")
    assert "✓ Trusted: p99 wait up to" in section.select_one("#target-orders-db-today").get_text()
    captions = [caption.get_text(strip=True) for caption in section.select("table caption")]
    assert captions[:3] == [
        "Today's waits with 24 connections in each pool",
        "The next day, if it is like the one seen",
        "What one pool needs",
    ]
    text = section.get_text(" ")
    for claim in ("No call failed", "knee", "seed", "of load", "measured here", "by choice"):
        assert claim not in text, claim


def test_a_folder_holds_load_or_production(contended: Windows, tmp_path: Path) -> None:
    """What a review or `observe` left is not mixed with the other's, and the remedy is named."""
    assert observe(Fake(now(contended)), tmp_path).exit_code == 0
    words = ["--targets", str(tmp_path / "targets.toml"), "--out", str(tmp_path / "out")]
    with counting() as (_, seen):
        done = CliRunner().invoke(app, ["review", *words])
    told = " ".join(done.output.split())
    assert (done.exit_code, seen) == (2, [])
    assert "the folder holds what production told of it" in told
    assert "choose another --out, or measure anew with --again" in told
    log = tmp_path / "out/orders-db.trials.jsonl"
    trial = json.loads(log.read_text()) | {"purpose": "ramp", "fingerprint": "0"}
    log.write_text(json.dumps(trial) + "\n")
    done = observe(Fake(now(contended)), tmp_path)
    assert done.exit_code == 2
    assert "holds trials under load" in done.output
    assert "choose another --out" in done.output


def test_ctrl_c(contended: Windows, tmp_path: Path) -> None:
    """It ends with 130, and nothing is written."""

    def fault(kind: str, _query: dict[str, str]) -> Reply | None:
        if kind == "query_range":
            signal.raise_signal(signal.SIGINT)
        return None

    done = observe(Fake(now(contended), fault=fault), tmp_path)
    assert done.exit_code == 130, done.output
    assert "cancelled" in done.output
    assert not (tmp_path / "out/recommended.json").exists()


def test_events_are_json_lines(contended: Windows, tmp_path: Path) -> None:
    """Steps, the sizing, where it is kept, the recommendation, done; and nothing else."""
    done = observe(Fake(now(contended)), tmp_path, "--events")
    kinds = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert kinds[0] == "step"
    assert kinds[-4:] == ["sizing", "step", "recommended", "done"]


def test_above_what_was_seen_it_cannot_say(tmp_path: Path) -> None:
    """A pool of 9 where 12 are needed: exit 4, what would let it say, and nothing to verify."""
    with counting() as (port, seen):
        fake = Fake(now(day(SIX[3], 9, seconds=300.0)))
        done = observe(fake, tmp_path, "--verify", "--fail-on", "size", port=port)
    assert (done.exit_code, seen) == (4, []), done.output
    told = " ".join(done.output.split())
    assert "cannot say" in told
    assert "a pool of 9 cannot show that: raise the size" in told
    assert "nothing was verified: production names no size" in told
    assert "production does not tell the size; do what its check sized names" in told


def test_a_verification_that_would_not_be_that_of_production(
    contended: Windows, tmp_path: Path
) -> None:
    """Other pools than production has send nothing, and that is a doubt with a remedy."""
    with counting() as (port, seen):
        done = observe(Fake(now(contended)), tmp_path, "--verify", port=port, keys="replicas = 2\n")
    assert (done.exit_code, seen) == (1, []), done.output
    told = " ".join(done.output.split())
    assert "check verified failed: not tried under load: 1 pool in production, 2 by" in told
    assert "next: correct replicas and workers, then observe with --verify again" in told


def test_what_could_not_be_verified_is_told_before_anything_is_asked(
    contended: Windows, tmp_path: Path
) -> None:
    """A cap below the target rate is told; one that is the target rate is enough."""
    fake = Fake(now(contended))
    done = observe(fake, tmp_path, "--verify", keys="max_rate = 449\n")
    assert (done.exit_code, fake.asked) == (2, [])
    assert "set max_rate = 450 or more" in done.output
    done = observe(fake, tmp_path, "--verify", pool="other", keys="max_rate = 450\n")
    assert done.exit_code == 2
    assert "there are: orders-db" in done.output  # it went on to ask


def test_gates(contended: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No baseline is no pass; the next is held against the record; what it does not tell fails."""
    options = ("--fail-on", "size,plateau", "--history", str(tmp_path / "kept"))
    files = ("--summary", str(tmp_path / "g.md"), "--junit", str(tmp_path / "g.xml"))
    done = observe(Fake(now(contended)), tmp_path, *options, *files)
    assert done.exit_code == 1, done.output
    assert "size of orders-db: no earlier review knows a size" in done.output
    monkeypatch.setattr(store, "now", lambda: "2099-01-02T03:04:05Z")
    done = observe(Fake(now(contended)), tmp_path, *options, "--events", *files)
    assert (done.exit_code, json.loads(done.stdout.splitlines()[-1])["exit_code"]) == (1, 1)
    assert ET.parse(tmp_path / "g.xml").getroot().get("failures") == "1"
    written = (tmp_path / "g.md").read_text()
    assert "| orders-db | size | ✓ passed |" in written
    assert "production does not tell the plateau; measure it under load: poolkit review" in written
    (trend,) = read_history([tmp_path / "kept"]).trends
    assert [one.source for one in trend.reviews] == ["production"] * 2
    assert trend.comparable == 2
    shown = page.decision(read_review(tmp_path / "out"))
    assert 'id="over-time"' in shown.html
    assert "Nothing changed by more than noise since" in shown.words


def test_waits_that_the_model_does_not_tell_are_not_trusted(
    contended: Windows, tmp_path: Path
) -> None:
    """Waits that have another cause: the size is named, in doubt, with exit 1."""
    counts = contended.waits.counts.copy()
    counts[:, :6] *= 0.9  # one call in ten waits longer than 25 ms
    strange = replace(contended, waits=replace(contended.waits, counts=counts))
    done = observe(Fake(now(strange)), tmp_path)
    assert done.exit_code == 1, done.output
    told = " ".join(done.output.split())
    assert told.count("not trusted: p99 wait") == told.count("longer than the model") == 1


@contextmanager
def token(monkeypatch: pytest.MonkeyPatch, value: str) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("PROM_TOKEN", value)
        yield


def test_a_token_goes_by_reference(
    contended: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sent with every query, and stands in no file; without it, the variable is named."""
    fake, more = Fake(now(contended)), ', token_env = "PROM_TOKEN"'
    done = observe(fake, tmp_path, more=more)
    assert (done.exit_code, fake.asked) == (2, [])
    assert "PROM_TOKEN is not set" in done.output
    with token(monkeypatch, "s3cr3t"):
        assert observe(fake, tmp_path, more=more).exit_code == 0
        said = refusing(400, ERROR.replace(b"invalid parameter", b"no such token: Bearer s3cr3t"))
        done = observe(Fake(now(contended), fault=said), tmp_path, more=more)
    assert (done.exit_code, "no such token: Bearer ***" in done.output) == (2, True)
    assert {sent["Authorization"] for sent in fake.headers} == {"Bearer s3cr3t"}
    assert all("s3cr3t" not in file.read_text() for file in (tmp_path / "out").glob("*.*"))


def refusing(status: int, body: bytes, *, ranges: bool = False) -> Callable[[str, Any], Any]:
    def fault(kind: str, _query: dict[str, str]) -> Reply | None:
        return (status, body) if kind == "query_range" or not ranges else None

    return fault


PART = b'{"status": "success", %s, "data": {"resultType": "vector", "result": []}}'
ERROR = b'{"status": "error", "errorType": "execution", "error": "invalid parameter"}'


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (refusing(422, ERROR), "Prometheus refused a query: invalid parameter"),
        (refusing(401, b""), "production.token_env names the variable"),
        (refusing(302, b""), "redirects are not followed"),
        (refusing(500, b"oops"), "HTTP 500"),
        (refusing(200, b'{"status": "success", "data": {"resultTy'), "or only in part"),
        (refusing(200, b"<html>"), "did not answer as Prometheus does"),
        (
            refusing(200, b'{"status":"success","data":{"resultType":"vector","result":[]}}'),
            "were not renamed by relabelling",
        ),
        (
            refusing(422, ERROR.replace(b"invalid parameter", b"too many samples"), ranges=True),
            "ask for less time",
        ),
        (refusing(503, ERROR.replace(b"invalid parameter", b"timed out")), "ask for less time"),
        (refusing(200, PART % b'"warnings": ["store-1: gone"]'), "answered in part: store-1: gone"),
        (refusing(200, PART % b'"isPartial": true'), "figures of a part are too low"),
        (refusing(200, PART % b'"warnings": ["PromQL info: x"]'), "no poolkit_pool_state_seconds"),
    ],
)
def test_answers_that_are_none(
    contended: Windows, tmp_path: Path, fault: Callable[..., Any], words: str
) -> None:
    """Named with the remedy, exit 2, and nothing is written."""
    done = observe(Fake(now(contended), fault=fault), tmp_path)
    assert done.exit_code == 2, done.output
    assert words in " ".join(done.output.split())
    assert not (tmp_path / "out/recommended.json").exists()


def test_other_pools_and_other_jobs(contended: Windows, tmp_path: Path) -> None:
    """A name that is not there is told with those that are; a job must be chosen of two."""
    done = observe(Fake(now(contended)), tmp_path, pool="order-db")
    assert done.exit_code == 2
    assert "there are: orders-db" in done.output
    two = Fake(now(contended), jobs=({"job": "orders"}, {"job": "staging"}))
    done = observe(two, tmp_path)
    assert done.exit_code == 2
    assert "by 2 jobs: orders, staging" in done.output
    assert 'job = "staging"' in done.output
    assert observe(two, tmp_path, more=', job = "orders"').exit_code == 0
    libraries = tuple({"job": "orders", "driver": name} for name in ("asyncpg", "psycopg"))
    done = observe(Fake(now(contended), jobs=libraries), tmp_path)
    assert done.exit_code == 2
    assert "exported by 2 drivers: asyncpg, psycopg" in done.output
    assert "give each a name of its own" in done.output


class Mixed(Fake):
    """One bound of its histograms stands there in two ways, as of two versions of an exporter."""

    def _series(self, text: str) -> Iterator[tuple[dict[str, str], Any]]:
        for labels, row in super()._series(text):
            forms = ("0.01", "0.010") if labels.get("le") == "0.01" else (labels.get("le"),)
            for form in forms:
                yield labels | ({"le": form} if form else {}), row / len(forms)


def test_a_bound_in_two_ways_is_one(contended: Windows, tmp_path: Path) -> None:
    """What both count is added up."""
    found = []
    for fake in (Fake(now(contended)), Mixed(now(contended))):
        assert observe(fake, tmp_path).exit_code == 0
        (entry,) = json.loads((tmp_path / "out/recommended.json").read_text())["targets"]
        found.append(entry["production"]["today"]["shares"])
    assert found[0] == found[1]


def test_the_latest_scrapes_count() -> None:
    """Windows end with the range; what is left over is at its beginning."""
    assert check_range(1000.0, 1590.0, 60)[[0, -1]].tolist() == [1110, 1590]


def test_scraped_too_rarely(contended: Windows, tmp_path: Path) -> None:
    """There are series, and in no window two scrapes of one: which time would do."""

    def fault(kind: str, _query: dict[str, str]) -> Reply | None:
        data = {"resultType": "matrix", "result": []}
        body = json.dumps({"status": "success", "data": data}).encode()
        return (200, body) if kind == "query_range" else None

    done = observe(Fake(now(contended), fault=fault), tmp_path)
    assert done.exit_code == 2, done.output
    told = " ".join(done.output.split())
    assert "has poolkit_pool_state_seconds_total, but in no window two scrapes of it" in told
    assert "for more time (--since), whose windows are longer" in told


@pytest.mark.parametrize("lacks", ["asks", "size", "state_releases"])
def test_a_metric_that_is_not_there_is_named(
    contended: Windows, tmp_path: Path, lacks: str
) -> None:
    """Where it is needed, with those that the pool has."""

    def fault(_kind: str, query: dict[str, str]) -> Reply | None:
        labels = {"__name__": f"poolkit_pool_{lacks}_renamed"}
        found = [{"metric": labels, "value": [0, "1"]}] if "__name__" in query["query"] else []
        if not found and f"pool_{lacks}" not in query["query"]:
            return None
        data = {"resultType": "matrix", "result": found}
        return 200, json.dumps({"status": "success", "data": data}).encode()

    done = observe(Fake(now(contended), fault=fault), tmp_path)
    assert done.exit_code == 2, done.output
    told = " ".join(done.output.split())
    assert f"pool 'orders-db' has no poolkit_pool_{lacks}" in told
    assert f"did you mean poolkit_pool_{lacks}_renamed?" in told
    assert "relabelling" in told


def test_workers_that_answer_in_turn(contended: Windows, tmp_path: Path) -> None:
    """In a window four tell of themselves, and at its end one: what each counts is not seen."""

    def fault(_kind: str, query: dict[str, str]) -> Reply | None:
        if "count(count_over_time(" not in query["query"] or "start" not in query:
            return None
        start, end, step = (float(query[key].rstrip("s")) for key in ("start", "end", "step"))
        at = np.arange(start, end + 1, step).tolist()
        found = [{"metric": {}, "values": [[moment, "4"] for moment in at]}]
        data = {"resultType": "matrix", "result": found}
        return 200, json.dumps({"status": "success", "data": data}).encode()

    done = observe(Fake(now(contended), fault=fault), tmp_path)
    assert done.exit_code == 2, done.output
    told = " ".join(done.output.split())
    assert "4 workers or more answer Prometheus in turn" in told
    assert "PROMETHEUS_MULTIPROC_DIR" in told


def test_a_page_that_is_too_much_is_halved(contended: Windows, tmp_path: Path) -> None:
    """A server that refuses long answers is asked for shorter ones."""

    def fault(kind: str, query: dict[str, str]) -> Reply | None:
        if kind == "query_range":
            span = float(query["end"]) - float(query["start"])
            if span > 31 * 5.0:
                return 422, ERROR.replace(b"invalid parameter", b"too many samples")
        return None

    assert observe(Fake(now(contended), fault=fault), tmp_path).exit_code == 0


def nan(windows: Windows) -> Windows:
    held = windows.held.copy()
    held[::7] = np.nan
    return replace(windows, held=held)


def no_numbers(windows: Windows) -> Windows:
    """Of one number in use, in a third of the windows: its releases, or its time."""
    held, releases, level = windows.held.copy(), windows.releases.copy(), 8
    releases[::6, level], held[3::6, level] = np.nan, np.inf
    return replace(windows, held=held, releases=releases)


def no_counts(windows: Windows) -> Windows:
    """The same of the histogram of waits."""
    times = windows.waits
    counts, total = times.counts.copy(), times.total.copy()
    counts[::3, 2], total[1::3] = np.inf, np.nan
    return replace(windows, waits=Times(times.bounds, counts, total))


def of_size(size: float) -> Callable[[Windows], Windows]:
    return lambda windows: replace(windows, least_size=size, most_size=size)


def half(windows: Windows) -> Windows:
    rows = np.arange(windows.ends.size) % 6 == 0
    cut = np.where(rows[:, None], 0.2, 1.0)
    return replace(windows, held=windows.held * cut, releases=windows.releases * cut)


def no_inf(windows: Windows) -> Windows:
    times = windows.waits
    return replace(windows, waits=Times(times.bounds[:-1], times.counts[:, :-1], times.total))


def up_to(level: int, pools: int = 1) -> Callable[[Windows], Windows]:
    """The same with so many in use at most, of each of so many pools."""
    return lambda windows: replace(
        windows,
        levels=(*windows.levels[:-1], level),
        pools=windows.pools * pools,
        held=windows.held * pools,
    )


@pytest.mark.parametrize(
    ("spoilt", "code", "words"),
    [
        (nan, 0, "trusted"),
        (no_numbers, 0, "trusted"),
        (no_counts, 0, "trusted"),
        (of_size(1e5), 0, "100000 connections in production"),
        (of_size(-1.0), 1, "are told to have -1 connections, which is no size"),
        (of_size(1e9), 1, "the pool in production has no limit"),
        (up_to(999_999), 2, "'999999', not a number"),
        (up_to(600_000, pools=2), 2, "more than 1000000 together"),
        (lambda w: replace(w, asks=w.asks * 0.0), 2, "had no call in that time"),
        (half, 0, "trusted"),
        (no_inf, 1, "no bucket +Inf"),
        (lambda w: replace(w, waits=Times()), 1, "exports no histogram of waits"),
        (lambda w: replace(w, most_size=30.0), 1, "from 24 to 30 connections, not one size"),
        (lambda w: replace(w, least_size=math.inf, most_size=math.inf), 1, "no limit"),
        (lambda w: replace(w, held=w.held * np.nan), 2, "only 0 of"),
    ],
)
def test_figures_with_gaps(
    contended: Windows,
    tmp_path: Path,
    spoilt: Callable[[Windows], Windows],
    code: int,
    words: str,
) -> None:
    """Windows with gaps are left out; what is missing beside the states makes it not trusted."""
    done = observe(Fake(now(spoilt(contended))), tmp_path)
    assert done.exit_code == code, done.output
    assert words in " ".join(done.output.split())


@pytest.mark.parametrize("since", ["7", "5s", "401d", "-1d", "1.5h", "7 d"])
def test_since_that_cannot_be_meant(tmp_path: Path, since: str) -> None:
    """Told with the right form."""
    (tmp_path / "targets.toml").write_text(
        TOML.format(url="http://127.0.0.1:9", pool="p", more="", port=9, rate=450)
    )
    words = ["observe", "orders-db", "--targets", str(tmp_path / "targets.toml")]
    done = CliRunner().invoke(app, [*words, f"--since={since}", "--out", str(tmp_path / "o")])
    assert done.exit_code == 2
    assert "--since 7d" in done.output


def test_a_server_that_is_down(tmp_path: Path) -> None:
    """Exit 2, with what to check."""
    text = TOML.format(url="http://127.0.0.1:9", pool="p", more="", port=9, rate=450)
    (tmp_path / "targets.toml").write_text(text)
    words = ["observe", "orders-db", "--targets", str(tmp_path / "targets.toml")]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "o")])
    assert done.exit_code == 2
    assert "check host and port" in done.output
