"""A service of several worker processes behind one port, whose answers come in turn."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from poolkit.errors import BadInput
from poolkit.monitor import names, reader
from poolkit.monitor.workers import PERIOD
from tests.monitor.worker import Workers

CALLS = 60


def page(workers: Workers) -> list[Any]:
    with urllib.request.urlopen(workers.metrics, timeout=10.0) as response:
        text = response.read().decode()
    return [one for family in text_string_to_metric_families(text) for one in family.samples]


def read_while(workers: Workers, monkeypatch: pytest.MonkeyPatch, work: Any) -> reader.Traffic:
    """What is read where `work` happens between the two readings."""
    real = time.sleep

    def sleep(seconds: float) -> None:
        work()
        real(seconds)

    monkeypatch.setattr(reader.time, "sleep", sleep)
    return reader.read_service(workers.metrics, "catalogue", seconds=1.5)


def test_the_answers_of_workers_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """60 calls, whichever worker served them, and neither a restart nor one worker's share."""
    with Workers() as workers:
        pids = {str(process.pid) for process in workers.processes}
        own = [one for one in page(workers) if one.name.startswith(("poolkit_", "http_client"))]
        assert {len(pids & {one.labels[names.WORKER]}) for one in own} == {1}

        def work() -> None:
            assert workers.use(CALLS) == pids

        seen = read_while(workers, monkeypatch, work)
    assert seen.workers == 2
    assert seen.source.endswith("/metrics, 2 workers")
    assert seen.arrival_rate * seen.seconds == pytest.approx(CALLS, rel=0.2)
    assert seen.hold_time is not None
    assert seen.dials > 0


def test_workers_that_change_cannot_be_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is replaced between the readings: said so, with what tells of all at once."""
    with Workers() as workers:
        old = workers.processes[0].pid

        def work() -> None:
            workers.end(workers.processes[0])
            workers.start()

        with pytest.raises(
            BadInput, match=rf"worker {old} in the first only, worker \d+ in the"
        ) as caught:
            read_while(workers, monkeypatch, work)
    assert "PROMETHEUS_MULTIPROC_DIR" in caught.value.remedy
    assert "started" not in caught.value.cause


def test_one_answer_tells_of_all_workers_in_multiprocess_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counters are sums, gauges have their worker's pid; a worker's end loses no call."""
    with Workers(tmp_path) as workers:
        pids = {str(process.pid) for process in workers.processes}

        def work() -> None:
            assert workers.use(CALLS) == pids

        seen = read_while(workers, monkeypatch, work)
        found = page(workers)
        workers.end(workers.processes[0])
        after = page(workers)

    def samples(name: str, of: list[Any]) -> list[Any]:
        return [one for one in of if one.name == name]

    assert seen.workers == 1
    assert seen.arrival_rate * seen.seconds == pytest.approx(CALLS)
    assert seen.hold_time is not None
    assert 0 < seen.hold_time < 5
    assert {one.labels["pid"] for one in samples(names.SIZE.name, found)} == pids
    assert [one.value for one in samples(names.SIZE.name, found)] == [100, 100]
    assert [one.value for one in samples(names.PEAK_IN_USE.name, found)] == [1, 1]
    before, later = (
        sum(one.value for one in samples(f"{names.STATE_SECONDS.name}_total", of))
        for of in (found, after)
    )
    # The files are written once a second.
    assert later >= before > 2 * (seen.seconds - PERIOD)
    for of in (found, after):
        (asks,) = samples(f"{names.ASKS.name}_total", of)
        assert asks.value == CALLS
        assert set(asks.labels) == set(names.LABELS)
        releases = samples(f"{names.STATE_RELEASES.name}_total", of)
        counts = {one.labels[names.N]: one.value for one in releases if one.value}
        assert counts == {"1": CALLS}
        assert set(releases[0].labels) == {*names.LABELS, names.N}
        (count,) = samples(f"{names.HOLD.name}_count", of)
        buckets = samples(f"{names.HOLD.name}_bucket", of)
        assert (count.value, buckets[-1].value, buckets[-1].labels["le"]) == (CALLS, CALLS, "+Inf")
        assert [one.value for one in buckets] == sorted(one.value for one in buckets)
