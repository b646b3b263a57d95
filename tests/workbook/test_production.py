"""What a cell is told of production: read from the recording, and where nothing can be read."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest

from poolkit.errors import BadInput
from poolkit.report.source import RECORDED, shared
from poolkit.workbook import production
from poolkit.workbook.production import KeptWindows
from tests.analysis.day import SIX, day
from tests.observe.fake import Fake, serving
from tests.observe.test_observe import now
from tests.observe.test_scraping import exposition

TABLE = '[targets.{name}]\ndriver = "aiohttp"\nurl = "http://127.0.0.1:1/"\ntarget_rate = 1\n'


def observed(source: Path, target: str = "") -> production.Seen:
    found = production.observed(target, environment={"POOLKIT_SOURCE": str(source)})
    return asyncio.run(found)


def test_what_is_kept_is_what_was_read() -> None:
    """Written and read again, windows are the same to 0.1 ms; those with gaps are dropped."""
    read = day(SIX[3], 24, seconds=100.0)
    read.held[3] = np.nan
    text = KeptWindows.of(read, "simulated").model_dump_json()
    again, read = KeptWindows.model_validate_json(text).windows(), read.whole()
    assert (again.levels, again.ends.tolist()) == (read.levels, read.ends.tolist())
    assert (again.most_size, again.least_size, again.peak) == (24, 24, read.peak)
    for name in ("held", "releases", "asks", "pools"):
        assert getattr(again, name) == pytest.approx(getattr(read, name), abs=1e-4), name
    for times, were in ((again.waits, read.waits), (again.holds, read.holds)):
        assert times.bounds == were.bounds
        assert times.counts.tolist() == were.counts.tolist()
        assert times.total == pytest.approx(were.total, abs=1e-4)


def test_no_target_that_names_its_metrics(tmp_path: Path) -> None:
    """Two ways on are named: the key to add, and the lab's demo service."""
    file = tmp_path / "targets.toml"
    file.write_text(TABLE.format(name="orders-api"))
    with pytest.raises(BadInput, match=r"no target of targets\.toml says where") as e:
        observed(file)
    assert "add to one: production = {" in e.value.remedy
    assert "POOLKIT_SOURCE=lab" in e.value.remedy
    with pytest.raises(BadInput, match="orders-api does not say where its metrics are"):
        observed(file, "orders-api")


def test_the_first_target_that_names_its_metrics(tmp_path: Path) -> None:
    """Is looked at, whatever stands before it; a service that is down is named."""
    file = tmp_path / "targets.toml"
    where = 'production = { metrics = "http://127.0.0.1:1/metrics", pool = "orders" }\n'
    file.write_text(TABLE.format(name="first") + TABLE.format(name="second") + where)
    with pytest.raises(BadInput, match=r"http://127\.0\.0\.1:1/metrics"):
        observed(file)


def test_a_review_holds_no_metrics() -> None:
    """A finished review is no service that could be looked at."""
    with pytest.raises(BadInput, match="lab-review is a finished review") as e:
        observed(shared(RECORDED))
    assert "targets.toml" in e.value.remedy


@pytest.mark.parametrize("where", ["prometheus", "metrics"])
def test_an_interrupt_of_the_cell_ends_it(tmp_path: Path, where: str) -> None:
    """After the query that is under way nothing more is asked, and no thread is left."""
    over, asked = threading.Event(), 0

    def metrics(kind: str, _query: dict[str, str]) -> tuple[int, bytes] | None:
        return (200, exposition(1).encode()) if kind == "metrics" else None

    async def interrupted(file: Path, fake: Fake) -> None:
        loop = asyncio.get_running_loop()

        def put(_html: str) -> None:
            nonlocal asked
            asked = len(fake.asked)
            loop.call_soon_threadsafe(seeing.cancel)
            over.wait(10.0)

        seeing = asyncio.ensure_future(production.observed_at(file, since=100.0, put=put))
        with pytest.raises(asyncio.CancelledError):
            await seeing
        over.set()

    with serving(Fake(now(day(SIX[3], 24, seconds=100.0)), fault=metrics)) as fake:
        url = fake.url if where == "prometheus" else f"{fake.url}/metrics"
        file = tmp_path / "targets.toml"
        asks = f'production = {{ {where} = "{url}", pool = "orders-db" }}\n'
        file.write_text(TABLE.format(name="orders-db") + asks)
        asyncio.run(interrupted(file, fake))  # waits for its threads
        assert len(fake.asked) <= asked + 1
