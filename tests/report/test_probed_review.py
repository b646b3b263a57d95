"""A review's folder with a probe's result and a service's comparison in it: both are shown."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from poolkit.errors import BadInput
from poolkit.probes.records import Doubt
from poolkit.report import page
from poolkit.report.folder import read_review
from poolkit.report.source import RECORDED, shared
from poolkit.show.before_after import SERVICE
from tests.show import lifecycle

TARGET = "lab-db"
HEADING = ">Idle connections<"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The recorded review, as a folder of one's own."""
    return Path(shutil.copytree(shared(RECORDED), tmp_path / "review"))


@pytest.fixture(scope="module")
def unprobed() -> dict[str, str]:
    """The sections of the recorded review as it is."""
    return sections(shared(RECORDED))


def put_probe(folder: Path, **changes: object) -> None:
    (target,) = (target for target in read_review(folder).targets if target.name == TARGET)
    same = {
        "target": TARGET,
        "driver": target.recommendation.driver,
        "endpoint": target.settings.endpoint,
    }
    probe = lifecycle.probes()[0].model_copy(update=same | changes)
    (folder / f"{TARGET}.probe.json").write_text(probe.model_dump_json(), encoding="utf-8")


def sections(folder: Path) -> dict[str, str]:
    review = read_review(folder)
    return {target.name: page.section(target, review).html for target in review.targets}


def test_without_a_probe_nothing_is_shown(folder: Path, unprobed: dict[str, str]) -> None:
    """A review of which nothing was probed reads as it always did."""
    assert not any(HEADING in html for html in unprobed.values())
    assert 'id="service"' not in page.decision(read_review(folder)).html


def test_a_probe_is_shown_in_its_target_s_section(folder: Path, unprobed: dict[str, str]) -> None:
    """Limits, parameters, proof, dead connections and costs, for that target and no other."""
    before = unprobed
    put_probe(folder)
    after = sections(folder)
    assert {name for name in after if after[name] != before[name]} == {TARGET}
    html = after[TARGET]
    start = html.index(HEADING)
    for words in ("what ends a connection", "pool_recycle", "Low traffic with pauses", "pre-ping"):
        assert words in html[start:], words
    assert html.count("<svg") == before[TARGET].count("<svg") + 3
    assert "To be acted on" not in html[start:]


def test_doubts_and_an_early_end_are_told(folder: Path) -> None:
    """What cut a probe short and what must be done stand beside its figures."""
    doubt = Doubt(seen="it closes <at> random", next="find out who closes")
    put_probe(folder, status="cancelled", doubts=(doubt,), proof=None, costs=None, stale=())
    review = read_review(folder)
    (target,) = (target for target in review.targets if target.name == TARGET)
    html = page.section(target, review).html
    assert "and cancelled before its end" in html
    assert "it closes &lt;at&gt; random. What to do: find out who closes." in html


def test_the_service_before_and_after_is_part_of_the_decision(folder: Path) -> None:
    """A chart and the table of wait, p99 and errors."""
    shutil.copyfile(shared(lifecycle.FOLDER) / SERVICE, folder / SERVICE)
    shown = page.decision(read_review(folder))
    assert 'id="service"' in shown.html
    assert "p99 wait" in shown.html
    assert "| errors |" in shown.words


@pytest.mark.parametrize("name", [f"{TARGET}.probe.json", SERVICE])
def test_a_file_of_another_kind_is_named(folder: Path, name: str) -> None:
    """Which file it is, and how to get rid of it."""
    (folder / name).write_text("{}", encoding="utf-8")
    with pytest.raises(BadInput, match=name.replace(".", r"\.")):
        read_review(folder)


def test_a_probe_of_another_endpoint_is_not_shown(folder: Path, unprobed: dict[str, str]) -> None:
    """The same name may stand for another server by now."""
    put_probe(folder, endpoint="postgresql://elsewhere:5432/orders")
    assert sections(folder) == unprobed
