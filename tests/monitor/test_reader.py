"""Arrival rate and hold time of a running service, and target rates read from production."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from poolkit.errors import BadInput, ExitCode
from poolkit.monitor import exposition, names, reader
from poolkit.monitor.exposition import PoolFigures, Scrape, Times
from poolkit.targets import load_targets, production
from poolkit.targets.production import RateQuery, ask, read_rate_query
from tests.monitor.exporting import HOLD, PERIOD, ExportingService
from tests.monitor.prometheus import Prometheus

RATE = 'sum(rate(poolkit_pool_asks_total{pool="orders-db"}[3s]))'
HIGHEST = 1 / (PERIOD + HOLD)  # calls/s that the service can make


@pytest.fixture(autouse=True)
def nothing_handed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(production.RESOLVED, raising=False)


class Answers:
    """An HTTP server that gives one answer to everything, after `delay` s."""

    def __init__(self, body: bytes, status: int = 200, delay: float = 0.0) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                time.sleep(delay)
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "http://127.0.0.1:1/")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Not a word."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.02))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> str:
        self._thread.start()
        return self.url

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(5.0)
        self._server.server_close()


def vector(*values: str) -> bytes:
    result = [{"metric": {}, "value": [0, value]} for value in values]
    data = {"resultType": "vector", "result": result}
    return json.dumps({"status": "success", "data": data}).encode()


@pytest.mark.lab
def test_two_scrapes_tell_rate_and_hold_time(service: ExportingService) -> None:
    """The service calls at most 40 times a second and holds 5 ms at least."""
    seen = reader.read_service(service.metrics, "orders-db", seconds=1.0)
    assert (seen.pool, seen.driver, seen.source) == ("orders-db", "asyncpg", service.metrics)
    assert 2 <= seen.arrival_rate <= HIGHEST * 1.1
    assert seen.hold_time is not None
    assert seen.hold_time >= HOLD
    assert seen.offered_load == pytest.approx(seen.arrival_rate * seen.hold_time)
    assert (seen.timeouts, seen.abandoned, seen.dials) == (0, 0, 0)


@pytest.mark.lab
def test_prometheus_tells_the_same(prometheus: Prometheus) -> None:
    """From the server's API, as rates of its own."""
    seen = reader.read_prometheus(prometheus.url, "orders-db", window="3s")
    assert 2 <= seen.arrival_rate <= HIGHEST * 1.1
    assert seen.hold_time is not None
    assert seen.hold_time >= HOLD
    assert seen.wait_p99 is not None
    assert seen.seconds == 3
    with pytest.raises(BadInput, match="gave nothing"):
        reader.read_prometheus(prometheus.url, "no-such-pool")
    with pytest.raises(BadInput, match="window must be a number"):
        reader.read_prometheus(prometheus.url, "orders-db", window="5 minutes")


@pytest.mark.lab
def test_a_pool_must_be_named_where_there_are_several(service: ExportingService) -> None:
    """Wrong or missing names are answered with those there are."""
    with pytest.raises(BadInput, match=r"several pools: orders-api, orders-db"):
        reader.read_service(service.metrics, seconds=0.1)
    with pytest.raises(BadInput, match=r"no pool 'orders'\n.*orders-api, orders-db"):
        reader.read_service(service.metrics, "orders", seconds=0.1)


@pytest.mark.parametrize(
    ("body", "status", "cause"),
    [
        (b"", 200, "exports no pool"),
        (b"nonsense {", 200, "is not an exposition"),
        (b"", 404, "answered HTTP 404"),
        (b"", 302, "answered HTTP 302"),
    ],
)
def test_a_service_that_cannot_be_read_says_why(body: bytes, status: int, cause: str) -> None:
    """No gauges, another page, another status: named, with what to do."""
    with Answers(body, status) as url, pytest.raises(BadInput, match=cause) as caught:
        reader.read_service(f"{url}/metrics", seconds=0.1)
    assert caught.value.remedy


def test_a_service_that_is_not_there_or_silent_ends_in_time() -> None:
    """Nobody listens; nobody answers: refused within the limit."""
    with pytest.raises(BadInput, match=r"cannot read http://127\.0\.0\.1:1/metrics: .*refused"):
        reader.read_service("http://127.0.0.1:1/metrics", seconds=0.1)
    began = time.monotonic()
    with Answers(b"", delay=1.0) as url, pytest.raises(BadInput, match="did not answer in time"):
        reader.read_service(f"{url}/metrics", seconds=0.1, timeout=0.2)
    assert time.monotonic() - began < 10.0
    with pytest.raises(BadInput, match="is no http address"):
        exposition.scrape("file:///etc/passwd")
    with pytest.raises(BadInput, match="seconds must be more than 0"):
        reader.read_service("http://127.0.0.1:1/metrics", seconds=0)


def figures(calls: float, hold: float = 0.0005, **values: float) -> PoolFigures:
    times = Times(((0.001, calls), (float("inf"), calls)), calls, calls * hold)
    counts = {m.name: 0.0 for m in names.METRICS if m.kind != "histogram"}
    counts[names.ASKS.name] = calls
    counts |= {f"poolkit_pool_{name}": value for name, value in values.items()}
    return PoolFigures("asyncpg", counts, {names.WAIT.name: times, names.HOLD.name: times})


def scrapes(*pools: PoolFigures) -> list[Scrape]:
    return [Scrape(1.0 + 2.0 * n, "m", {"p": pool}) for n, pool in enumerate(pools)]


def test_rates_are_differences_of_two_scrapes() -> None:
    """100 calls in 2 s are 50 calls/s; none is a rate of 0 without times."""
    two = scrapes(figures(10.0), figures(110.0))
    seen = reader.between(*two, "p")
    assert (seen.arrival_rate, seen.hold_time, seen.offered_load) == (50.0, 0.0005, 0.025)
    assert seen.wait_p99 == pytest.approx(0.00099)
    still = reader.between(two[1], Scrape(4.0, "m", two[1].pools), "p")
    assert (still.arrival_rate, still.hold_time, still.wait_p99) == (0.0, None, None)


def test_a_backlog_does_not_hide_the_arrivals() -> None:
    """200 calls asked and 100 got a connection: 100 calls/s arrive, not 50."""
    two = scrapes(figures(10.0, asks=10.0), figures(110.0, asks=210.0))
    assert reader.between(*two, "p").arrival_rate == 100.0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (figures(110.0), figures(10.0)),
        # A busy one has more calls by the second reading than before it started anew.
        (figures(100.0, dials=1000.0), figures(400.0, dials=8.0)),
        (figures(100.0, timeouts=1.0), figures(400.0)),
        (figures(100.0, hold=0.5), figures(400.0, hold=0.001)),  # the sums
        (figures(100.0, start_time_seconds=5.0), figures(400.0, start_time_seconds=6.0)),
    ],
    ids=["calls", "dials", "timeouts", "sums", "start"],
)
def test_a_service_that_started_anew_is_not_read_as_a_rate(
    before: PoolFigures, after: PoolFigures
) -> None:
    """Whichever counter fell, or another time of start: refused, with what to do."""
    with pytest.raises(BadInput, match="the two readings of p at m are not of one count") as caught:
        reader.between(*scrapes(before, after), "p")
    assert "read it again" in caught.value.remedy
    assert "several workers" in caught.value.cause


def test_a_service_of_an_older_poolkit_is_told() -> None:
    """It counts no asks: its arrival rate is not known, and not guessed."""
    old = figures(10.0)
    del old.values[names.ASKS.name]
    with pytest.raises(BadInput, match="does not count who asks"):
        reader.between(*scrapes(old, old), "p")


# -- target_rate = { prometheus = ..., query = ... } ------------------------------------------


@pytest.mark.lab
def test_a_target_rate_comes_from_production(prometheus: Prometheus, tmp_path: Path) -> None:
    """The figure is read before load, and says where it came from in every output."""
    target = load(tmp_path, prometheus.url, RATE)
    assert 2 <= target.target_rate <= HIGHEST * 1.1
    assert target.rate_from.startswith(f"Prometheus at {prometheus.url}, query {RATE}, read 20")
    settings = target.public_settings()
    assert (settings["target_rate"], settings["rate_from"]) == (
        target.target_rate,
        target.rate_from,
    )


@pytest.mark.lab
def test_the_measuring_process_gets_its_parents_figure(
    prometheus: Prometheus, tmp_path: Path
) -> None:
    """A child reads its parent's figure instead of its own; the parent itself reads anew."""
    query = "time()"  # never twice the same
    first = load(tmp_path, prometheus.url, query)
    code = (
        "import sys; from poolkit.targets import load_targets; "
        "print(load_targets(sys.argv[1])['orders'].target_rate)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "targets.toml")]
    child = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True)
    assert float(child.stdout) == first.target_rate
    assert load(tmp_path, prometheus.url, query).target_rate > first.target_rate
    # Another query is another figure.
    load(tmp_path, prometheus.url, f"{query} * 2")
    child = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True)
    assert float(child.stdout) > first.target_rate * 1.5


def load(folder: Path, url: str, query: str, extra: str = "") -> Any:
    path = folder / "targets.toml"
    path.write_text(
        f"{extra}\n[targets.orders]\n"
        'driver = "aiohttp"\nurl = "http://127.0.0.1:9/"\n'
        f"target_rate = {{ prometheus = {json.dumps(url)}, query = {json.dumps(query)} }}\n",
        encoding="utf-8",
    )
    return load_targets(path)["orders"]


@pytest.mark.lab
@pytest.mark.parametrize(
    ("query", "cause"),
    [
        ("no_such_metric", "gave nothing"),
        ("poolkit_pool_size", "gave 2 series, not one"),
        ("vector(0) / vector(0)", "gave nan"),
        ("1 / vector(0)", "gave inf"),
        ("vector(0)", "gave 0, and a target rate must be more than 0"),
        ("-vector(1)", "gave -1, and a target rate must be more than 0"),
        ("rate(", "Prometheus refused the query rate"),
        ("poolkit_pool_size[1m]", "gave a matrix, not one number"),
        ('"text"', "gave a string, not one number"),
    ],
)
def test_answers_that_are_no_rate_are_refused(
    prometheus: Prometheus, tmp_path: Path, query: str, cause: str
) -> None:
    """Nothing, many, NaN, 0 and wrong queries: exit code 2, with the cure."""
    with pytest.raises(BadInput) as caught:
        load(tmp_path, prometheus.url, query)
    assert cause in caught.value.cause
    assert caught.value.remedy
    assert caught.value.exit_code == ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    ("body", "status", "cause"),
    [
        (b"<html>", 200, "did not answer as Prometheus does"),
        (b"[]", 200, "did not answer as Prometheus does"),
        (b'{"status": "success"}', 200, "gave a thing"),
        (vector("nonsense"), 200, "gave no number"),
        (vector("1", "2"), 200, "gave 2 series"),
        (b"", 500, "answered HTTP 500"),
        (b"", 302, "answered HTTP 302"),
    ],
)
def test_servers_that_are_no_prometheus_are_told(body: bytes, status: int, cause: str) -> None:
    """Whatever answers, the message says what was wrong with it; redirects are not followed."""
    with Answers(body, status) as url, pytest.raises(BadInput) as caught:
        ask(RateQuery(url, "up"))
    assert cause in caught.value.cause


def test_a_prometheus_out_of_reach_ends_in_time() -> None:
    """Nobody listens, nobody answers, nobody has the name."""
    with pytest.raises(BadInput, match="refused"):
        ask(RateQuery("http://127.0.0.1:1", "up"))
    with Answers(b"", delay=1.0) as url, pytest.raises(BadInput, match="in time"):
        ask(RateQuery(url, "up"), timeout=0.2)
    with pytest.raises(BadInput, match="cannot read Prometheus at"):
        ask(RateQuery("http://no-such-host.invalid", "up"))


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ({}, "must be a number of calls/s, or"),
        ({"prometheus": "http://h"}, "must be a number of calls/s, or"),
        ({"prometheus": "http://h", "query": "up", "x": 1}, "must be a number of calls/s, or"),
        ({"prometheus": "http://h", "query": " "}, "query must be PromQL"),
        ({"prometheus": 9090, "query": "up"}, "prometheus must be a URL"),
        ({"prometheus": "h:9090", "query": "up"}, "prometheus must be a URL such as"),
        ({"prometheus": "http://h:x", "query": "up"}, "valid host and port"),
        ({"prometheus": "http://h:0", "query": "up"}, "prometheus must be a URL such as"),
        ({"prometheus": "http://u:hunter2@h", "query": "up"}, "must hold no user"),
        ({"prometheus": "http://h?token=hunter2", "query": "up"}, "must hold no user"),
        ({"prometheus": "http://h /x", "query": "up"}, "no space, backslash"),
    ],
)
def test_a_wrong_table_is_refused_without_its_secrets(value: object, rule: str) -> None:
    """Each rule by name; the URL is not quoted, since a password may stand in it."""
    with pytest.raises(ValueError, match=rule) as caught:
        read_rate_query(value)
    assert "hunter2" not in str(caught.value)


def test_the_host_that_is_asked_must_be_allowed(tmp_path: Path) -> None:
    """As any host: without allow_hosts nothing is asked."""
    with pytest.raises(BadInput, match=r"host prometheus\.internal is not this machine") as caught:
        load(tmp_path, "http://prometheus.internal:9090", "up")
    assert 'allow_hosts = ["prometheus.internal"]' in caught.value.cause
    with pytest.raises(BadInput, match="cannot read Prometheus at"):
        load(
            tmp_path, "http://no-such-host.invalid", "up", 'allow_hosts = ["no-such-host.invalid"]'
        )


def test_every_mistake_is_told_before_anybody_is_asked(tmp_path: Path) -> None:
    """A wrong key elsewhere in the file comes first: Prometheus is not even asked."""
    with pytest.raises(BadInput, match="1 mistake"):
        load(tmp_path, "http://127.0.0.1:1", "up", "allow_host = []")


def test_a_wrong_query_and_other_mistakes_are_told_together(tmp_path: Path) -> None:
    """The target's other keys are looked at too."""
    path = tmp_path / "targets.toml"
    path.write_text(
        '[targets.orders]\ndriver = "aiohttp"\ntarget_rate = { prometheus = "x" }\nmax_size = 0\n',
        encoding="utf-8",
    )
    with pytest.raises(BadInput) as caught:
        load_targets(path)
    for key in ("orders.target_rate: must be a number", "orders.max_size", "orders.url"):
        assert f"targets.{key}" in caught.value.cause
