"""What a cell is told of production: read from the recording, and where nothing can be read."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from poolkit.errors import BadInput
from poolkit.observe.run import from_windows
from poolkit.report.source import RECORDED, shared
from poolkit.workbook import production
from poolkit.workbook.production import KeptWindows
from tests.analysis.day import SIX, day
from tests.show.test_windows import TARGET


def observed(source: Path, target: str = "") -> production.Seen:
    found = production.observed(target, environment={"POOLKIT_SOURCE": str(source)})
    return asyncio.run(found)


def test_what_is_kept_tells_the_same() -> None:
    """Written and read again, windows lead to the same answer."""
    read = day(SIX[3], 24)
    text = KeptWindows.of(read, "simulated").model_dump_json()
    again = KeptWindows.model_validate_json(text).windows()
    first, second = (from_windows(TARGET, windows, "s") for windows in (read, again))
    assert first.recommendation.recommended_size == second.recommendation.recommended_size == 12
    said = [found.recommendation.production for found in (first, second)]
    assert said[0] is not None
    assert said[1] is not None
    assert said[0].today.because == said[1].today.because


def test_no_target_that_names_its_metrics(tmp_path: Path) -> None:
    """Two ways on are named: the key to add, and the lab's demo service."""
    file = tmp_path / "targets.toml"
    file.write_text(
        '[targets.orders-api]\ndriver = "aiohttp"\nurl = "http://127.0.0.1:1/"\ntarget_rate = 1'
    )
    with pytest.raises(BadInput, match=r"no target of targets\.toml says where") as e:
        observed(file)
    assert "add to one: production = {" in e.value.remedy
    assert "POOLKIT_SOURCE=lab" in e.value.remedy
    with pytest.raises(BadInput, match="orders-api does not say where its metrics are"):
        observed(file, "orders-api")


def test_a_review_holds_no_metrics() -> None:
    """A finished review is no service that could be looked at."""
    with pytest.raises(BadInput, match="lab-review is a finished review") as e:
        observed(shared(RECORDED))
    assert "targets.toml" in e.value.remedy
