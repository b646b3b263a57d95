"""What is shown while targets are measured, from recorded events."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from poolkit.cli import closing, progress
from poolkit.errors import ExitCode
from poolkit.events import Event, Step, TrialDone, Watcher
from poolkit.recommend import unreachable
from poolkit.records import Signal
from poolkit.show import narration, words
from tests.cli import recorded
from tests.recommend import examples


def console(*, terminal: bool = False) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(width=80, force_terminal=terminal, file=file, color_system=None), file


def show(events: list[Event], *, terminal: bool) -> tuple[str, str]:
    """What stdout and stderr get."""
    out, stdout = console(terminal=terminal)
    err, stderr = console()
    screen: Watcher = progress.make_screen(out, err)
    with screen.measuring("orders-api"):
        for event in events:
            screen.see(event)
    return stdout.getvalue(), stderr.getvalue()


PLAIN = """\
orders-api: aiohttp, at most 45 s of load
orders-api: 14 connections: 750 calls/s, p99 wait 1 ms, p99 hold 50 ms (throughput still rises)
orders-api: 14 connections predicted: the smallest pool whose p99 wait stays within 10 ms at \
500 calls/s.
orders-api: 14 connections at 500/s: 499 calls/s, p99 wait 6.1 ms, p99 hold 41 ms \
(verifying: 13 waited too long, one more connection)
orders-api: 14 connections carried 499/s, p99 wait 6.1 ms; plateau 785/s
"""


def test_plain_output_is_one_line_a_trial() -> None:
    """No colour, nothing that moves, no wrapping: for files, pipes and logs."""
    assert show(recorded.whole(), terminal=False) == (PLAIN, "")


@pytest.mark.parametrize("terminal", [False, True])
def test_a_failure_goes_to_stderr_with_its_remedy(terminal: bool) -> None:
    """Results and trouble stay apart, in a terminal and outside."""
    stdout, stderr = show([recorded.started(), recorded.failed()], terminal=terminal)
    assert stderr == (
        "orders-api: stopped by the errors brake: 60 % of the calls failed\n"
        "  see what the server says\n"
    )
    assert "brake" not in stdout


def test_a_terminal_shows_what_is_measured_and_then_the_finding() -> None:
    """A bar with times, what is done now and why, live throughput; it leaves the finding."""
    events = recorded.whole()
    stdout, stderr = show(events, terminal=True)
    assert stdout.endswith(
        "orders-api: 14 connections carried 499/s, p99 wait 6.1 ms; plateau 785/s\n"
    )
    assert stderr == ""
    bar = progress._TargetBar("orders-api")
    for event in events[:3]:
        bar.see(event)
    out, file = console()
    out.print(bar)
    first, second, third = file.getvalue().splitlines()
    assert first.startswith("orders-api ━")
    assert first.rstrip().endswith("12 s, at most 33 s to go")
    assert second.strip() == "8 connections, throughput still rises"
    assert third.strip() == "456 calls/s"


def test_a_step_of_a_probe_has_a_bar_that_moves_with_the_clock() -> None:
    """What is done, how long it may take and what is left; one without a limit has neither."""
    bar = progress._TargetBar("orders-api")
    out, file = console()
    steps = (("one call", 0.0, 0.0), ("watching idle connections", 24.2, 0.0), ("still", 24.2, 9.0))
    for what, limit, passed in steps:
        bar.see(Step(target="orders-api", what=what, limit=limit, passed=passed))
        out.print(bar)
    first, second = file.getvalue().split("one call", 1)
    assert "to go" not in first
    assert "0 s, at most 25 s to go" in second
    assert "watching idle connections (at most 25 s)" in second
    assert "9 s, at most 16 s to go" in second
    assert "still (at most 16 s more)" in second


def test_a_bar_fits_into_80_columns() -> None:
    """Whatever the name and the reason."""
    bar = progress._TargetBar("a-rather-long-name-of-a-target-of-somebody")
    bar.see(recorded.started())
    bar.see(recorded.progress())
    bar.now = "why " * 60
    out, file = console()
    out.print(bar)
    assert max(map(len, file.getvalue().splitlines())) <= 80
    assert len(file.getvalue().splitlines()) == 3


@pytest.mark.parametrize(
    ("seconds", "budget", "shown"),
    [
        (0.0, 45.0, "0 s, at most 45 s to go"),
        (44.7, 45.0, "45 s, at most 1 s to go"),
        (45.0, 45.0, "45 s, at most 0 s to go"),
        (47.0, 45.0, "47 s, at most 0 s to go"),  # the last trial may pass the budget
    ],
)
def test_times(seconds: float, budget: float, shown: str) -> None:
    """What is left is never negative, and never 0 too early."""
    assert progress.times(seconds, budget) == shown


def test_cancelling_is_said_once_outside_a_terminal() -> None:
    """However often the runner tells it."""
    out, file = console()
    screen = progress.PlainScreen(out, out)
    with screen.measuring("orders-api"):
        screen.cancelling()
        screen.cancelling()
    assert file.getvalue().count("cancelling") == 1


def test_a_servers_words_do_not_steer_the_terminal() -> None:
    """Control characters of a failure are shown as such, and markup stays text."""
    out, file = console(terminal=True)
    progress.print_failure(out, "said \x1b[2J [bold]x[/bold]\r", "wait\x07")
    assert file.getvalue() == "said ?[2J [bold]x[/bold]?\n  wait?\n"


def test_a_resumed_measurement_says_so() -> None:
    """Otherwise its quick end would look like a fault."""
    assert narration.sentence(recorded.started(3)) == (
        "aiohttp, at most 45 s of load; 3 finished trials resumed (4 hours old)"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stopped": "errors"}, "stopped by the errors brake"),
        ({"checks": (examples.check("lag", passed=False, seen="9 ms"),)}, "not fitted: lag (9 ms)"),
    ],
)
def test_a_trial_that_is_not_used_says_why(changes: dict[str, object], words: str) -> None:
    """A reader of the log must not take it for a point of the curve."""
    text = narration.sentence(TrialDone(trial=examples.trial(**changes)))
    assert text is not None
    assert text.endswith(words)


def test_findings() -> None:
    """One line: carried, in doubt, not verified, or no size and why."""
    doubtful = examples.verification(
        signals=(Signal(name="wait_near_zero", passed=False, seen="p99 wait 31 ms"),)
    )
    verified = recorded.recommendation()
    table = {
        "14 connections carried 499/s": verified,
        "14 connections for 500/s, in doubt: p99 wait 31 ms": recorded.recommendation(doubtful),
        "14 connections for 500/s, not verified": verified.model_copy(
            update={"verification": None}
        ),
        "no size can be recommended: too slow": verified.model_copy(
            update={
                "recommended_size": None,
                "checks": (examples.check("reachable", passed=False, seen="too slow"),),
            }
        ),
    }
    for start, recommendation in table.items():
        assert words.outcome(recommendation).startswith(start)


def test_a_terminal_wraps_between_words_and_a_pipe_does_not() -> None:
    """Lines of a pipe are searched; what is wrapped is indented; paths stay whole."""
    text = "orders-api: " + "word " * 30 + "/a/path/" + "x" * 90
    out, file = console(terminal=True)
    progress.say(out, text, indent="  ")
    lines = file.getvalue().splitlines()
    assert [len(line) > 80 for line in lines] == [False, False, False, True]
    assert lines[-1] == "  /a/path/" + "x" * 90
    assert " ".join(line.strip() for line in lines) == text
    out, file = console()
    progress.say(out, text, indent="  ")
    assert file.getvalue() == f"{text}\n"


def test_a_line_a_target_at_the_end() -> None:
    """The size, and verified or why not; no target's line is left out, nor what the code means."""
    verified = recorded.recommendation()
    doubtful = recorded.recommendation(
        examples.verification(
            signals=(Signal(name="wait_near_zero", passed=False, seen="p99 wait 31 ms"),)
        )
    )
    gone = unreachable(examples.database_target(), "connection refused", "start it")
    out, file = console()
    closing.print_endings(out, (verified, doubtful, gone), ExitCode.STOPPED)
    assert file.getvalue().splitlines() == [
        "",
        "orders-api: 14 connections, verified: 4 of 4 signs seen, no doubts",
        "orders-api: 14 connections, not confirmed, 0 of 1 sign seen: too many calls waited",
        "orders-db: no result: unreachable; connection refused",
        f"exit code 3: {ExitCode.STOPPED.meaning}",
    ]
