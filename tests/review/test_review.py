"""A review over children that end in every way: real processes that print recorded lines."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from poolkit import events
from poolkit.analysis.cold import advise
from poolkit.errors import BadInput, ExitCode, MissingExtra
from poolkit.events import Event, Failed
from poolkit.measure.child import Order
from poolkit.measure.store import TrialLog
from poolkit.recommend import failed, unreachable
from poolkit.records import Recommendation
from poolkit.report.folder import read_review
from poolkit.review import outcome
from poolkit.review import run as review_run
from poolkit.review.compare import Comparison
from poolkit.review.export import read_recommended
from poolkit.review.manifest import changed_files, read_manifest
from poolkit.review.outcome import Outcome, exit_code_of
from poolkit.targets import load_targets
from tests.analysis.test_cold import start
from tests.cli import recorded
from tests.recommend import examples

TARGETS = """
[targets.orders-api]
driver = "aiohttp"
url = "http://127.0.0.1:9/orders"
target_rate = 500
[targets.users-api]
driver = "aiohttp"
url = "http://127.0.0.1:9/users"
target_rate = 100
"""
# Prints its first argument, then does what the second says.
CHILD = """
import os, signal, sys, time
sys.stdout.write(open(sys.argv[1]).read()); sys.stdout.flush()
exec(sys.argv[2])
"""


class Log:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[Event] = []
        self.said: list[str] = []
        self.failures: list[str] = []
        self.steps: list[str] = []
        self.on_event: Callable[[Event], None] = lambda _: None

    @contextlib.contextmanager
    def measuring(self, name: str) -> Iterator[None]:
        self.steps.append(name)
        yield

    def see(self, event: Event) -> None:
        self.seen.append(event)
        self.on_event(event)

    def cancelling(self) -> None:
        pass

    @contextlib.contextmanager
    def doing(self, what: str) -> Iterator[None]:
        self.steps.append(what)
        yield

    def say(self, text: str) -> None:
        self.said.append(text)

    def fail(self, cause: str, remedy: str = "") -> None:
        self.failures.append(f"{cause} / {remedy}")


@pytest.fixture
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says which lines the child of a target prints, and how it ends."""
    ways: dict[str, list[str]] = {}

    def script(name: str, lines: list[Event], end: str = "") -> None:
        path = tmp_path / f"{name}.events"
        path.write_text("".join(map(events.to_line, lines)), encoding="utf-8")
        ways[name] = [sys.executable, "-c", CHILD, str(path), end]

    monkeypatch.setattr(outcome, "command", lambda order: ways[order.name])
    return script


def done(recommendation: Recommendation, code: int = 0) -> list[Event]:
    return [
        events.Recommended(recommendation=recommendation),
        events.Done(target=recommendation.target, exit_code=code),
    ]


def of_users(**changes: object) -> Recommendation:
    return recorded.recommendation().model_copy(update={"target": "users-api", **changes})


def gone(name: str, code: int) -> list[Event]:
    return [
        Failed(target=name, cause="connection refused", remedy="start it", exit_code=code),
        events.Done(target=name, exit_code=code),
    ]


def run(tmp_path: Path, log: Log, **options: object) -> review_run.Review:
    path = tmp_path / "targets.toml"
    path.write_text(TARGETS, encoding="utf-8")
    return review_run.review(path, tmp_path / "out", log, **options)  # type: ignore[arg-type]


def statuses(finished: review_run.Review) -> list[str]:
    return [recommendation.status for recommendation in finished.recommendations]


def test_a_review_writes_what_its_children_found(
    tmp_path: Path, scripted: Callable[..., None]
) -> None:
    """Every target in the file's order, every file there, and a manifest that fits them."""
    scripted("orders-api", recorded.whole())
    scripted("users-api", done(of_users()))

    def make_report(out: Path) -> Path:
        assert read_recommended(out).targets  # the results were written before
        (out / "report.html").write_text("<p>", encoding="utf-8")
        return out / "report.html"

    log = Log()
    finished = run(tmp_path, log, make_report=make_report)
    out = tmp_path / "out"
    assert finished.exit_code == ExitCode.DONE
    assert finished.report == out / "report.html"
    assert log.steps == ["orders-api", "users-api", "making the report"]
    assert [r.target for r in read_recommended(out).targets] == ["orders-api", "users-api"]
    manifest = read_manifest(out)
    assert set(manifest.files) >= {"recommended.json", "recommended.csv", "pools.py", "report.html"}
    assert changed_files(out, manifest) == ()
    assert manifest.parameters["targets"]["users-api"]["target_rate"] == 100
    assert log.failures == []


def test_cold_starts_are_asked_of_every_target(
    tmp_path: Path, scripted: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what they showed is in the results."""
    trials = [examples.verifying_trial(purpose="cold", pool_size=6, cold=start())]
    advice = advise(trials, 6, 1)
    assert advice is not None
    scripted("orders-api", recorded.whole())
    scripted("users-api", done(of_users(cold=advice)))
    asked: list[Order] = []
    command = outcome.command
    monkeypatch.setattr(outcome, "command", lambda order: asked.append(order) or command(order))
    run(tmp_path, Log(), cold=True)
    written = {r.target: r.cold for r in read_recommended(tmp_path / "out").targets}
    assert written == {"orders-api": None, "users-api": advice}
    assert [(order.name, order.cold) for order in asked] == [
        ("orders-api", True),
        ("users-api", True),
    ]


def test_a_target_that_does_not_answer_does_not_stop_the_others(
    tmp_path: Path, scripted: Callable[..., None]
) -> None:
    """It stands in the table with cause and remedy; exit 3 since the review is not whole."""
    scripted("orders-api", gone("orders-api", 2))
    scripted("users-api", done(of_users()))
    finished = run(tmp_path, Log())
    assert statuses(finished) == ["unreachable", "done"]
    assert finished.exit_code == ExitCode.STOPPED
    text = (tmp_path / "out" / "recommended.md").read_text(encoding="utf-8")
    assert "connection refused" in text
    assert "start it" in text


def test_a_child_that_crashes_is_a_failed_target(
    tmp_path: Path, scripted: Callable[..., None]
) -> None:
    """The next target is still measured, and nobody sees a traceback."""
    scripted("orders-api", recorded.whole()[:3], "raise RuntimeError('boom')")
    scripted("users-api", done(of_users()))
    log = Log()
    finished = run(tmp_path, log)
    assert statuses(finished) == ["failed", "done"]
    assert finished.exit_code == ExitCode.STOPPED
    said = [event.cause for event in log.seen if isinstance(event, Failed)]
    assert said == ["the measuring process ended with exit code 1: RuntimeError: boom"]


def test_a_brake_keeps_what_the_child_recommended(
    tmp_path: Path, scripted: Callable[..., None]
) -> None:
    """The child's own stopped recommendation goes into the file, its failure is told."""
    stopped = recorded.recommendation().model_copy(update={"status": "stopped"})
    scripted("orders-api", [*done(stopped)[:1], *gone("orders-api", 3)])
    scripted("users-api", done(of_users()))
    finished = run(tmp_path, Log())
    assert statuses(finished) == ["stopped", "done"]
    assert finished.recommendations[0].model_dump_json() == stopped.model_dump_json()
    assert finished.exit_code == ExitCode.STOPPED


def test_ctrl_c_keeps_what_is_finished(tmp_path: Path, scripted: Callable[..., None]) -> None:
    """The child ends, targets after it are not begun, files and report are written; exit 130."""
    scripted("orders-api", recorded.whole()[:5], "time.sleep(60)")
    scripted("users-api", done(of_users()))
    log = Log()

    def interrupt(event: Event) -> None:
        if isinstance(event, events.Sized):
            os.kill(os.getpid(), signal.SIGINT)

    log.on_event = interrupt
    out = tmp_path / "out"
    out.mkdir()
    path = tmp_path / "targets.toml"
    path.write_text(TARGETS, encoding="utf-8")
    fingerprint = load_targets(path)["orders-api"].fingerprint
    TrialLog(out / "orders-api.trials.jsonl").append(examples.trial(fingerprint=fingerprint))

    def make_report(out: Path) -> Path:
        return out / "report.html"

    finished = run(tmp_path, log, make_report=make_report)
    assert finished.exit_code == ExitCode.CANCELLED
    assert statuses(finished) == ["stopped", "stopped"]
    first, second = finished.recommendations
    assert (first.trials, first.recommended_size) == (1, 14)
    assert (second.trials, second.recommended_size) == (0, None)
    assert log.steps == ["orders-api", "making the report"]
    assert [r.status for r in read_recommended(out).targets] == ["stopped", "stopped"]
    text = (out / "recommended.md").read_text(encoding="utf-8")
    assert "cancelled before its turn" in text
    assert "the same command resumes" in text


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (MissingExtra("papermill", "workbook"), ExitCode.DONE, "pip install 'poolkit[workbook]'"),
        (ModuleNotFoundError("no", name="pandas"), ExitCode.DONE, "pandas is not installed"),
        (BadInput("no notebook", "write one"), ExitCode.STOPPED, "no notebook / write one"),
        (ValueError("----\n\nKeyError: 'x'"), ExitCode.STOPPED, "ValueError: KeyError: 'x'"),
        (KeyboardInterrupt(), ExitCode.CANCELLED, "cancelled before the report"),
    ],
)
def test_a_report_that_fails_loses_nothing(
    tmp_path: Path,
    scripted: Callable[..., None],
    error: BaseException,
    code: ExitCode,
    words: str,
) -> None:
    """The results are on disk before; the message says what to do."""
    scripted("orders-api", recorded.whole())
    scripted("users-api", done(of_users()))

    def make_report(out: Path) -> Path:
        raise error

    log = Log()
    finished = run(tmp_path, log, make_report=make_report)
    assert (finished.exit_code, finished.report) == (code, None)
    assert words in " ".join((*log.said, *log.failures))
    assert len(read_recommended(tmp_path / "out").targets) == 2
    assert "recommended.json" in read_manifest(tmp_path / "out").files


def test_since_compares_with_an_earlier_review(
    tmp_path: Path, scripted: Callable[..., None]
) -> None:
    """The earlier folder is read before anything is measured; since.json holds the differences."""
    scripted("orders-api", recorded.whole())
    scripted("users-api", done(of_users()))
    run(tmp_path, Log())
    before = (tmp_path / "out").rename(tmp_path / "before")
    scripted("users-api", done(of_users(recommended_size=30)))
    finished = run(tmp_path, Log(), since=before)
    text = (tmp_path / "out" / "since.json").read_text(encoding="utf-8")
    assert Comparison.model_validate_json(text) == finished.comparison
    assert finished.comparison is not None
    assert finished.comparison.caution == ""
    larger = [
        (d.target, d.quantity, d.before, d.after)
        for d in finished.comparison.differences
        if d.is_larger_than_noise
    ]
    assert larger == [("users-api", "recommended_size", 14, 30)]


def test_targets_that_were_not_asked_for_are_not_compared(
    tmp_path: Path, scripted: Callable[..., None]
) -> None:
    """With --only, a target of the earlier review has not gone: it was left out."""
    scripted("orders-api", recorded.whole())
    scripted("users-api", done(of_users()))
    run(tmp_path, Log())
    before = (tmp_path / "out").rename(tmp_path / "before")
    finished = run(tmp_path, Log(), since=before, only=("users-api",))
    assert finished.comparison is not None
    assert {d.target for d in finished.comparison.differences} == {"users-api"}


def test_an_earlier_review_of_unknown_origin_is_compared_with_caution(
    tmp_path: Path, scripted: Callable[..., None]
) -> None:
    """Without a manifest nobody knows which machine it ran on."""
    scripted("orders-api", recorded.whole())
    scripted("users-api", done(of_users()))
    run(tmp_path, Log())
    before = (tmp_path / "out").rename(tmp_path / "before")
    (before / "manifest.json").unlink()
    finished = run(tmp_path, Log(), since=before)
    assert finished.comparison is not None
    assert "another machine" in finished.comparison.caution


def with_trials(tmp_path: Path, name: str = "users-api", **changes: object) -> TrialLog:
    """A trial of the target in the folder of the review."""
    path, out = tmp_path / "targets.toml", tmp_path / "out"
    path.write_text(TARGETS, encoding="utf-8")
    out.mkdir(exist_ok=True)
    log = TrialLog(out / f"{name}.trials.jsonl")
    log.append(examples.trial(fingerprint=load_targets(path)[name].fingerprint, **changes))
    return log


def test_a_finished_folder_says_that_nothing_was_measured(
    tmp_path: Path, scripted: Callable[..., None]
) -> None:
    """And how old its trials are; one that was measured on says which part of it is old."""
    whole = recorded.whole()
    scripted("orders-api", [recorded.started(2), *whole[4:5], *whole[-2:]])
    one = events.TrialDone(trial=examples.trial(target="users-api"))
    scripted("users-api", [recorded.started(1), recorded.ramp(), one, *done(of_users())])
    log = Log()
    finished = run(tmp_path, log)
    span = "from 2026-11-21 08:00 to 08:01 UTC (4 hours old)"
    assert log.said == [
        f"orders-api: nothing was measured now: the 2 trials are {span}; --again measures anew",
        f"users-api: 1 of 2 trials is {span}",
    ]
    first, second = finished.recommendations
    assert first.resumed == second.resumed.model_copy(update={"trials": 2})
    text = (tmp_path / "out" / "recommended.md").read_text(encoding="utf-8")
    assert "Nothing was measured for this: the 2 trials are from 2026-11-21 08:00" in text
    assert "1 of 2 trials is from 2026-11-21 08:00" in text


def test_again_measures_anew_and_compares_without_being_told(
    tmp_path: Path, scripted: Callable[..., None]
) -> None:
    """What was there is a record; it is compared with now and by the reviews after this one."""
    scripted("orders-api", recorded.whole())
    scripted("users-api", done(of_users()))
    run(tmp_path, Log())
    kept = [with_trials(tmp_path, name).path.name for name in ("orders-api", "users-api")]
    scripted("users-api", done(of_users(recommended_size=30)))
    log = Log()
    finished = run(tmp_path, log, again=True)
    record = tmp_path / "out" / "before" / "2026-11-21T000000Z"
    assert log.said == [f"what was there is kept in {record}"]
    assert {path.name for path in record.iterdir()} >= {*kept, "recommended.json", "manifest.json"}
    assert changed_files(record, read_manifest(record)) == ()
    assert not list((tmp_path / "out").glob("*.trials.jsonl"))
    for compared in (finished.comparison, run(tmp_path, Log()).comparison):
        assert compared is not None
        assert compared.caution == ""
        moved = [(d.target, d.before, d.after) for d in compared.differences if d.before != d.after]
        assert moved == [("users-api", 14, 30)]
    text = (tmp_path / "out" / "since.json").read_text(encoding="utf-8")
    assert Comparison.model_validate_json(text) == compared


def test_a_review_is_kept_and_compared_with_the_one_before(
    tmp_path: Path, scripted: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two folders, one store: without --since, and the report gets the trend of both."""
    store = tmp_path / "kept"
    for day, size in (("01", 14), ("02", 14), ("03", 30)):
        monkeypatch.setattr(review_run, "now", lambda day=day: f"2026-01-{day}T00:00:00Z")
        scripted("orders-api", gone("orders-api", 3))
        scripted("users-api", done(of_users(recommended_size=size, seconds=float(day))))
        log = Log()
        finished = run(tmp_path, log, history=store)
        assert log.said == [f"this review is kept in {store / f'2026-01-{day}T000000Z'}"]
        if day == "01":  # the next one has another folder
            shutil.rmtree(tmp_path / "out")
    assert [path.name[:10] for path in sorted(store.iterdir())] == [
        "2026-01-01",
        "2026-01-02",
        "2026-01-03",
    ]
    assert finished.comparison is not None
    moved = [(d.before, d.after) for d in finished.comparison.differences if d.before != d.after]
    assert moved == [(14, 30)]
    past = read_review(tmp_path / "out").history
    assert past is not None
    assert [trend.target for trend in past.trends] == ["users-api"]
    assert past.reviews == 3
    assert "history.json" in read_manifest(tmp_path / "out").files
    log = Log()
    run(tmp_path, log, history=store)
    assert log.said == [f"this review was kept before, in {store / '2026-01-03T000000Z'}"]


def test_again_of_one_target_is_compared_for_that_one(
    tmp_path: Path, scripted: Callable[..., None]
) -> None:
    """The others were not measured anew, so nothing is said of them."""
    scripted("orders-api", recorded.whole())
    scripted("users-api", done(of_users()))
    run(tmp_path, Log())
    for name in ("orders-api", "users-api"):
        with_trials(tmp_path, name)
    finished = run(tmp_path, Log(), again=True, only=("users-api",))
    assert (tmp_path / "out" / "orders-api.trials.jsonl").is_file()
    assert finished.comparison is not None
    assert {d.target for d in finished.comparison.differences} == {"users-api"}


def test_again_that_is_cut_off_says_how_to_go_on(
    tmp_path: Path, scripted: Callable[..., None]
) -> None:
    """The same command would begin once more."""
    scripted("orders-api", [*done(STOPPED)[:1], *gone("orders-api", 3)])
    scripted("users-api", done(of_users()))
    log = Log()
    run(tmp_path, log, again=True)
    assert log.said[-1].startswith("leave --again out to go on")


def test_again_takes_trials_of_other_settings(
    tmp_path: Path, scripted: Callable[..., None]
) -> None:
    """It is the way on that the refusal names; refused for another reason, nothing has moved."""
    scripted("orders-api", recorded.whole())
    scripted("users-api", done(of_users()))
    log = with_trials(tmp_path, started="2026-11-01T00:00:00+00:00")
    log.append(examples.trial(fingerprint="of another url"))
    with pytest.raises(BadInput, match="none of its 2 trials counts") as caught:
        run(tmp_path, Log())
    assert "--again" in caught.value.remedy
    (tmp_path / "out" / "users-api.probe.json").write_text("{}")
    with pytest.raises(BadInput):
        run(tmp_path, Log(), again=True)
    assert len(log.read()) == 2
    (tmp_path / "out" / "users-api.probe.json").unlink()
    run(tmp_path, Log(), again=True)
    assert not log.path.exists()


def test_other_calls_than_before_are_compared_with_caution(
    tmp_path: Path, scripted: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What changed may be the new address; another target rate stands in the table itself."""
    scripted("orders-api", recorded.whole())
    scripted("users-api", done(of_users()))
    run(tmp_path, Log())
    with_trials(tmp_path)
    changed = TARGETS.replace("9/users", "9/people").replace("= 100", "= 120")
    monkeypatch.setattr(sys.modules[__name__], "TARGETS", changed)
    finished = run(tmp_path, Log(), again=True)
    assert finished.comparison is not None
    assert finished.comparison.caution == "users-api was sent other calls then: url changed"


def test_a_review_without_pushing_asks_so_of_each_target(
    tmp_path: Path, scripted: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the orders, and in what the manifest keeps."""
    asked: list[bool] = []
    scripted("orders-api", recorded.whole())
    scripted("users-api", done(of_users()))
    told = outcome.command
    monkeypatch.setattr(outcome, "command", lambda o: asked.append(o.push) or told(o))
    run(tmp_path, Log(), push=False)
    assert asked == [False, False]
    settings = read_manifest(tmp_path / "out").parameters["targets"]
    assert [settings[name]["push"] for name in settings] == [False, False]


DONE = recorded.recommendation()
STOPPED = DONE.model_copy(update={"status": "stopped"})
UNREACHABLE = unreachable(examples.http_target(), "refused", "start it")
FAILED = failed(examples.http_target(), "crashed", "report it")


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([(DONE, 0)], 0),
        ([(DONE, 0), (DONE, 1)], 1),
        ([(DONE, 4), (DONE, 1)], 4),
        ([(STOPPED, 3), (DONE, 4)], 3),
        ([(FAILED, 3), (DONE, 0)], 3),
        ([(UNREACHABLE, 3)], 3),
        ([(UNREACHABLE, 3), (UNREACHABLE, 3)], 3),
        ([(UNREACHABLE, 3), (DONE, 0)], 3),
        ([(UNREACHABLE, 3), (DONE, 4)], 4),
        ([(STOPPED, 130), (STOPPED, 3), (DONE, 4)], 130),
        ([(DONE, 130), (STOPPED, 130)], 130),
    ],
)
def test_one_exit_code_for_all_targets(
    outcomes: list[tuple[Recommendation, int]], code: int
) -> None:
    """Cancelled before stopped before out of reach before unreachable before in doubt."""
    assert exit_code_of([Outcome(r, ExitCode(c)) for r, c in outcomes]) == code


# -- a folder that holds more than the targets of this review -------------------------------------


def test_results_of_other_targets_stay(tmp_path: Path, scripted: Callable[..., None]) -> None:
    """A review of one target, and one of another file: what others measured is in every file."""
    scripted("orders-api", recorded.whole())
    scripted("users-api", done(of_users()))
    run(tmp_path, Log())
    (tmp_path / "others.toml").write_text(
        TARGETS.replace("orders-api", "stock").replace("users-api", "prices"), encoding="utf-8"
    )
    out = tmp_path / "out"
    for name in ("stock", "prices"):
        scripted(name, done(of_users(target=name)))
    review_run.review(tmp_path / "others.toml", out, Log())
    run(tmp_path, Log(), only=("users-api",))
    assert [r.target for r in read_recommended(out).targets] == [
        "orders-api",
        "users-api",
        "stock",
        "prices",
    ]
    code = (out / "pools.py").read_text(encoding="utf-8")
    for name, path in (
        ("ORDERS_API", "orders"),
        ("USERS_API", "users"),
        ("STOCK", "orders"),
        ("PRICES", "users"),
    ):
        assert f'{name}_URL = "http://127.0.0.1:9/{path}"' in code
    manifest = read_manifest(out)
    assert list(manifest.targets) == ["orders-api", "users-api", "stock", "prices"]
    assert changed_files(out, manifest) == ()


def test_a_review_keeps_what_only_others_understand(
    tmp_path: Path, scripted: Callable[..., None]
) -> None:
    """An entry of a newer version is still there, and the report shows the others."""
    scripted("orders-api", recorded.whole())
    scripted("users-api", done(of_users()))
    out = tmp_path / "out"
    run(tmp_path, Log())
    file = out / "recommended.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    newer = {"target": "queue", "driver": "aiopulsar", "depth": {"of": [1, 2]}}
    document["targets"].insert(0, newer)
    file.write_text(json.dumps(document), encoding="utf-8")
    shown: list[str] = []

    def make_report(folder: Path) -> Path:
        shown.extend(target.recommendation.target for target in read_review(folder).targets)
        return folder / "report.html"

    finished = run(tmp_path, Log(), make_report=make_report)
    assert finished.exit_code == ExitCode.DONE
    assert shown == ["orders-api", "users-api"]
    assert newer in json.loads(file.read_text(encoding="utf-8"))["targets"]


def test_what_cannot_be_kept_is_told_before_anything_is_sent(
    tmp_path: Path, scripted: Callable[..., None]
) -> None:
    """A recommended.json that nobody can read stays as it is, and no child is started."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "recommended.json").write_text("{", encoding="utf-8")
    log = Log()
    with pytest.raises(BadInput, match=r"recommended\.json is not") as told:
        run(tmp_path, log)
    assert "move it away" in told.value.remedy
    assert (log.steps, log.seen) == ([], [])
    assert [path.name for path in out.iterdir()] == ["recommended.json"]


def test_a_finished_result_outlives_a_review_without_one(
    tmp_path: Path, scripted: Callable[..., None]
) -> None:
    """The command tells how this attempt ended; the folder still has the pool that was found."""
    scripted("orders-api", recorded.whole())
    scripted("users-api", done(of_users()))
    run(tmp_path, Log())
    scripted("users-api", gone("users-api", 3))
    log = Log()
    finished = run(tmp_path, log)
    assert (statuses(finished), finished.exit_code) == (["done", "unreachable"], ExitCode.STOPPED)
    assert [r.status for r in read_recommended(tmp_path / "out").targets] == ["done", "done"]
    assert "users_api_pool" in (tmp_path / "out" / "pools.py").read_text(encoding="utf-8")
    stays = "users-api: the finished result of before stays in recommended.json and pools.py"
    assert log.said[-1] == stays


def test_what_demand_needs_is_said_or_why_not(
    tmp_path: Path, scripted: Callable[..., None]
) -> None:
    """A file for no target is told before anything is sent."""
    with pytest.raises(BadInput, match="does not say for which of orders-api and users-api"):
        run(tmp_path, Log(), history=tmp_path / "kept", demand=["peaks.csv"])
    with pytest.raises(BadInput, match=r"targets\.users-api names no Prometheus"):
        run(tmp_path, Log(), history=tmp_path / "kept", demand=["users-api=prometheus"])
    peaks = tmp_path / "peaks.csv"
    peaks.write_text("2026-W01,100\n2026-W02,110\n")
    scripted("orders-api", gone("orders-api", 3))
    scripted("users-api", done(of_users()))
    log = Log()
    finished = run(tmp_path, log, history=tmp_path / "kept", demand=[f"users-api={peaks}"])
    assert finished.outlooks == {}
    assert log.said[1].startswith("users-api: its newest review holds no trials")
