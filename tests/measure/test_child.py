"""The child wrapper against real processes that behave and misbehave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from poolkit.errors import ExitCode
from poolkit.events import Done, Event, Failed, Started
from poolkit.measure.child import Child, Order, command, last_words, watch

FAKE = Path(__file__).with_name("fake_child.py")
PASSWORD = "s3cret/pass"


def child(behaviour: str, grace: float = 10.0) -> Child:
    return Child(
        [sys.executable, str(FAKE), behaviour],
        target="orders-api",
        secrets=(PASSWORD,),
        env=os.environ | {"SECRET_DSN": f"postgresql://u:{PASSWORD}@h/d"},
        grace=grace,
    )


def names(events: list[Event]) -> list[str]:
    return [event.event for event in events]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_every_event_of_a_child_that_ends_by_itself_is_handed_on() -> None:
    """Events come in order, and the exit code is the one that the child says."""
    seen: list[Event] = []
    running = child("normal")
    assert running.exit_code is None
    assert watch(running, seen.append) == ExitCode.DONE
    assert names(seen) == ["started", "progress", "done"]
    assert not running.is_running


def test_the_exit_code_is_that_of_the_done_event() -> None:
    """A rate out of reach is not a failure of the child."""
    seen: list[Event] = []
    assert watch(child("out_of_reach"), seen.append) == ExitCode.OUT_OF_REACH
    assert names(seen) == ["started", "done"]


def test_a_line_that_arrives_in_pieces_is_one_event() -> None:
    """Neither a read in mid-line nor one within a character tears an event."""
    seen: list[Event] = []
    watch(child("pieces"), seen.append)
    assert isinstance(seen[-1], Done)
    assert seen[-1].target == "größer"


@pytest.mark.parametrize(
    ("behaviour", "code", "words"),
    [
        ("crash", ExitCode.STOPPED, "exit code 1: RuntimeError: no route to postgresql://u:***@h"),
        ("garbage", ExitCode.STOPPED, "ended without a result"),
        ("killed", ExitCode.STOPPED, "killed by SIGKILL"),
        ("refused", ExitCode.BAD_INPUT, "no such option: --sice"),
    ],
)
def test_a_child_that_says_no_last_word_is_explained(
    behaviour: str, code: ExitCode, words: str
) -> None:
    """The failure that is added names the cause, without traceback and without password."""
    seen: list[Event] = []
    assert watch(child(behaviour), seen.append) == code
    failed = seen[-1]
    assert isinstance(failed, Failed)
    assert failed.exit_code == code
    assert words in failed.cause
    assert "Traceback" not in failed.cause
    assert "\n" not in failed.cause
    assert PASSWORD not in failed.model_dump_json()


def test_cancel_lets_the_child_end_in_its_own_words() -> None:
    """SIGTERM is asked once; what the child says about it is handed on, nothing is added."""
    seen: list[Event] = []
    running = child("polite")

    def see(event: Event) -> None:
        seen.append(event)
        if isinstance(event, Started):
            running.cancel()

    assert watch(running, see) == ExitCode.CANCELLED
    assert names(seen)[-2:] == ["failed", "done"]
    assert names(seen).count("failed") == 1


def test_a_child_that_does_not_follow_is_ended_by_force_after_its_grace() -> None:
    """Cancelling always ends: the failure says cancelled, and no process is left."""
    seen: list[Event] = []
    running = child("deaf", grace=0.3)

    def see(event: Event) -> None:
        seen.append(event)
        if isinstance(event, Started):
            running.cancel()

    assert watch(running, see) == ExitCode.CANCELLED
    assert isinstance(seen[-1], Failed)
    assert seen[-1].cause == "cancelled"
    assert not is_alive(running.pid)


def test_the_second_cancel_does_not_wait_for_the_grace() -> None:
    """Whoever asks twice means it."""
    running = child("deaf", grace=60.0)
    with running:
        for event in running.events():
            if isinstance(event, Started):
                running.cancel()
                running.cancel()
    assert running.exit_code == ExitCode.CANCELLED


def test_cancel_may_come_from_another_thread() -> None:
    """A panel's button is pressed in a thread that does not read the events."""
    running = child("polite")
    started = threading.Event()
    presser = threading.Thread(target=lambda: (started.wait(), running.cancel()))
    presser.start()
    with running:
        for _ in running.events():
            started.set()
    presser.join()
    assert running.exit_code == ExitCode.CANCELLED


def test_leaving_the_block_early_leaves_no_process() -> None:
    """A child that writes into a pipe which nobody reads any more ends all the same."""
    with child("flood", grace=5.0) as running:
        next(running.events())
    assert not is_alive(running.pid)


def test_an_error_of_the_reader_leaves_no_process() -> None:
    """Whatever the screen raises, the child is ended and the error comes through."""
    running = child("polite")

    def see(event: Event) -> None:
        raise LookupError(event.event)

    with pytest.raises(LookupError, match="started"):
        watch(running, see)
    assert not is_alive(running.pid)


def test_a_helper_of_the_child_that_holds_the_pipe_open_does_not_hold_the_events() -> None:
    """The events end with the child itself."""
    seen: list[Event] = []
    began = time.monotonic()
    watch(child("grandchild"), seen.append)
    assert isinstance(seen[-1], Done)
    os.kill(int(seen[-1].target), signal.SIGKILL)
    assert time.monotonic() - began < 50.0


def test_look_is_called_while_the_child_speaks() -> None:
    """The caller may look around at every turn."""
    looks: list[None] = []
    watch(child("normal"), lambda _: None, lambda: looks.append(None))
    assert looks


PARENT = """
import sys
from poolkit.events import to_line
from poolkit.measure.child import Child, watch

child = Child([sys.executable, *sys.argv[1:]], target="orders-api", grace=60.0)
print(child.pid, flush=True)

def see(event):
    print(to_line(event), end="", flush=True)

code = watch(child, see)
print("watched", int(code), child.is_running, flush=True)
"""


def parent(behaviour: str) -> tuple[subprocess.Popen[str], int]:
    """A process that watches a fake child, once that has started; and the child's pid."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(FAKE), behaviour],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert '"started"' in process.stdout.readline()
    return process, pid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_parent_ends_the_child_tidily(number: signal.Signals) -> None:
    """Ctrl-C reaches the parent alone; it hands on one SIGTERM and reads to the end."""
    process, pid = parent("polite")
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert '"cause":"cancelled"' in output
    assert output.endswith("watched 130 False\n")
    assert process.returncode == 0
    assert not is_alive(pid)


def test_the_second_ctrl_c_kills_the_child() -> None:
    """A child that does not follow is gone at once, not after its grace of a minute."""
    process, pid = parent("deaf")
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)  # two signals at the same moment are one to the kernel
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert output.endswith("watched 130 False\n")
    assert not is_alive(pid)


def test_the_command_line_of_a_child() -> None:
    """It is what a person would type, and asks for events."""
    order = Order("sweep", "orders", Path("t.toml"), Path("o"), (1, 2), budget=5.0, seed=7)
    words = command(order)
    assert words[1:4] == ["-P", "-m", "poolkit"]
    text = "sweep orders --targets t.toml --out o --events --sizes 1,2 --budget 5.0 --seed 7"
    assert words[4:] == text.split()
    cold = command(Order("size", "orders", Path("t.toml"), Path("o"), push=False, cold=True))
    text = "size orders --targets t.toml --out o --events --no-push --cold"
    assert cold[4:] == text.split()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        ("one\n\ntwo\n", "one two"),
        ('Traceback (most recent call last):\n  File "a", line 1\nKeyError: 1\n', "KeyError: 1"),
        ("Killed\n" * 9, "Killed Killed Killed"),
    ],
)
def test_last_words_are_one_line(text: str, words: str) -> None:
    """The end of stderr; of a traceback only what was raised."""
    assert last_words(text) == words
