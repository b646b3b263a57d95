"""report.html: one file that opens offline, with the decision first, for every reader."""

from __future__ import annotations

import builtins
import itertools
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest

from poolkit.analysis.cold import advise
from poolkit.analysis.generators import replicas_alike
from poolkit.errors import BadInput, MissingExtra, PoolkitError
from poolkit.measure.store import TrialLog
from poolkit.records import Resumed
from poolkit.report import page as page_parts
from poolkit.report.execute import execute
from poolkit.report.export import export
from poolkit.report.folder import Review, TargetReview, read_review
from poolkit.report.source import shared
from poolkit.review.compare import compare
from poolkit.review.export import read_recommended
from poolkit.units import number
from tests.analysis.test_cold import start
from tests.analysis.test_generators import replica
from tests.measure.test_replicas import seen
from tests.notebooks.normal_form import METADATA, problems
from tests.recommend.examples import verifying_trial
from tests.report import synthetic_review

LINKS = {"src", "href", "xlink:href", "data", "poster", "srcset", "action"}


class Page(HTMLParser):
    """The tags of a page in order, and the words of its headings."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.headings: list[tuple[int, str]] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag in {"h1", "h2", "h3", "h4"}:
            self.headings.append((int(tag[1]), ""))
            self._open = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._open:
            self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            level, words = self.headings[-1]
            self.headings[-1] = (level, words + data)

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def text(report: Path) -> str:
    return report.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_it_needs_no_request_and_no_script(text: str, page: Page) -> None:
    """Nothing is loaded: links stay on the page, images are inside, and there is no script."""
    for tag, attributes in page.tags:
        assert tag not in {"script", "iframe", "object", "embed", "link"}
        for name in LINKS & set(attributes):
            assert attributes[name].startswith(("#", "data:")), (tag, attributes[name])
        assert not [name for name in attributes if name.startswith("on")]
    assert "@import" not in text
    assert "url(http" not in text
    assert "default-src 'none'" in text


def test_every_link_leads_somewhere(page: Page) -> None:
    """Each entry of the contents and each link of the decision has its place; no id is twice."""
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    targets = {a["href"][1:] for a in page.of("a")}
    assert targets <= set(ids)
    assert {"target-lab-http-title", "method", "provenance"} <= targets


def test_every_image_speaks(page: Page) -> None:
    """Charts and images carry their words, with the figures in them: four for each target."""
    drawings = [svg for svg in page.of("svg") if svg.get("class") == "pk-chart"]
    assert len(drawings) == 4 * 4
    for svg in drawings:
        assert svg["role"] == "img"
        assert re.search(r"\d+ (calls/s|ms)", svg["aria-label"])
    assert sum("calls/s" in svg["aria-label"] for svg in drawings) == 4
    assert all(image.get("alt") for image in page.of("img"))


def test_headings_are_in_order(page: Page) -> None:
    """One h1, and no level is skipped on the way down."""
    levels = [level for level, _ in page.headings]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_the_decision_comes_first(text: str, page: Page) -> None:
    """After the title stands the decision, before contents, terms and charts."""
    words = [heading.strip() for _, heading in page.headings]
    assert words[:2] == ["How large should each connection pool be?", "The decision"]
    table = text.index("Connections that each pool should hold")
    assert table < text.index('<nav aria-label="Contents" class="contents"') < text.index("<svg")


def test_charts_come_before_what_they_rest_on(page: Page) -> None:
    """Who forwards the report need not scroll past terms and checks to the curves."""
    words = [heading.strip() for level, heading in page.headings if level == 2]
    parts = ("The decision", "What was measured", "Terms", "What was asked")
    later = ("Can the measurement be trusted?", "Method", "Provenance")
    assert [word for word in words if word in parts + later] == [*parts, *later]


def test_table_headers_are_scoped_and_tables_have_captions(page: Page) -> None:
    """Every header says whether it stands for a row or a column."""
    assert all(header.get("scope") in {"row", "col"} for header in page.of("th"))
    made = [table for table in page.of("table") if table.get("class") == "pk-table"]
    assert len(made) == len(page.of("caption")) > 20
    others = [table.get("aria-label") for table in page.of("table") if table not in made]
    assert others == ["Terms"]


def test_code_is_folded(text: str) -> None:
    """A reader sees no code unless they ask for it, and never the folder it was made in."""
    assert text.count("<pre><code>") == text.count('<details class="code">') > 5
    assert "review_dir = " not in text


def test_it_is_small(report: Path) -> None:
    """Four targets with their charts stay under 1 MB."""
    assert report.stat().st_size < 1_000_000


def test_it_prints_and_follows_the_theme(text: str) -> None:
    """There is a style for print and one for the dark."""
    assert "@media print" in text
    assert "prefers-color-scheme: dark" in text


def test_a_failed_target_has_a_section_that_says_why(text: str) -> None:
    """A target that could not be reached is not left out: its section tells cause and remedy."""
    start = text.index('id="target-gone-api"')
    section = text[start : text.index("</section>", start)]
    assert "could not be reached" in section
    assert "connection refused" in section
    assert "start the service, or correct url in targets.toml" in section
    assert "<svg" not in section


def test_the_executed_notebook_names_no_path(executed: Path, review_dir: Path) -> None:
    """review.ipynb can be handed on: no folder of this machine, no time of papermill's."""
    text = executed.read_text(encoding="utf-8")
    assert str(review_dir) not in text
    assert '"papermill"' not in text


def test_executing_prints_nothing(
    review_dir: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The command that calls it owns the terminal."""
    small = tmp_path / "small.ipynb"
    cells: Any = [_tagged('review_dir = ""', "parameters"), _tagged("review_dir")]
    untyped: Any = nbformat
    content = untyped.v4.new_notebook(cells=cells, metadata=METADATA)
    untyped.write(content, small)
    (tmp_path / "out").mkdir()
    done = execute(tmp_path / "out", small)
    assert untyped.read(done, 4).cells[-1].outputs[0].data["text/plain"] == "'.'"
    assert capfd.readouterr() == ("", "")


def _tagged(source: str, *tags: str) -> Any:
    untyped: Any = nbformat
    return untyped.v4.new_code_cell(source, metadata={"tags": list(tags)})


def test_a_failing_cell_is_named(tmp_path: Path) -> None:
    """Where a cell fails the message says which and how, and the notebook is kept."""
    broken = tmp_path / "broken.ipynb"
    untyped: Any = nbformat
    cells = [_tagged('review_dir = ""', "parameters"), _tagged("1 / 0")]
    untyped.write(untyped.v4.new_notebook(cells=cells, metadata=METADATA), broken)
    (tmp_path / "out").mkdir()
    with pytest.raises(PoolkitError, match="ZeroDivisionError: division by zero"):
        execute(tmp_path / "out", broken)
    assert (tmp_path / "out" / "review.ipynb").is_file()


@pytest.mark.parametrize(
    ("library", "action"),
    [
        ("papermill", lambda folder: execute(folder)),
        ("nbconvert", lambda folder: export(folder / "x.ipynb", folder / "x.html")),
    ],
)
def test_a_missing_library_names_its_extra(
    library: str, action: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without the workbook extra the message says what to install."""
    real = builtins.__import__

    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] == library:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(
        MissingExtra, match=rf"{library} is not installed[\s\S]*poolkit\[workbook\]"
    ):
        action(tmp_path)


def test_a_review_folder_is_read_whole(review_dir: Path) -> None:
    """Each target comes with its trials, sizing and settings, in the order of the review."""
    review = read_review(review_dir)
    names = ["lab-http", "lab-cpu", "lab-contended", "lab-db", "gone-api"]
    assert [target.name for target in review.targets] == names
    assert [len(target.trials) for target in review.targets] == [22, 24, 26, 16, 0]
    assert review.targets[-1].sizing is None
    assert review.targets[0].settings.max_size == 64
    assert review.versions["aiohttp"] == "3.14.5"


def test_a_review_that_was_cut_off_is_read_without_manifest(
    review_dir: Path, tmp_path: Path
) -> None:
    """recommended.json alone is enough to say something."""
    (tmp_path / "recommended.json").write_bytes((review_dir / "recommended.json").read_bytes())
    review = read_review(tmp_path)
    assert review.manifest is None
    assert review.targets[0].settings.target_rate == 600


def test_the_report_says_how_old_its_trials_are(review_dir: Path) -> None:
    """A review that was only written anew is as old as its trials, and tells of each target."""
    review = read_review(review_dir)
    assert f"measured | {review.created[:10]}" in page_parts.provenance(review).markdown()
    first = review.targets[0]
    trials = first.recommendation.trials
    for resumed, day, words in (
        (trials, "2025-12-01", f"nothing was measured for this: the {trials} trials are from"),
        (trials - 1, review.created[:10], f"{trials - 1} of {trials} trials are from"),
    ):
        old = Resumed(
            trials=resumed, oldest="2025-11-30T08:00:00+00:00", newest="2025-12-01T08:00:00+00:00"
        )
        found = first.recommendation.model_copy(update={"resumed": old})
        target = first.model_copy(update={"recommendation": found})
        alone = review.model_copy(update={"targets": (target,)})
        table = page_parts.provenance(alone).markdown()
        assert f"measured | {day}" in table
        assert f"trials of {first.name} | {words} 2025-11-30 08:00 to 2025-12-01 08:00" in table
        assert f"Measured on {day}" in repr(page_parts.decision(alone))


def test_a_section_says_what_was_left_out_by_choice(review_dir: Path) -> None:
    """Where no load went beyond the target rate."""
    review = read_review(review_dir)
    first = review.targets[0]
    assert "Left out by choice" not in page_parts.section(first, review).html
    gentle = first.recommendation.model_copy(
        update={"push": False, "plateau": None, "knees": (), "verification": None}
    )
    shown = page_parts.section(first.model_copy(update={"recommendation": gentle}), review).html
    left = "the plateau, the knees and the 1.2 times trial"
    assert f"Left out by choice (push = false): {left}." in shown


def test_trials_at_another_rate_are_not_shown(review_dir: Path, tmp_path: Path) -> None:
    """Asked 600 calls/s now, a verification at 500 would be a wrong point beside the others."""
    for name in ("recommended.json", "manifest.json", "lab-http.trials.jsonl"):
        (tmp_path / name).write_bytes((review_dir / name).read_bytes())
    whole = read_review(tmp_path).targets[0].trials
    verified = next(trial for trial in whole if trial.purpose == "verify")
    log = TrialLog(tmp_path / "lab-http.trials.jsonl")
    log.append(verified.model_copy(update={"arrival_rate": 500.0}))
    assert read_review(tmp_path).targets[0].trials == whole
    (tmp_path / "manifest.json").unlink()
    assert len(read_review(tmp_path).targets[0].trials) == len(whole) + 1


def test_what_changed_since_an_earlier_review_stands_in_the_decision(
    review_dir: Path, tmp_path: Path
) -> None:
    """Size, plateau and hold time then and now, and whether noise alone could have done it."""
    now = read_recommended(review_dir)
    first = now.targets[0].model_copy(update={"recommended_size": 31, "target_rate": 500.0})
    then = now.model_copy(update={"targets": (first, *now.targets[1:])})
    (tmp_path / "recommended.json").write_text(now.model_dump_json())
    changed = compare(then, now, "the earlier review ran on another kind of machine")
    (tmp_path / "since.json").write_text(changed.model_dump_json())
    shown = page_parts.decision(read_review(tmp_path))
    assert "the server | rate asked 500 calls/s →" in repr(shown)
    assert "| lab-http | size | 31 | 20 | yes |" in repr(shown)
    assert "figures changed by more than noise since 2026-01-02: lab-http" in shown.html
    assert "| lab-http | rate asked | 500 calls/s | 600 calls/s | yes |" in repr(shown)
    assert "| lab-cpu | size | 15 | 15 | no change |" in repr(shown)
    assert "another kind of machine" in shown.html
    assert "What changed since the review of 2026-01-02" in shown.html
    assert shown.html.index("changed by more than noise") < shown.html.index("<caption>")


def test_a_folder_without_a_review_is_refused(tmp_path: Path) -> None:
    """The message names the file that is missing and what to do."""
    with pytest.raises(BadInput, match=r"recommended\.json cannot be read"):
        read_review(tmp_path)


def test_a_shared_file_that_is_nowhere_is_refused() -> None:
    """An installation without the notebooks says so."""
    with pytest.raises(BadInput, match="is not installed with poolkit"):
        shared("notebooks/none.ipynb")


def test_the_notebook_asserts_what_its_prose_quotes(executed: Path) -> None:
    """The executed notebook ran to its end, its assert cell included."""
    untyped: Any = nbformat
    content = untyped.read(executed, 4)
    ran = [c for c in content.cells if c.cell_type == "code"]
    assert all(cell.execution_count for cell in ran)
    assert any(cell.source.startswith("assert ") for cell in ran)
    faults = [p for p in problems(content) if "lines of code" in p or "shows" in p or "stderr" in p]
    assert faults == []


def test_a_section_says_what_changed_for_its_target(review_dir: Path) -> None:
    """With an earlier review each target has its figures then and now, with their intervals."""
    review = read_review(review_dir)
    now = read_recommended(review_dir)
    compared = review.model_copy(update={"comparison": compare(now, now)})
    shown = page_parts.section(compared.targets[1], compared).html
    assert "What changed since 2026-01-02" in shown
    assert "larger than the noise" in shown
    assert "lab-http" not in shown


def test_a_fleet_with_a_known_server_gets_its_budget(review_dir: Path) -> None:
    """Where targets.toml tells the server's connections, the section shows what is left of them."""
    review = read_review(review_dir)
    database = next(t for t in review.targets if t.name == "lab-db")
    told = {"max_connections": 30, "used_connections": 5, "replicas": 4, "workers": 1}
    settings = database.settings.model_copy(update=told)
    shown = page_parts.section(database.model_copy(update={"settings": settings}), review).html
    assert "The fleet leaves 9 of 30 connections free, and enough in every case" in shown
    assert "The fleet leaves" not in page_parts.section(database, review).html
    settings = settings.model_copy(update={"surge": 4})
    shown = page_parts.section(database.model_copy(update={"settings": settings}), review).html
    assert "free; while a deploy rolls 7 are missing" in shown


def test_a_cold_start_has_a_part_of_its_own(review_dir: Path) -> None:
    """What to dial first, the chart with its words, every start that was tried; else nothing."""
    review = read_review(review_dir)
    database = next(t for t in review.targets if t.name == "lab-db")
    assert "cold" not in page_parts.section(database, review).html
    lazy = start(waits=(0.281, None, 0.0002), dials_by_slice=(4, 0, 8), refused=2)
    warm = start(min_size=6, is_warm=True, wait_p99=0.0002, dial_rate=60.0, waits=(0.0002,) * 3)
    trials = [
        verifying_trial(purpose="cold", pool_size=6, pools=4, cold=cold) for cold in (lazy, warm)
    ]
    found = database.recommendation.model_copy(update={"cold": advise(trials, 6, 4)})
    shown = page_parts.section(database.model_copy(update={"recommendation": found}), review).html
    assert '<a href="#target-lab-db-cold">cold start</a>' in shown
    assert "Dial 6 connections in each of 4 pools before the service reports ready" in shown
    assert "the replicas spread over 0.8 s" in shown
    assert "The server took 60 new connections a second" in shown
    assert "50 ms with empty pools and 0.2 ms with 6 dialled before the first call" in shown
    assert "dials 2 refused" in shown
    assert "Cold starts, by the connections that each pool dials first" in shown


def test_replicas_that_are_lost_and_added_have_a_part_of_their_own(review_dir: Path) -> None:
    """A sentence and a row for each; a fleet's replicas beside the whole; else nothing."""
    review = read_review(review_dir)
    database = next(t for t in review.targets if t.name == "lab-db")
    size = database.recommendation.recommended_size
    shown = page_parts.section(database, review).html
    assert "Replicas lost and added" not in shown
    assert "served alike" not in shown
    moved = (seen(), seen(kind="surge", pools_after=5, steady=None, refused=3, lost=0))
    changes = {"replica_changes": moved}
    each = (replica("generator 1", 0.010, 250.0, 3), replica("generator 2", 0.090, 83.0))
    whole = verifying_trial(
        pool_size=size, pools=4, generators=each, checks=(replicas_alike(each, 0.005),)
    )
    found = database.model_copy(
        update={
            "recommendation": database.recommendation.model_copy(update=changes),
            "trials": (*database.trials, whole),
        }
    )
    shown = page_parts.section(found, review).html
    assert '<a href="#target-lab-db-replicas">replicas lost and added</a>' in shown
    assert "A replica lost (4 to 3 pools): p99 wait 1 ms before, 4 ms since" in shown
    assert "3 calls refused for want of a connection" in shown
    assert "p99 wait 90 ms at generator 2, 10 ms at the others on average" in shown


@pytest.mark.parametrize("purpose", ["cold", "lost_replica"])
def test_trials_of_a_start_or_a_change_stay_out_of_the_curve(
    purpose: str, review_dir: Path, tmp_path: Path
) -> None:
    """They stand in the recommendation; no chart and no count of trials has them."""
    folder = tmp_path / "copy"
    shutil.copytree(review_dir, folder)
    log = TrialLog(folder / "lab-db.trials.jsonl")
    before = read_review(folder).targets
    what: dict[str, Any] = {"cold": {"cold": start()}, "lost_replica": {"change": seen()}}[purpose]
    log.append(verifying_trial(purpose=purpose, fingerprint="x", **what))
    assert read_review(folder).targets == before


def test_a_rate_out_of_reach_says_what_is_within_reach(review_dir: Path) -> None:
    """The reader learns the rate that would do, and what would raise it."""
    review = read_review(review_dir)
    target = review.targets[1]
    assert target.sizing is not None
    sizing = target.sizing.model_copy(
        update={"out_of_reach": True, "reachable_rate": 640.0, "raised_by": "a faster upstream"}
    )
    shown = page_parts.section(target.model_copy(update={"sizing": sizing}), review).html
    assert "Within reach: 640 calls/s still meets what is asked." in shown
    assert "What would raise that rate: a faster upstream." in shown


def test_every_target_has_links_to_its_parts_and_back(text: str, page: Page) -> None:
    """Chart, parameters, verification, errors and checks, and back to the decision."""
    hrefs = [a["href"] for a in page.of("a")]
    for end in ("chart", "parameters", "verification", "errors", "checks"):
        assert f"#target-lab-db-{end}" in hrefs
    assert hrefs.count("#decision") == 5 * 2
    # What could not be reached has no chart to go to.
    assert [href for href in hrefs if href.startswith("#target-gone-api-")] == [
        *["#target-gone-api-title"] * 2,
        "#target-gone-api-checks",
    ]
    top = text[: text.index("The decision</h2>")]
    assert '<a href="#target-lab-http-title">lab-http</a>' in top
    assert '<a href="#contents">contents</a>' in top
    assert re.search(r"@media print[\s\S]*\.pk-jump \{ display: none; \}", text)


def test_a_link_to_the_checks_opens_them(text: str) -> None:
    """A browser opens the details around the place that a link leads to, not those that are it."""
    assert re.search(
        r"<details><summary>Checks on lab-db: <span[^>]*>✓ all 1 passed</span></summary>\s*"
        r'<div id="target-lab-db-checks">',
        text,
    )


def test_a_table_of_prose_names_the_column_of_each_cell(text: str) -> None:
    """On a narrow page its rows are lists; tables of figures alone scroll in their own box."""
    decision = text[text.index('<div id="decision">') : text.index('<nav aria-label="Contents"')]
    assert '<div class="pk-scroll pk-stack"><table class="pk-table" role="table">' in decision
    assert re.search(r'<td class="pk-number" data-label="size" role="cell">20</td>', decision)
    assert '<th role="rowheader" scope="row">lab-http</th>' in decision
    of_trials = text[text.index("<caption>Every trial</caption>") - 80 :][:80]
    assert "pk-stack" not in of_trials


def test_points_have_titles_and_no_script(text: str) -> None:
    """What a point is shows under the pointer, in a page that has no script."""
    assert re.search(
        r"<use [^>]*>\s*<title>20 connections: \d+ calls/s, wait p99 0 ms, hold p50 \d+ ms, "
        r"\d+ calls in 1 s</title>\s*</use>",
        text,
    )
    assert text.count("<title>") > 4 * 40


def recorded() -> list[TargetReview]:
    """The targets of the review that the project keeps."""
    return list(read_review(shared("data/recordings/lab-review")).targets)


@pytest.mark.parametrize("target", recorded(), ids=lambda target: target.name)
def test_one_target_is_told_with_one_size(target: TargetReview) -> None:
    """Title, reasons, charts and tables agree on the size, the plateau and the waits."""
    r = target.recommendation
    shown = re.sub(
        r"<style.*?</style>", "", page_parts.section(target, of(target)).html, flags=re.S
    )
    size = r.recommended_size
    assert r.plateau is not None
    assert r.verification is not None
    titles = re.findall(r"(?:<h3[^>]*>|aria-label=\")([^<\"]*)", shown)
    assert f"{size} connections carry" in titles[0]
    # A sentence that keeps connections busy is about that size, and about no other.
    busy = re.findall(r"keep \S+ of (\d+) connections busy", shown)
    assert set(busy) <= {str(size)}
    plateaus = set(re.findall(r"[Pp]lateau (?:is at )?(\d+)", re.sub("<[^>]*>", " ", shown)))
    assert plateaus <= {number(r.plateau.throughput)}
    # The share that waits too long, in the sign and as the title of the chart.
    sign = re.search(r"([\d.]+)% waited longer than", r.verification.signals[0].seen)
    title = re.search(r"([\d.]+) % of the calls waited longer", shown)
    assert sign is not None
    assert title is not None
    assert abs(float(sign[1]) - float(title[1])) <= 0.051


def of(target: TargetReview) -> Review:
    """A review of this target alone."""
    return Review(created="2026-01-02T00:00:00Z", targets=(target,))


def test_errors_stand_in_the_section_of_their_target(review_dir: Path) -> None:
    """By kind where there were any; else that there were none, of how many calls."""
    review = read_review(review_dir)
    target = review.targets[0]
    assert re.search(r"<p>No call failed: \d+ calls in 22 trials.</p>", _section(target))
    first, *rest = target.trials
    bad = first.model_copy(
        update={"outcomes": {"ok": 30, "error": 9}, "error_kinds": {"http_503": 9}}
    )
    shown = _section(target.model_copy(update={"trials": (bad, *rest)}))
    assert "Errors by kind: 9 of" in shown
    assert "HTTP 503" in shown
    assert "No call failed" not in shown


def _section(target: TargetReview) -> str:
    return page_parts.section(target, of(target)).html


def test_failed_checks_are_counted_on_the_closed_line(review_dir: Path) -> None:
    """Who opens nothing still reads how many of the checks of a target failed."""
    target = read_review(review_dir).targets[0]
    failed = synthetic_review.CLIENT_BOUND
    checks = (failed, failed.model_copy(update={"name": "lag"}), synthetic_review.LITTLE)
    found = target.recommendation.model_copy(update={"checks": checks})
    doubtful = target.model_copy(update={"recommendation": found})
    said = '<summary>Checks on lab-http: <span class="pk-bad">✗ 2 of 3 failed</span></summary>'
    assert said in _section(doubtful)
    shown = page_parts.decision(of(doubtful)).html
    assert '<span class="pk-warn">⚠ 20</span>' in shown
    assert "0 of these passed verification in full" in shown
