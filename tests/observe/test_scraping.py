"""A service's own /metrics, scraped for a while: what its pool counted between two scrapes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
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
    """The window in which a process began anew is left out; the others count."""
    texts = [*(exposition(n) for n in range(3)), *(exposition(n, start=2.0) for n in range(1, 4))]
    found = scraping.read(scrapes(texts), POOL, 5.0, 1e9)
    assert np.isnan(found.held[2]).all()
    assert found.whole().ends.size == 4


def test_workers_that_answer_in_turn() -> None:
    """Their counts cannot be told apart from those of one that began anew."""
    texts = [exposition(n, worker=str(n % 2)) for n in range(4)]
    with pytest.raises(BadInput, match="several workers answer in turn"):
        scraping.read(scrapes(texts), POOL, 5.0, 1e9)


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


def test_scrapes_that_are_missed(metrics: tuple[str, list[str], list[str]]) -> None:
    """Some are left out; five in a row, or the first, end it."""
    url, texts, asked = metrics
    of = MetricsFrom(POOL, metrics=url)
    texts[:] = [exposition(0), "", "", exposition(3), exposition(4)]
    assert len(watch(of)) == 29
    assert len(asked) == 31
    texts[:] = [exposition(0), ""]
    with pytest.raises(BadInput, match="503"):
        watch(of)
    assert len(asked) == 31 + 1 + scraping.IN_A_ROW


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
    monkeypatch.setattr(scraping, "watch", lambda _of, _seconds, **_pause: [None] * 61)
    monkeypatch.setattr(scraping, "read", lambda *_words: windows)
    (tmp_path / "t.toml").write_text(TOML.format(of="metrics"))
    options = ["--targets", str(tmp_path / "t.toml"), "--out", str(tmp_path / "o")]
    done = CliRunner().invoke(app, ["observe", "orders-db", *options])
    assert done.exit_code == 0, done.output
    assert "sent: 61 scrapes, nothing to the target" in " ".join(done.output.split())
