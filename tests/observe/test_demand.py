"""Weekly peaks from a real Prometheus with a past, and from answers that are none."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from poolkit.analysis.forecast import TooShort, forecast
from poolkit.analysis.production import Windows
from poolkit.analysis.weekly import MONDAY, WEEK
from poolkit.cli.application import app
from poolkit.errors import BadInput
from poolkit.observe.demand import STEP, WEEKS, peaks_of, read_peaks
from tests.house import ROOT
from tests.monitor.prometheus import Prometheus
from tests.observe.fake import Fake, Reply, serving

MADE = ROOT / "data" / "recordings" / "history"
END = MONDAY + 2960 * WEEK  # a Monday in 2026, 00:00 UTC
END_NOW = (time.time() - MONDAY) // WEEK * WEEK + MONDAY
NOON = END + 43_200.0  # of it
SCRAPE = 150  # s
KNOWN, YOUNG = 45, 10  # weeks that pools have been scraped for
GAP, UNSEEN = 20, 30  # weeks: two days are missing in one, an hour in the other
TOML = """\
[targets.orders-db]
driver = "asyncpg"
dsn_env = "NOT_NEEDED_HERE"
statements = ["select 1"]
target_rate = {rate}
{production}
"""
NO_WINDOWS = Windows(300.0, np.array([END]), (), *[np.empty((1, 0))] * 2, *[np.zeros(1)] * 2)


def targets(folder: Path, production: str = "", rate: str = "450") -> Path:
    file = folder / "targets.toml"
    line = f"production = {{ {production} }}" if production else ""
    file.write_text(TOML.format(production=line, rate=rate), encoding="utf-8")
    return file


def peak(week: int) -> float:
    """Calls/s on the busiest ten minutes of a week."""
    return 400.0 + 5.0 * week


def samples(pool: str, weeks: int, job: str = "orders") -> Iterator[str]:
    """A counter of 100 calls/s with a burst each Wednesday, which begins anew every three days."""
    total = 0.0
    for at in range(END - weeks * WEEK, END + 1, SCRAPE):
        week, moment = divmod(at - (END - weeks * WEEK), WEEK)
        burst = 3 * 86_400 < moment <= 3 * 86_400 + 600
        total = 0.0 if at % 259_200 == 0 else total + SCRAPE * (peak(week) if burst else 100.0)
        unseen = (week == GAP and moment < 2 * 86_400) or (week == UNSEEN and 3600 < moment < 7200)
        if not unseen:
            labels = f'pool="{pool}",job="{job}"'
            yield f"poolkit_pool_asks_total{{{labels}}} {total:.0f} {at}"


@pytest.fixture(scope="module")
def prometheus() -> Iterator[str]:
    made = ["# TYPE poolkit_pool_asks counter", *samples("orders-db", KNOWN)]
    for job in ("orders", "canary"):
        made += samples("both", 1, job)
    made += samples("young", YOUNG)
    with Prometheus("127.0.0.1:9", history="\n".join([*made, "# EOF\n"])) as server:
        yield server.url


def test_the_peaks_of_a_year_that_a_prometheus_keeps(prometheus: str, tmp_path: Path) -> None:
    """Resets are no peaks, a week with two days missing is a gap, one with an hour is none."""
    file = targets(tmp_path, f'prometheus = "{prometheus}", pool = "orders-db"')
    found = read_peaks(file, "orders-db", until=NOON)
    assert found.gaps == (GAP,)
    assert [rate for rate in found.rates if rate] == pytest.approx(
        [peak(week) for week in range(KNOWN) if week != GAP], rel=0.01
    )
    assert found.source == f"Prometheus at {prometheus}, pool orders-db"
    first = np.datetime64(END - KNOWN * WEEK, "s").astype("datetime64[D]")
    assert found.first_day == str(first)
    assert found.remarks[-1] == f"Prometheus has no figures from before {first}"
    ahead = forecast(found.rates)
    assert not isinstance(ahead, TooShort)
    assert ahead.middle[0] == pytest.approx(peak(KNOWN), rel=0.03)


def test_a_query_of_the_rate_tells_the_same(prometheus: str, tmp_path: Path) -> None:
    """It goes before the pool's own; and what a short retention leaves is counted."""
    query = "sum(rate(poolkit_pool_asks_total{pool='young'}[5m]))"
    file = targets(
        tmp_path,
        f'prometheus = "{prometheus}", pool = "orders-db"',
        f'{{ prometheus = "{prometheus}", query = "{query}" }}',
    )
    found = read_peaks(file, "orders-db", until=NOON)
    assert found.rates == pytest.approx([peak(week) for week in range(YOUNG)], rel=0.01)
    ahead = forecast(found.rates)
    assert isinstance(ahead, TooShort)
    assert ahead.because == "10 weeks with a peak, and a forecast needs 40"


@pytest.mark.parametrize(
    ("production", "said", "remedy"),
    [
        ('pool = "order"', "there are: both, orders-db and young", "correct production.pool"),
        ('pool = "both"', "exported by 2 jobs: canary, orders", 'job = "orders"'),
        ('pool = "orders-db", job = "other"', "there are: both, orders-db", "job and namespace"),
        ('pool = "a", preset = "hikaricp"', "no hikaricp_connections_usage", "production.preset"),
        ('pool = "a", preset = "go_sql"', "go_sql counts no calls", "target_rate = {"),
    ],
)
def test_a_pool_that_is_not_there(
    prometheus: str, tmp_path: Path, production: str, said: str, remedy: str
) -> None:
    """Or is there twice; with what there is."""
    file = targets(tmp_path, f'prometheus = "{prometheus}", {production}')
    with pytest.raises(BadInput) as caught:
        read_peaks(file, "orders-db", until=NOON)
    assert said in caught.value.cause
    assert remedy in caught.value.remedy


AT = END - WEEK * WEEKS + STEP * np.arange(WEEKS * WEEK // STEP, dtype=float)
RATES = np.where(AT >= END - 3 * WEEK, 100.0, np.nan)


def test_figures_that_are_none() -> None:
    """Of infinite ones the rest counts; without a whole week there is nothing to tell."""
    endless = RATES.copy()
    endless[-5:] = np.inf
    found = peaks_of(AT, endless, "p")
    assert found.rates == (100.0, 100.0, 100.0)
    assert found.remarks[-1] == "5 figures left out that had no end: a division by 0"
    ended = np.where(AT >= END - WEEK, np.nan, RATES)
    assert peaks_of(AT, ended, "p").remarks == (
        "Prometheus has no figures from before 2026-09-07",
        "Prometheus has no figures since 2026-09-20",
    )
    for rates, said in (
        (np.full(AT.size, np.nan), "tells no rate in the 104 whole weeks until 2026-09-28"),
        (np.where(AT >= END - 86_400, 1.0, np.nan), "the series spans 1.0 days"),
        (-RATES, "rates must be finite and 0 or more"),
    ):
        with pytest.raises(BadInput, match=said) as caught:
            peaks_of(AT, rates, "p")
        assert "or give a CSV" in caught.value.remedy


def told(result: list[dict[str, Any]]) -> Reply:
    data = {"resultType": "matrix", "result": result}
    return 200, json.dumps({"status": "success", "data": data}).encode()


def flat(query: dict[str, str]) -> Reply:
    """100 calls/s all the time."""
    start, end = float(query["start"]), float(query["end"])
    return told([{"values": [[at, "100"] for at in np.arange(start, end + 1, STEP)]}])


def test_a_page_that_is_too_much_is_divided_and_a_token_goes_by_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No page has more than four weeks, and none is asked for twice that was answered."""
    monkeypatch.setenv("TOKEN", "sesame")
    most, asked = 2016, []

    def answer(kind: str, query: dict[str, str]) -> Reply | None:
        if kind == "query":
            return None
        figures = round((float(query["end"]) - float(query["start"])) / STEP) + 1
        asked.append(figures)
        return flat(query) if figures <= most else (422, fake.error("too many samples"))

    with serving(Fake(NO_WINDOWS, fault=answer)) as fake:
        production = f'prometheus = "{fake.url}", pool = "orders-db", token_env = "TOKEN"'
        file = targets(tmp_path, production)
        assert read_peaks(file, "orders-db", until=NOON).rates == (100.0,) * WEEKS
        assert asked[0] == 8064
        assert sum(asked[1:]) == AT.size
        assert {one["Authorization"] for one in fake.headers} == {"Bearer sesame"}
        most = 0
        with pytest.raises(BadInput, match="too many samples") as caught:
            read_peaks(file, "orders-db", until=NOON)
        assert caught.value.remedy.startswith("let a recording rule add the processes up")
        assert "--since" not in caught.value.remedy


@pytest.mark.parametrize(
    ("answer", "said", "remedy"),
    [
        ((422, b'{"status": "error", "error": "bad"}'), "refused a query: bad", "give a CSV"),
        ((200, b'{"status": "succ'), "only in part", "base URL"),
        ((401, b""), "HTTP 401", "production.token_env"),
        (told([{"metric": {"pod": p}, "values": [[END, "1"]]} for p in "ab"]), "2 series", "sum("),
        (told([]), "tells no rate in the 104 whole weeks", "over weeks that are past"),
    ],
)
def test_answers_that_are_none(tmp_path: Path, answer: Reply, said: str, remedy: str) -> None:
    """Each is named with its remedy, and nothing else is asked."""
    with serving(Fake(NO_WINDOWS, fault=lambda _kind, _query: answer)) as fake:
        file = targets(tmp_path, rate=f'{{ prometheus = "{fake.url}", query = "up" }}')
        with pytest.raises(BadInput) as caught:
            read_peaks(file, "orders-db", until=NOON)
    assert said in caught.value.cause
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("production", "said"),
    [
        ("", "targets.lab-db names no Prometheus"),
        ('metrics = "http://127.0.0.1:9/metrics", pool = "a"', "production.metrics keeps no past"),
        ('prometheus = "http://prometheus.internal", pool = "a"', "allow_hosts"),
        ('prometheus = "http://127.0.0.1:{port}", pool = "a"', "cannot read Prometheus at"),
        (
            'prometheus = "http://127.0.0.1:9", pool = "a", token_env = "NONE_SUCH"',
            "the environment variable NONE_SUCH is not set",
        ),
    ],
)
def test_history_ends_with_2_where_no_prometheus_tells(
    tmp_path: Path, production: str, said: str
) -> None:
    """The cause, and a remedy; nothing was sent anywhere."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        text = production.replace("{port}", str(closed.getsockname()[1]))
        code, printed = history(targets(tmp_path, text))
    assert code == 2, printed
    assert said in printed


def history(file: Path) -> tuple[int, str]:
    """What is printed of a recorded target, by another's name in the file."""
    file.write_text(file.read_text().replace("orders-db]", "lab-db]"), encoding="utf-8")
    words = ["history", str(MADE), "--target", "lab-db", "--demand", "prometheus"]
    done = CliRunner().invoke(app, [*words, "--targets", str(file)])
    return done.exit_code, done.output


def test_history_tells_when_the_size_runs_out(tmp_path: Path) -> None:
    """Of the weeks there are; where they are too few it says how many there were."""
    for weeks, said in ((60, "(10 connections) runs out"), (12, "12 weeks with a peak")):

        def answer(_kind: str, query: dict[str, str], known: int = weeks) -> Reply:
            at = np.arange(float(query["start"]), float(query["end"]) + 1, STEP)
            at = at[at > END_NOW - known * WEEK]
            values = [[one, str(290.0 + 3.0 * (one - END_NOW) / WEEK)] for one in at.tolist()]
            return told([{"values": values}] if values else [])

        with serving(Fake(NO_WINDOWS, fault=answer)) as fake:
            rate = f'{{ prometheus = "{fake.url}", query = "up" }}'
            code, printed = history(targets(tmp_path, rate=rate))
        assert code == 0, printed
        assert "reading the demand of lab-db from its Prometheus: 104 weeks" in printed
        assert said in printed, printed


def test_what_is_wrong_in_the_file_is_told_before_anybody_is_asked(tmp_path: Path) -> None:
    """All of it that demand rests on, and nothing else: the DSN's variable is not set here."""
    wrong = targets(tmp_path, "pools = 3", rate='{ prometheus = "http://127.0.0.1:9" }')
    with pytest.raises(BadInput, match=r"^2 mistakes in ") as caught:
        read_peaks(wrong, "orders-db")
    assert "targets.orders-db.target_rate: must be a number" in caught.value.cause
    assert "targets.orders-db.production: has no key 'pools'" in caught.value.cause
    with pytest.raises(BadInput, match="has no target order-db: it has orders-db"):
        read_peaks(wrong, "order-db")
