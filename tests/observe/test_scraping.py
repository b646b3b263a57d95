"""A service's own /metrics, scraped for a while: what its pool counted between two scrapes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from poolkit.cli.application import app
from poolkit.errors import BadInput
from poolkit.monitor.exposition import Scrape, parse
from poolkit.observe import scraping
from poolkit.observe.looking import Looking
from poolkit.targets.metrics import MetricsFrom
from tests.analysis.day import SIX, day

POOL = "orders-db"


def exposition(row: int, start: float = 1.0, workers: int = 1, worker: str = "") -> str:
    """What a pool exports after so many windows of 5 s: 4 s idle, 1 s with two in use."""
    of = f'pool="{POOL}",driver="asyncpg"' + (f',worker="{worker}"' if worker else "")
    lines = [f"# TYPE {name} {kind}" for name, kind in (
        ("poolkit_pool_size", "gauge"),
        ("poolkit_pool_start_time_seconds", "gauge"),
        ("poolkit_pool_state_seconds_total", "counter"),
        ("poolkit_pool_state_releases_total", "counter"),
        ("poolkit_pool_asks_total", "counter"),
        ("poolkit_pool_wait_seconds", "histogram"),
    )]  # fmt: skip
    lines += [
        f"poolkit_pool_size{{{of}}} {8 * workers}",
        f"poolkit_pool_start_time_seconds{{{of}}} {start}",
        f"poolkit_pool_asks_total{{{of}}} {100 * row * workers}",
        f'poolkit_pool_wait_seconds_bucket{{{of},le="0.01"}} {99 * row * workers}',
        f'poolkit_pool_wait_seconds_bucket{{{of},le="+Inf"}} {100 * row * workers}',
        f"poolkit_pool_wait_seconds_count{{{of}}} {100 * row * workers}",
        f"poolkit_pool_wait_seconds_sum{{{of}}} {0.1 * row * workers}",
    ]
    for n, seconds, calls in ((0, 4.0, 0), (2, 1.0, 100)):
        states = f'{of},in_use="{n}"'
        lines.append(f"poolkit_pool_state_seconds_total{{{states}}} {seconds * row * workers}")
        lines.append(f"poolkit_pool_state_releases_total{{{states}}} {calls * row * workers}")
    return "\n".join([*sorted(lines, key=_family), ""])


def _family(line: str) -> tuple[str, bool]:
    name = line.split()[2] if line.startswith("#") else line.partition("{")[0]
    for end in ("_total", "_bucket", "_count", "_sum"):
        name = name.removesuffix(end)
    return name, not line.startswith("#")


def scrapes(texts: Sequence[str]) -> list[Scrape]:
    return [Scrape(5.0 * at, "x", parse(text, "x")) for at, text in enumerate(texts)]


def test_windows_between_scrapes() -> None:
    """States, asks, waits and the size of one of the workers, whose number the seconds tell."""
    found = scraping.read(scrapes([exposition(n, workers=2) for n in range(7)]), POOL, 5.0, 1e9)
    assert (found.levels, found.fleet, found.least_size, found.most_size) == ((0, 2), 2, 8, 8)
    assert found.ends.tolist() == [1e9 - 25, 1e9 - 20, 1e9 - 15, 1e9 - 10, 1e9 - 5, 1e9]
    assert found.held.tolist() == [[8.0, 2.0]] * 6
    assert found.releases.tolist() == [[0.0, 200.0]] * 6
    assert found.rates.tolist() == [40.0] * 6
    assert found.waits.counts.tolist() == [[198.0, 200.0]] * 6


def test_a_restart_is_a_gap() -> None:
    """The window in which a process began anew, as another one, is left out; the others count."""
    before = [exposition(n, worker="17") for n in range(3)]
    after = [exposition(n, start=2.0, worker="23") for n in range(1, 4)]
    found = scraping.read(scrapes([*before, *after]), POOL, 5.0, 1e9)
    assert np.isnan(found.held[2]).all()
    found = found.whole()
    assert found.ends.size == 4
    assert (found.fleet, found.least_size, found.most_size) == (1, 8, 8)


def test_the_size_is_that_of_one_worker() -> None:
    """Whether workers come or the size is changed meanwhile."""
    grown = scrapes([exposition(n, workers=w) for n, w in ((1, 1), (2, 1), (2, 2), (3, 2), (4, 2))])
    found = scraping.read(grown, POOL, 5.0, 1e9)
    assert (found.least_size, found.most_size) == (8, 8)
    texts = [exposition(n) for n in range(4)]
    texts[3] = texts[3].replace('asyncpg"} 8\n', 'asyncpg"} 12\n')
    found = scraping.read(scrapes(texts), POOL, 5.0, 1e9)
    assert (found.least_size, found.most_size) == (8, 12)
    found = scraping.read(
        scrapes([one.replace('asyncpg"} 8\n', 'asyncpg"} NaN\n') for one in texts[:3]]),
        POOL,
        5,
        1e9,
    )
    assert (found.least_size, found.most_size) == (None, None)


class Service:
    """A service on a clock of its own: what it answers at a moment, and how long that takes (s)."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        answer: Callable[[float], str],
        takes: float = 0.01,
    ) -> None:
        self.now, self.answer, self.takes = 0.0, answer, takes
        self.asked: list[float] = []
        self.headers: list[dict[str, str]] = []
        monkeypatch.setattr(scraping, "scrape", self.scrape)
        monkeypatch.setattr(scraping.time, "monotonic", lambda: self.now)

    def scrape(self, _url: str, *, headers: dict[str, str]) -> Scrape:
        self.asked.append(self.now)
        self.headers.append(headers)
        self.now += self.takes
        text = self.answer(self.now)
        if not text:
            raise BadInput("cannot read it: Connection refused", "check host and port")
        return Scrape(self.now, "x", parse(text, "x"))

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def watch(self, seconds: float, token_env: str | None = None) -> list[Scrape]:
        of = MetricsFrom(POOL, metrics="http://127.0.0.1:9/metrics", token_env=token_env)
        return scraping.watch(of, seconds, pause=self.pause)


def row(at: float) -> int:
    return round(at / 5.0)


def test_workers_that_answer_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told with the first that comes again, not after an hour; one after another is a restart."""
    service = Service(monkeypatch, lambda at: exposition(row(at), worker=str(row(at) % 2)))
    with pytest.raises(BadInput, match="2 workers or more answer in turn") as caught:
        service.watch(3600.0)
    assert "PROMETHEUS_MULTIPROC_DIR" in caught.value.remedy
    assert len(service.asked) == 3
    service = Service(monkeypatch, lambda at: exposition(row(at), worker=str(at > 17.0)))
    assert len(service.watch(60.0)) == 13


def test_a_service_that_is_down_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """So are its windows; it is given up when it stays away, and told since when."""

    def down(since: float, until: float) -> Callable[[float], str]:
        return lambda at: "" if since < at < until else exposition(row(at))

    service = Service(monkeypatch, down(12.0, 33.0))
    found = service.watch(60.0)
    assert len(found) == 13 - 4
    windows = scraping.read(found, POOL, 5.0, 1e9)
    assert windows.rates.tolist() == pytest.approx([20.0] * 8)
    service = Service(monkeypatch, down(12.0, 1e9))
    with pytest.raises(BadInput, match=r"read for 10 s, then 6 times in a row in vain: .*refused"):
        service.watch(300.0)
    assert service.now < 12.0 + scraping.OUTAGE + 5.0
    # What was told before the end counts, and so does a pool that is made with its first call.
    assert len(Service(monkeypatch, down(43.0, 1e9)).watch(60.0)) == 9
    none = "# TYPE up gauge\nup 1\n"
    lazy = Service(monkeypatch, lambda at: none if 12.0 < at < 18.0 else exposition(row(at)))
    assert len(lazy.watch(60.0)) == 12


def test_a_token_goes_with_every_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    """By reference; without it nothing is asked, and the variable is named."""
    service = Service(monkeypatch, lambda at: exposition(row(at)))
    with pytest.raises(BadInput, match="METRICS_TOKEN is not set"):
        service.watch(30.0, "METRICS_TOKEN")
    assert not service.asked
    monkeypatch.setenv("METRICS_TOKEN", "s3cr3t")
    service.watch(30.0, "METRICS_TOKEN")
    assert service.headers == [{"Authorization": "Bearer s3cr3t"}] * 7


def test_answers_that_are_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks no longer than asked, and sends no more at once to make up for it."""
    service = Service(monkeypatch, lambda at: exposition(row(at)), takes=8.0)
    assert len(service.watch(60.0)) == 7
    assert np.diff(service.asked).min() >= 8.0
    assert service.now <= 60.0 + 2 * 8.0


@pytest.fixture
def metrics() -> Iterator[tuple[str, list[str], list[str]]]:
    """A /metrics that answers these texts in turn, `""` as HTTP 503; its address, and what came."""
    texts: list[str] = []
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            text = texts.pop(0) if len(texts) > 1 else texts[0]
            self.send_response(200 if text else 503)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/metrics", texts, asked
        finally:
            server.shutdown()
            thread.join()


def watch(of: MetricsFrom) -> list[Scrape]:
    return scraping.watch(of, 30.0, pause=lambda _seconds: None)


def looking() -> Looking:
    return Looking(POOL, "looking", 30.0, lambda _event: None, sleep=lambda _seconds: None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "HTTP 503"),
        ("<html><body>It works!</body></html>", "not an exposition"),
        ('{"status": "up"}', "not an exposition in Prometheus's text format"),
        ("# TYPE up gauge\nup 1\n", "it exports no pool at all"),
        ("#" * (9 << 20), "more than 8 MB"),
        (exposition(1).replace("} 100", "} NaN"), "not an exposition"),
        (exposition(1).replace('in_use="2"', 'in_use="two"'), "not an exposition"),
    ],
)
def test_answers_that_are_none(
    metrics: tuple[str, list[str], list[str]], text: str, told: str
) -> None:
    """At first: the end, with what to look at. Later they are left out, as if missed."""
    url, texts, asked = metrics
    of = MetricsFrom(POOL, metrics=url)
    texts[:] = [text]
    with pytest.raises(BadInput) as caught:
        watch(of)
    assert told in caught.value.cause
    assert len(asked) == 1
    texts[:] = [exposition(0), text, text, exposition(3)]
    look = looking()
    assert len(scraping.watch(of, 30.0, pause=look.pause)) == 5
    assert look.scrapes == len(asked) - 1 == 7  # those without an answer were sent, too


def test_other_pools_and_presets(metrics: tuple[str, list[str], list[str]]) -> None:
    """Told with those that are there."""
    url, texts, _ = metrics
    texts[:] = [exposition(0)]
    of = MetricsFrom("order-db", metrics=url)
    with pytest.raises(BadInput, match=f"none named 'order-db'; there are: {POOL}"):
        watch(of)
    with pytest.raises(BadInput, match=r"with the names of poolkit\.monitor"):
        watch(replace(of, preset="other"))


TOML = """\
[targets.orders-db]
driver = "asyncpg"
dsn = "postgresql://u:p@127.0.0.1:9/orders"
statements = ["select 1"]
target_rate = 450
wait_p99 = 0.010
production = {{ {of} = "http://127.0.0.1:9/metrics", pool = "orders-db" }}
"""


@pytest.mark.parametrize(
    ("of", "words", "told"),
    [
        ("metrics", ["--since", "7d"], "keeps no past"),
        ("prometheus", ["--for", "5m"], "--since 7d"),
        ("metrics", ["--for", "5s"], "--for must be from 30s to 1h"),
        ("metrics", ["--for", "2h"], "--for must be from 30s to 1h"),
        ("metrics", [], "check host and port"),
    ],
)
def test_how_long(tmp_path: Path, of: str, words: list[str], told: str) -> None:
    """--since for a Prometheus, --for for /metrics, each with its bounds; exit 2."""
    (tmp_path / "t.toml").write_text(TOML.format(of=of))
    options = ["--targets", str(tmp_path / "t.toml"), "--out", str(tmp_path / "o")]
    done = CliRunner().invoke(app, ["observe", "orders-db", *options, *words])
    assert done.exit_code == 2, done.output
    assert told in " ".join(done.output.split())


def test_a_size_from_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The windows go the way of a Prometheus's, and what was sent is told as scrapes."""
    windows = day(SIX[3], 24, seconds=300.0)

    def answered(_of: MetricsFrom, _seconds: float, pause: Callable[[float], None]) -> list[None]:
        for _ in range(60):
            pause(0.0)
        return [None] * 58

    monkeypatch.setattr(scraping, "watch", answered)
    monkeypatch.setattr(scraping, "read", lambda *_words: windows)
    (tmp_path / "t.toml").write_text(TOML.format(of="metrics"))
    options = ["--targets", str(tmp_path / "t.toml"), "--out", str(tmp_path / "o")]
    done = CliRunner().invoke(app, ["observe", "orders-db", *options])
    assert done.exit_code == 0, done.output
    assert "sent: 61 scrapes, nothing to the target" in " ".join(done.output.split())
