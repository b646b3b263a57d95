"""What the lessons measure beside a sweep, and what is recorded of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from poolkit.errors import BadInput, PoolkitError
from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.panels import FileSource, Findings, RecordedSource
from poolkit.report.source import shared
from poolkit.review.manifest import changed_files, read_manifest
from poolkit.targets import Target
from poolkit.workbook import lessons
from poolkit.workbook.serving import Serving, with_overflow
from tests.recordings import lessons as recording


def run(source: RecordedSource | FileSource, orders: tuple[Serving, ...]) -> tuple[object, ...]:
    return asyncio.run(lessons.served(orders, source))


def test_every_lesson_is_recorded_for_the_recorded_sizes(
    source: RecordedSource, web: Findings, database: Findings
) -> None:
    """`make recordings` made them after the review that they are about, and nobody edited them."""
    folder = shared(lessons.RECORDED)
    manifest = read_manifest(folder)
    assert changed_files(folder, manifest) == ()
    orders = asyncio.run(recording.all_orders())
    assert orders == lessons.recorded_orders()
    assert {order.label for order in orders} >= {
        order.label
        for lesson in (lessons.too_small(web), lessons.overflows(database), lessons.hosts())
        for order in lesson
    }
    for order in orders:
        trials = asyncio.run(lessons.served((order,), source))
        assert trials[-1].stopped is None
        if not order.sizes:
            assert {(t.pool_size, t.pools) for t in trials} == {(order.pool_size, order.pools)}


def test_what_was_not_recorded_says_how_to_get_it(source: RecordedSource) -> None:
    """A recording of another size is never passed off as the one that was asked for."""
    order = Serving(label="too-small", target="lab-http", pool_size=63, rate=1.0)
    with pytest.raises(BadInput, match="too-small is not recorded with 63 connections") as caught:
        run(source, (order,))
    assert "make recordings" in caught.value.remedy


def test_a_pool_that_is_too_small_is_smaller_than_the_load(web: Findings) -> None:
    """It keeps fewer connections than the traffic would keep busy, so its queue must grow."""
    (order,) = lessons.too_small(web)
    assert 1 <= order.pool_size < lessons.offered_load(web)


def test_splits_have_one_total(database: Findings) -> None:
    """The same total and rate; from no overflow to all but one connection."""
    orders = lessons.overflows(database)
    assert len({(order.pool_size, order.rate) for order in orders}) == 1
    size = orders[0].pool_size
    assert [order.max_overflow for order in orders] == [0, size // 2, size - 1]


def test_splits_without_a_size_overload_nobody(database: Findings) -> None:
    """A sweep that was too short to size still gives a total with room for the traffic."""
    unknown = replace(
        database,
        recommendation=database.recommendation.model_copy(update={"recommended_size": None}),
        sizing=database.sizing.model_copy(update={"size": None}),
    )
    for order in lessons.overflows(unknown):
        assert lessons.offered_load(unknown) < order.pool_size <= unknown.objective.cap


@pytest.mark.parametrize(
    ("settings", "fits"),
    [
        ({"driver": "asyncpg", "reset": False}, True),  # a setting of asyncpg's is left behind
        ({"driver": "sqlalchemy", "max_overflow": 3}, True),
        ({"driver": "asyncpg", "work": "orders:place", "statements": ()}, False),
        ({"driver": "sqlalchemy", "work": "orders:place", "statements": ()}, True),
    ],
)
def test_a_database_is_driven_through_sqlalchemy(settings: dict[str, object], fits: bool) -> None:
    """Statements run on any driver; a function that knows its own library's connection does not."""
    given = {"dsn": "postgresql://u@127.0.0.1/d", "statements": ("select 1",), **settings}
    if not given["statements"]:
        del given["statements"]
    target = Target.model_validate({"name": "t", "target_rate": 1.0, **given})
    if not fits:
        with pytest.raises(BadInput, match="cannot be driven by SQLAlchemy"):
            with_overflow(target, 2)
        return
    changed = with_overflow(target, 2)
    assert (changed.driver, changed.max_overflow, changed.reset) == ("sqlalchemy", 2, None)
    assert changed.library_settings() == {"max_overflow": 2}


def test_an_http_target_has_no_overflow() -> None:
    """It is refused with what to name instead."""
    target = Target(name="t", driver="aiohttp", url="http://127.0.0.1/", target_rate=1.0)
    with pytest.raises(BadInput, match="cannot be driven by SQLAlchemy"):
        with_overflow(target, 1)


@pytest.mark.lab
def test_an_order_is_measured_in_a_child(tmp_path: Path) -> None:
    """One open-loop trial at the size and rate that were ordered; each call counts from its due."""
    with HttpUpstream(Workers(4, 0.01, cv=0.3)) as upstream:
        file = tmp_path / "targets.toml"
        file.write_text(
            f'[targets.api]\ndriver = "aiohttp"\nurl = "{upstream.url}"\n'
            "target_rate = 100\nmax_size = 8\n",
            encoding="utf-8",
        )
        order = Serving(label="one", target="api", pool_size=2, rate=100.0, seconds=1.0)
        (trial,) = asyncio.run(lessons.served((order,), FileSource(file)))
        assert (trial.loop, trial.pool_size, trial.arrival_rate) == ("open", 2, 100.0)
        assert trial.outcomes["ok"] == pytest.approx(100, abs=15)
        assert (trial.response_time.mean or 0.0) >= (trial.hold_time.mean or 1.0)
        large = order.model_copy(update={"pool_size": 9})
        with pytest.raises(PoolkitError, match="must be 1 to max_size = 8, got 9"):
            asyncio.run(lessons.served((large,), FileSource(file)))


@pytest.mark.lab
def test_an_endpoint_that_is_gone_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    """No trial, no traceback of the child's: what happened and what to do."""
    file = tmp_path / "targets.toml"
    file.write_text(
        '[targets.gone]\ndriver = "aiohttp"\nurl = "http://127.0.0.1:1/"\ntarget_rate = 10\n',
        encoding="utf-8",
    )
    order = Serving(label="one", target="gone", pool_size=1, rate=10.0, seconds=1.0)
    with pytest.raises(PoolkitError, match="refused") as caught:
        asyncio.run(lessons.served((order,), FileSource(file)))
    assert caught.value.remedy
