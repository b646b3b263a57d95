"""The sweep panel without a browser: recorded and live, as widgets and as plain HTML."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import psutil
import pytest

from poolkit.errors import BadInput, Cancelled, ExitCode, PoolkitError
from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.measure import SIZE_BUDGET, SWEEP_BUDGET
from poolkit.measure.store import TrialLog
from poolkit.panels import FileSource, RecordedSource, Request, SweepPanel, read_source, sweep_page
from poolkit.panels import running as register
from poolkit.panels.panel import VIEW
from poolkit.panels.sources import LabSource, is_page
from poolkit.panels.story import Story
from poolkit.report.source import RECORDED, named, shared
from poolkit.review.export import read_recommended
from tests.recommend import examples

END = 90.0  # s, far more than any of these measurements takes


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Whatever a test began ends with it, and no other test finds it."""
    yield
    for run in list(register.latest.values()):
        run.cancel()
        assert run.wait(END)
    register.latest.clear()


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A targets.toml with an endpoint that answers and one that does not."""
    file = tmp_path_factory.mktemp("panel") / "targets.toml"
    with HttpUpstream(Workers(4, 0.005)) as api:
        file.write_text(
            f'[targets.api]\ndriver = "aiohttp"\nurl = "{api.url}"\ntarget_rate = 200\n'
            'max_size = 8\n[targets.gone]\ndriver = "aiohttp"\nurl = "http://127.0.0.1:1/"\n'
            "target_rate = 10\n",
            encoding="utf-8",
        )
        yield file


@pytest.fixture
def recorded() -> SweepPanel:
    return SweepPanel(RecordedSource(shared(RECORDED)), "lab-http").start()


class Outline(HTMLParser):
    """Alternative texts of charts, captions' tables without scoped headers, and roles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.charts: list[str] = []
        self.unscoped = 0
        self.roles: list[str] = []
        self.scripts = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "img" or (tag == "svg" and "aria-label" in given):
            self.charts.append(given.get("alt") or given.get("aria-label") or "")
        self.unscoped += tag == "th" and "scope" not in given
        self.scripts += tag == "script"
        if "role" in given:
            self.roles.append(given["role"])


def test_a_recording_is_whole_at_once(recorded: SweepPanel) -> None:
    """No load, no thread: result, chart and tables are there, and say that they are recorded."""
    found = recorded.result()
    assert found.sizing.size is not None
    assert found.objective.target_rate == found.recommendation.target_rate
    page = recorded.html()
    outline = Outline(page)
    assert "Replayed from a recorded review" in page
    assert len(outline.charts) == 1
    assert "Little's Law knee" in outline.charts[0]
    assert (outline.unscoped, outline.scripts) == (0, 0)
    assert "alert" not in outline.roles


def test_the_same_recording_gives_the_same_page(recorded: SweepPanel) -> None:
    """Stored outputs can be compared byte by byte."""
    assert recorded.html() == recorded.html()


def test_it_is_a_widget_and_html_at_once(recorded: SweepPanel) -> None:
    """One object: a live view where widgets run, static HTML and text everywhere else."""
    bundle = recorded._repr_mimebundle_()
    assert set(bundle) == {VIEW, "text/html", "text/plain"}
    assert bundle[VIEW]["model_id"] == recorded._repr_mimebundle_()[VIEW]["model_id"]
    assert bundle["text/plain"].startswith("SweepPanel('sweep'): lab-http: 2")


def test_it_works_without_ipywidgets() -> None:
    """Measuring, reading and showing need no widget library."""
    code = (
        "import sys; sys.modules['ipywidgets'] = None\n"
        "from poolkit.panels import *\n"
        "panel = SweepPanel(RecordedSource(sys.argv[1]), 'lab-cpu').start()\n"
        "print(sorted(panel._repr_mimebundle_()), panel.result().sizing.size)\n"
        "print(sorted(WhatIfPanel(panel)._repr_mimebundle_()))"
    )
    run = [sys.executable, "-c", code, str(shared(RECORDED))]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stdout.count("['text/html', 'text/plain']") == 2


def test_a_panel_that_is_made_loads_nothing_that_it_does_not_need() -> None:
    """The time to the first chart of 02 is its imports; scipy's parts were the half of them."""
    code = (
        "import sys\n"
        "from poolkit.panels import Request, SweepPanel, WhatIfPanel\n"
        "from poolkit.show import charts, frames, tables\n"
        "from poolkit.workbook.cells import chart, table, words\n"
        "print(sorted({'scipy.optimize', 'scipy.special', 'scipy.stats'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_export_is_what_a_review_writes(recorded: SweepPanel, tmp_path: Path) -> None:
    """Four files, the same contracts as those of the command line."""
    paths = recorded.export(tmp_path / "out")
    names = [path.name for path in paths]
    assert names == ["recommended.json", "recommended.csv", "recommended.md", "pools.py"]
    [entry] = read_recommended(tmp_path / "out").targets
    assert entry == recorded.result().recommendation


@pytest.mark.parametrize(
    ("environment", "kind"),
    [({}, "LabSource()"), ({"POOLKIT_SOURCE": "lab"}, "LabSource()")],
)
def test_the_source_is_what_the_variable_says(environment: dict[str, str], kind: str) -> None:
    """The lab by default."""
    assert repr(read_source(environment)) == kind


def test_sources_by_path(targets: Path) -> None:
    """A targets.toml is measured, a review folder is replayed, anything else is refused."""
    assert read_source({"POOLKIT_SOURCE": str(targets)}).names == ("api", "gone")
    source = read_source({"POOLKIT_SOURCE": str(shared(RECORDED))})
    assert not source.is_live
    with pytest.raises(BadInput, match="no folder of a review"):
        read_source({"POOLKIT_SOURCE": "nowhere.toml"})
    with pytest.raises(BadInput, match="is a recording and cannot be measured"):
        source.targets_file("lab-http")


def test_a_relative_path_is_found_from_the_notebooks_folder(
    targets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel runs in notebooks/: what the shell named is looked for where the shell was."""
    monkeypatch.chdir(tmp_path)
    said = {"POOLKIT_SOURCE": targets.name, "PWD": str(targets.parent)}
    assert named(said) == targets
    source = read_source(said)
    assert source.targets_file("api") == targets
    assert source.drivers["api"] == "aiohttp"
    # Without a word of the shell: the checkout, where make is run.
    assert named({"POOLKIT_SOURCE": RECORDED}) == shared(RECORDED)
    with pytest.raises(BadInput, match="no folder of a review"):
        named({"POOLKIT_SOURCE": "nowhere.toml"})


def test_a_page_for_others_sends_nothing_when_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under Voila the recording is shown, and Start measures."""
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.8")
    assert is_page()
    panel = SweepPanel(LabSource(), "lab-http").open()
    assert panel.run is None
    assert "Start measures it now" in panel.html()
    assert panel.result().sizing.size is not None


def test_a_page_without_a_recording_is_idle(targets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent for an own endpoint either; Start is there."""
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.8")
    panel = SweepPanel(FileSource(targets)).open()
    assert panel.run is None
    assert panel.story.phase == "idle"
    assert "Nothing measured yet" in panel.html()


def test_an_unknown_target_is_refused() -> None:
    """With the names that there are."""
    with pytest.raises(BadInput, match="no such target: lab-htp") as caught:
        SweepPanel(LabSource(), "lab-htp")
    assert "lab-http" in caught.value.remedy


def test_nothing_measured_yet_is_said(targets: Path) -> None:
    """An idle panel shows what Start would do, and has no result."""
    panel = SweepPanel(FileSource(targets))
    assert "Nothing measured yet" in panel.html()
    with pytest.raises(BadInput, match="no sweep has ended yet"):
        panel.result()


def test_a_chart_that_fails_leaves_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables, exports, followers and the result are there; the chart is tried again."""
    panel = SweepPanel(RecordedSource(shared(RECORDED)), "lab-http", name="chart")
    panel._repr_mimebundle_()
    followed: list[object] = []
    panel.when_done(followed.append)
    view, draw = panel._view, sweep_page.chart
    monkeypatch.setattr(sweep_page, "chart", lambda story: 1 / 0)
    panel.start()
    assert panel.wait_shown()
    assert "ZeroDivisionError" in view.alert.value
    assert "<table" in view.results.value
    assert view.exports.value.count("download=") == 4
    assert view.chart.value == ""
    assert len(followed) == 1
    assert panel.result().sizing.size is not None
    monkeypatch.setattr(sweep_page, "chart", draw)
    panel.guarded(lambda: None)
    assert panel.wait_shown()
    assert "<svg" in view.chart.value
    assert view.alert.value == ""


@pytest.mark.lab
def test_a_live_sweep_over_a_cancel_to_its_result(targets: Path) -> None:
    """Measured in a child and shown while it runs; cancelled from any thread.

    The next Start goes on in the same folder, and the request's rate is what is answered.
    """
    asked = Request("api", sizes=(2, 4), budget=3, target_rate=120, wait_p99=0.02)
    panel = SweepPanel(FileSource(targets), request=asked)
    panel._repr_mimebundle_()
    followed: list[object] = []
    panel.when_done(followed.append)
    panel.start()
    run = panel.run
    assert run is not None
    first = threading.Event()
    run.listen(lambda story: first.set() if story.trials else None)
    assert first.wait(END)
    canceller = threading.Thread(target=panel.cancel)
    canceller.start()
    canceller.join()
    assert run.wait(END)
    assert run.pid is not None
    assert not psutil.pid_exists(run.pid)
    with pytest.raises(Cancelled):
        panel.result()
    kept = panel.story.trials
    assert kept
    panel.start()
    again = panel.run
    assert again is not None
    assert again.out == run.out
    shown: list[float] = []
    again.listen(lambda story: shown.append(story.progress))
    found = panel.wait(END)
    # The same trials, whatever later ones make of them (see `analysis.disturbed`).
    before = found.trials[: len(kept)]
    assert [(t.seed, t.throughput) for t in before] == [(t.seed, t.throughput) for t in kept]
    assert {trial.pool_size for trial in found.trials} == {2, 4}
    assert found.recommendation.target_rate == 120
    assert found.recommendation.wait_p99 == 0.02
    assert found.objective.target_rate == 120
    assert shown == sorted(shown)
    assert shown[-1] == 1.0
    assert panel.wait_shown()
    assert panel._view.status.value.count("api: ") == 1
    assert "aria-label" in panel._view.chart.value
    assert panel._view.exports.value.count("download=") == 4
    assert len(followed) == 1
    assert (run.out / "api.trials.jsonl").read_text().count("\n") == len(found.trials)


@pytest.mark.lab
def test_a_finished_folder_is_measured_again_by_wish_alone(targets: Path, tmp_path: Path) -> None:
    """Start on what is finished measures nothing and says so; the box does, once, and keeps it."""
    asked = Request("api", sizes=(2, 4), budget=3)
    panel = SweepPanel(FileSource(targets), request=asked, out=tmp_path)
    panel._repr_mimebundle_()
    view = panel._view
    first = panel.start().wait(END).trials
    assert "measured now" not in panel.html()
    assert panel.start().wait(END).trials == first
    assert panel.wait_shown()
    assert f"Nothing was measured now: the {len(first)} trials are from 20" in view.status.value
    assert "Measure again" in view.status.value
    assert panel.result().recommendation.resumed is not None
    view.form.again.value = True
    view.start.click()
    assert view.form.again.value is False
    again = panel.wait(END)
    assert again.recommendation.resumed is None
    assert not {trial.started for trial in again.trials} & {t.started for t in first}
    [record] = (tmp_path / "before").iterdir()
    assert TrialLog(record / "api.trials.jsonl").read() == list(first)


@pytest.mark.lab
def test_a_folder_of_other_settings_is_told_in_the_panel(targets: Path, tmp_path: Path) -> None:
    """With which of its trials count, or what to do where none does; nothing is sent then."""
    panel = SweepPanel(FileSource(targets), request=Request("api"), out=tmp_path)
    TrialLog(tmp_path / "api.trials.jsonl").append(examples.trial(fingerprint="another"))
    with pytest.raises(PoolkitError, match="none of its 1 trial counts"):
        panel.start().wait(END)
    assert "before/" in panel.html()
    assert not (tmp_path / "before").exists()


def test_without_pushing_is_a_box_beside_verify(targets: Path) -> None:
    """A sweep with it is refused as on the command line; the file's word needs no box."""
    asked = Request("gone", verify=True, push=False)
    panel = SweepPanel(FileSource(targets), "gone", request=asked)
    panel._repr_mimebundle_()
    view = panel._view
    assert (view.form.gently.value, view.form.verify.value) == (True, True)
    view.form.verify.value = False
    view.start.click()
    assert "a sweep pushes" in panel.html()
    assert panel.run is None
    view.form.verify.value = True
    view.start.click()
    run = panel.run
    assert run is not None
    assert run.wait(END)
    assert run.request.push is False
    assert run.story.objective is not None
    assert run.story.objective.push is False


@pytest.mark.lab
def test_only_one_of_a_name_is_under_way(targets: Path) -> None:
    """A panel that is made again shows the running sweep, and cannot start a second one."""
    asked = Request("api", budget=30)
    first = SweepPanel(FileSource(targets), request=asked).start()
    second = SweepPanel(FileSource(targets), "gone", request=asked)
    assert second.run is first.run
    assert second.target == "api"
    with pytest.raises(BadInput, match="api is being measured already"):
        second.start()
    other = SweepPanel(FileSource(targets), name="another")
    assert other.run is None
    second.cancel()
    assert first.run is not None
    assert first.run.wait(END)
    assert SweepPanel(FileSource(targets)).run is None


@pytest.mark.lab
def test_a_cell_that_is_run_again_shows_the_run_that_it_began(targets: Path) -> None:
    """Notebook 02's own lines once more: in mid-sweep, and right after an interrupt."""
    asked = Request(budget=30)

    def cell(target: str = "api") -> SweepPanel:
        return SweepPanel(FileSource(targets), target, request=asked).open()

    first = cell().run
    assert first is not None
    assert cell().run is first
    with pytest.raises(BadInput, match="api is being measured already"):
        cell("gone")
    first.cancel()
    again = cell()
    assert again.run is not first
    assert again.run is not None
    assert first.is_over
    again.cancel()


@pytest.mark.lab
def test_a_run_of_another_source_is_not_shown(targets: Path, tmp_path: Path) -> None:
    """Two sources in one kernel: the panel offers its own targets, and does not start beside it."""
    first = SweepPanel(FileSource(targets), request=Request(budget=30)).start()
    own = tmp_path / "targets.toml"
    own.write_text(targets.read_text().replace("targets.api", "targets.other"), encoding="utf-8")
    second = SweepPanel(FileSource(own))
    assert second.run is None
    second._repr_mimebundle_()
    assert second._view.form.target.value == "other"
    with pytest.raises(BadInput, match="api is being measured already"):
        second.open()
    first.cancel()


@pytest.mark.lab
def test_a_failure_is_on_the_page_and_in_the_result(targets: Path) -> None:
    """Cause and remedy in an alert; `result` raises the same, with the exit code."""
    panel = SweepPanel(FileSource(targets), "gone", request=Request("gone")).start()
    with pytest.raises(PoolkitError, match="connection refused") as caught:
        panel.wait(END)
    assert caught.value.exit_code == ExitCode.STOPPED
    assert Outline(panel.html()).roles.count("alert") == 1
    assert "connection refused" in panel.html()


def test_a_mistake_in_a_click_is_caught_shown_and_raised_again(targets: Path) -> None:
    """A callback's exception would never reach the page by itself."""
    panel = SweepPanel(FileSource(targets))
    panel._repr_mimebundle_()
    view = panel._view
    view.form.budget.value = "soon"
    view.start.click()
    assert panel.wait_shown()
    assert 'role="alert"' in view.alert.value
    assert "the budget must be a number" in view.alert.value
    with pytest.raises(BadInput, match="the budget must be a number"):
        panel.result()
    panel.guarded(lambda: 1 / 0)
    assert "ZeroDivisionError" in panel.html()
    with pytest.raises(ZeroDivisionError):
        panel.result()


def test_an_empty_budget_says_what_it_means(targets: Path) -> None:
    """More with verification; and sizes beside it are refused, not left out in silence."""
    panel = SweepPanel(FileSource(targets))
    panel._repr_mimebundle_()
    view = panel._view
    assert view.form.budget.placeholder == f"{SWEEP_BUDGET:g}"
    view.form.verify.value = True
    assert view.form.budget.placeholder == f"{SIZE_BUDGET:g}"
    view.form.sizes.value = "1, 2"
    view.start.click()
    assert panel.wait_shown()
    assert "a verification chooses the sizes itself" in view.alert.value
    assert panel.run is None


def test_a_cancel_does_not_wait_for_an_upstream_that_starts(targets: Path) -> None:
    """Starting the lab can take seconds; who clicks on Cancel need not sit through them."""
    go_on = threading.Event()

    class Slow(FileSource):
        def targets_file(self, name: str) -> Path:
            assert go_on.wait(END)
            return super().targets_file(name)

    panel = SweepPanel(Slow(targets)).start()
    panel.cancel()
    assert panel.run is not None
    assert panel.run.wait(END / 3)  # the upstream takes longer
    with pytest.raises(Cancelled):
        panel.result()
    go_on.set()


def test_what_is_read_out_keeps_still_while_load_runs(targets: Path) -> None:
    """Seconds and rates change four times a second, outside of the line that is announced."""
    panel = SweepPanel(FileSource(targets))
    panel._repr_mimebundle_()
    view, told = panel._view, list[str]()
    view.status.observe(lambda change: told.append(change["new"]), names="value")
    story = Story("api", "running", budget=20.0, doing="size 4")
    for seconds in range(1, 6):
        view.show(replace(story, seconds=float(seconds), throughput=100.0 * seconds))
    assert len(told) == 1
    assert "500 calls/s now" in view.progress.value
    assert 'role="status"' not in view.progress.value


@pytest.mark.lab
def test_clicks_are_right_on_any_thread_with_or_without_a_loop(targets: Path) -> None:
    """ipykernel calls them on the main thread, on another one, or inside a running loop."""
    panel = SweepPanel(FileSource(targets), request=Request("api", budget=30))
    panel._repr_mimebundle_()

    async def click_inside_a_loop() -> None:
        panel._view.start.click()
        await asyncio.sleep(0.3)
        assert panel.story.phase in ("starting", "running")
        await asyncio.to_thread(panel._view.cancel.click)
        with pytest.raises(Cancelled):
            await panel.finished()

    thread = threading.Thread(target=lambda: asyncio.run(click_inside_a_loop()))
    thread.start()
    thread.join(END)
    assert panel.story.phase == "cancelled"


@pytest.mark.lab
def test_a_cell_that_is_interrupted_ends_the_load(targets: Path) -> None:
    """Stop in JupyterLab cancels what the cell waits for."""
    panel = SweepPanel(FileSource(targets), request=Request("api", budget=30)).start()

    async def interrupted() -> None:
        waiting = asyncio.create_task(panel.finished())
        await asyncio.sleep(0.5)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(interrupted())
    assert panel.run is not None
    assert panel.run.wait(END)
    assert panel.story.phase == "cancelled"


@pytest.mark.lab
def test_a_kernel_that_is_killed_takes_its_child_along(targets: Path) -> None:
    """SIGKILL leaves no time to tidy up; the child sees that its parent is gone."""
    code = (
        "import sys, time\n"
        "from poolkit.panels import *\n"
        "panel = SweepPanel(FileSource(sys.argv[1]), request=Request('api', budget=60)).start()\n"
        "while panel.story.phase != 'running': time.sleep(0.05)\n"
        "print(panel.run.pid, flush=True); time.sleep(600)"
    )
    kernel = subprocess.Popen(
        [sys.executable, "-c", code, str(targets)], stdout=subprocess.PIPE, text=True
    )
    assert kernel.stdout is not None
    child = psutil.Process(json.loads(kernel.stdout.readline()))
    kernel.kill()
    kernel.wait()
    kernel.stdout.close()
    child.wait(END)


def _view(panel: SweepPanel) -> Any:
    panel._repr_mimebundle_()
    return panel._view


def test_another_target_clears_what_belongs_to_the_one_before() -> None:
    """Status, chart, tables, links and error; the way back shows nothing that is not its own."""
    panel = SweepPanel(RecordedSource(shared(RECORDED)), "lab-http").start()
    view = _view(panel)
    assert panel.wait_shown()
    assert "lab-http" in view.status.value
    view.form.rate.value = "fast"
    view.start.click()
    assert panel.wait_shown()
    assert "fast" in view.alert.value
    view.form.target.value = "lab-cpu"
    assert panel.wait_shown()
    assert "Start shows what was recorded" in view.status.value
    shown = (view.alert, view.chart, view.results, view.exports, view.progress)
    assert [place.value for place in shown] == [""] * 5
    with pytest.raises(BadInput, match="no sweep has ended yet"):
        panel.result()
    view.form.rate.value = ""
    view.start.click()
    assert panel.wait_shown()
    assert panel.result().recommendation.target == "lab-cpu"
    assert "lab-cpu at " in view.results.value


def test_an_error_goes_with_the_first_change_of_the_form(targets: Path) -> None:
    """Of a click and of a measurement: what is on the page is about the form as it stands."""
    panel = SweepPanel(FileSource(targets), "gone")
    view = _view(panel)
    view.form.budget.value = "soon"
    view.start.click()
    assert panel.wait_shown()
    assert "soon" in view.alert.value
    view.form.budget.value = "5"
    assert panel.wait_shown()
    assert view.alert.value == ""
    view.start.click()
    assert panel.run is not None
    assert panel.run.wait(END)
    assert panel.wait_shown()
    assert "connection refused" in view.alert.value
    view.form.budget.value = "6"
    assert panel.wait_shown()
    assert view.alert.value == ""
    assert "Nothing measured yet" in view.status.value


def test_empty_fields_show_what_the_chosen_target_asks(targets: Path) -> None:
    """And those of another one as soon as that is chosen."""
    view = _view(SweepPanel(FileSource(targets)))
    shown = [field.placeholder for field in (view.form.rate, view.form.wait, view.form.sizes)]
    assert shown == ["200", "none", "up to 8"]
    view.form.target.value = "gone"
    assert view.form.rate.placeholder == "10"
    lab = _view(SweepPanel(LabSource(), "lab-http", name="lab"))
    assert (lab.form.rate.placeholder, lab.form.wait.placeholder) == ("600", "10")


def test_the_panel_says_when_the_cells_below_are_about_another_run() -> None:
    """With target, size and day of theirs; nothing where both are the same."""
    panel = SweepPanel(RecordedSource(shared(RECORDED)), "lab-http").start()
    found = panel.wait()
    assert panel.below == ""
    panel.choose("lab-cpu")
    assert found.about in panel.below
    assert found.about.startswith("lab-http at 600 calls/s: ")
    assert ", recorded 20" in found.about
    panel.start()
    assert panel.below in panel.html()
    panel.wait()
    assert panel.below == ""


def test_the_chart_has_a_trial_before_the_line_tells_of_it(targets: Path) -> None:
    """Both on the page at once: a line that is ahead would speak of a point that is not there."""
    panel = SweepPanel(FileSource(targets))
    view, changed = _view(panel), list[str]()
    for name in ("chart", "status"):
        getattr(view, name).observe(lambda _, name=name: changed.append(name), names="value")
    running = Story("api", "running", budget=20.0, doing="trial 1, 4 connections")
    view.show(replace(running, objective=panel.source.asked("api")))
    done = replace(running, trials=(examples.trial(),), doing="trial 1, 4 connections: 500 calls/s")
    view.show(done)
    assert changed == ["chart", "status"] * 2


@pytest.mark.lab
def test_two_quick_clicks_start_one_run(targets: Path) -> None:
    """The second one is no mistake: it finds the measurement of the first."""
    panel = SweepPanel(FileSource(targets), request=Request("api", budget=30))
    view = _view(panel)
    view.start.click()
    run = panel.run
    view.start.click()
    assert panel.run is run
    assert panel.wait_shown()
    assert view.alert.value == ""
    view.cancel.click()
    view.cancel.click()
    assert run is not None
    assert run.wait(END)
    assert panel.story.phase == "cancelled"


@pytest.mark.lab
@pytest.mark.parametrize("moment", ["at once", "started", "trial"])
def test_cancel_works_at_each_moment_and_so_does_the_next_start(targets: Path, moment: str) -> None:
    """Before there is a child, before its first trial, in mid-trial.

    No process is left, nothing is shown as an error, and the next run goes on in the same folder
    with a count of trials that does not begin anew.
    """
    panel = SweepPanel(FileSource(targets), request=Request("api", sizes=(1, 2, 3, 4), budget=6))
    view = _view(panel)
    view.start.click()
    run = panel.run
    assert run is not None
    reached = {
        "at once": lambda story: True,
        "started": lambda story: story.budget is not None,
        "trial": lambda story: story.size is not None,
    }[moment]
    until = time.monotonic() + END
    while not (reached(run.story) or run.is_over):
        assert time.monotonic() < until
        time.sleep(0.005)
    view.cancel.click()
    assert run.wait(END)
    assert panel.story.phase == "cancelled"
    assert run.pid is None or not psutil.pid_exists(run.pid)
    assert panel.wait_shown()
    assert view.alert.value == ""
    assert (view.start.disabled, view.cancel.disabled) == (False, True)
    kept = len(panel.story.trials)
    view.start.click()
    again = panel.run
    assert again is not None
    assert again is not run
    counts: list[int] = []
    again.listen(lambda story: counts.append(len(story.trials)))
    assert panel.wait(END).trials
    assert again.out == run.out
    assert counts == sorted(counts)
    assert counts[0] == kept
