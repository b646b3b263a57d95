"""A review measured from a cell: what its lines say, and where its numbers come from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from poolkit.errors import BadInput
from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.panels.story import Story
from poolkit.report.folder import read_review
from poolkit.report.source import RECORDED, shared
from poolkit.workbook.reviewing import Progress, lines, measured, review_folder
from tests.cli import recorded


def test_the_source_of_numbers(tmp_path: Path) -> None:
    """`review_dir` wins; else POOLKIT_SOURCE may be a finished review; nonsense is refused."""
    folder = shared(RECORDED)
    assert review_folder("here", {"POOLKIT_SOURCE": "recorded"}) == Path("here")
    assert review_folder("", {"POOLKIT_SOURCE": "recorded"}) == folder
    assert review_folder("", {"POOLKIT_SOURCE": str(folder)}) == folder
    with pytest.raises(BadInput, match=r"is no targets\.toml and no folder of a review"):
        review_folder("", {"POOLKIT_SOURCE": str(tmp_path / "none.toml")})


def _text(html: str) -> list[str]:
    return re.findall(r"<p[^>]*>(.*?)</p>", html)


def test_every_target_has_one_line_from_the_start_to_its_decision() -> None:
    """Its turn, the trial that runs, what was decided; the bar is apart, and none is left."""
    shown: list[str] = []
    bars: list[str] = []
    progress = Progress(shown.append, bars.append)
    progress.expect(["orders-api", "<db>"])
    assert _text(shown[-1]) == [
        "1 of 2, orders-api: waits for its turn",
        "2 of 2, &lt;db&gt;: waits for its turn",
    ]
    with progress.measuring("orders-api"):
        assert "one call to see whether it answers" in _text(shown[-1])[0]
        for event in recorded.whole():
            progress.see(event)
        assert any("trial 1, " in html for html in shown)
        assert any("to go" in html for html in bars)
    assert bars[-1] == ""
    first, second = _text(shown[-1])
    assert first.startswith("1 of 2, orders-api: 1")
    assert "waits for its turn" in second
    assert all(len(_text(html)) == 2 for html in shown)
    counted = [int(n) for html in shown for n in re.findall(r"trial (\d+)", html)]
    assert counted == sorted(counted)


def test_a_target_that_fails_says_why_on_its_line() -> None:
    """Cause and remedy, and the next one goes on."""
    failed = Story("gone").failed("connection refused", "start the server", 3)  # type: ignore[arg-type]
    [line] = _text(lines([failed]))
    assert line == "1 of 1, gone: connection refused; start the server"


@pytest.mark.lab
def test_a_live_review_ends_as_a_folder_and_one_line_a_target(tmp_path: Path) -> None:
    """Two targets, one of which does not answer: the other one is measured all the same."""
    shown: list[str] = []
    bars: list[str] = []
    with HttpUpstream(Workers(8, 0.005)) as api:
        file = tmp_path / "targets.toml"
        file.write_text(
            '[targets.gone]\ndriver = "aiohttp"\nurl = "http://127.0.0.1:1/"\ntarget_rate = 10\n'
            f'[targets.api]\ndriver = "aiohttp"\nurl = "{api.url}"\ntarget_rate = 200\n'
            "wait_p99 = 0.02\nmax_size = 16\npush = false\n",
            encoding="utf-8",
        )
        folder = measured(file, Progress(shown.append, bars.append))
    assert [target.name for target in read_review(folder).targets] == ["gone", "api"]
    gone, found = _text(shown[-1])
    assert "connection refused" in gone
    assert found.startswith("2 of 2, api: ")
    assert "role" not in shown[-1]
    assert any("trial 1, " in html for html in shown)
    seconds = [float(s) for html in bars for s in re.findall(r">(\d+) s of load sent", html)]
    assert seconds
    assert seconds == sorted(seconds)
