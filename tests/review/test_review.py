"""A review over children that end in every way: real processes that print recorded lines."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from poolkit import events
from poolkit.errors import BadInput, ExitCode, MissingExtra
from poolkit.events import Event, Failed
from poolkit.measure.store import TrialLog
from poolkit.recommend import failed, unreachable
from poolkit.records import Recommendation
from poolkit.review import outcome
from poolkit.review import run as review_run
from poolkit.review.compare import Comparison
from poolkit.review.export import read_recommended
from poolkit.review.manifest import changed_files, read_manifest
from poolkit.review.outcome import Outcome, exit_code_of
from poolkit.targets import load_targets
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
        ([(UNREACHABLE, 2)], 2),
        ([(UNREACHABLE, 2), (UNREACHABLE, 2)], 2),
        ([(UNREACHABLE, 2), (DONE, 0)], 3),
        ([(UNREACHABLE, 2), (DONE, 4)], 4),
        ([(STOPPED, 130), (STOPPED, 3), (DONE, 4)], 130),
        ([(DONE, 130), (STOPPED, 130)], 130),
    ],
)
def test_one_exit_code_for_all_targets(
    outcomes: list[tuple[Recommendation, int]], code: int
) -> None:
    """Cancelled before stopped before out of reach before unreachable before in doubt."""
    assert exit_code_of([Outcome(r, ExitCode(c)) for r, c in outcomes]) == code
