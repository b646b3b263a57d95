"""The painter: never more often than asked, never behind, and the last picture always drawn."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from poolkit.panels.painter import Painter


def test_only_the_latest_is_painted_and_the_last_is_never_lost() -> None:
    """While one picture is drawn, all but the newest of what comes in is left out."""
    painted: list[int] = []
    first_begun, go_on = threading.Event(), threading.Event()

    def paint(thing: int) -> None:
        first_begun.set()
        assert go_on.wait(10)
        painted.append(thing)

    painter: Painter[int] = Painter(paint, pytest.fail, per_second=100)
    painter.show(0)
    assert first_begun.wait(10)
    for thing in range(1, 1000):
        painter.show(thing)
    go_on.set()
    assert painter.wait_idle(10)
    assert painted == [0, 999]


def test_pictures_keep_their_distance() -> None:
    """However often something is shown, pictures begin at least a period apart."""
    began: list[float] = []
    painter: Painter[int] = Painter(lambda _: began.append(time.monotonic()), pytest.fail, 20)
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        painter.show(1)
        time.sleep(0.002)
    assert painter.wait_idle(10)
    assert len(began) >= 2
    assert min(b - a for a, b in itertools.pairwise(began)) >= 0.049


def test_any_number_of_threads_may_show() -> None:
    """What is shown last, of whichever thread, is on the page at the end."""
    painted: list[tuple[int, int]] = []
    painter: Painter[tuple[int, int]] = Painter(painted.append, pytest.fail, 1000)

    def show(thread: int) -> None:
        for count in range(200):
            painter.show((thread, count))

    threads = [threading.Thread(target=show, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert painter.wait_idle(10)
    assert painted[-1][1] == 199
    painter.show((9, 9))
    assert painter.wait_idle(10)
    assert painted[-1] == (9, 9)


def test_a_picture_that_fails_does_not_end_the_painting() -> None:
    """The failure is told, and the next thing is painted."""
    painted: list[int] = []
    failures: list[Exception] = []

    def paint(thing: int) -> None:
        painted.append(100 // thing)

    painter: Painter[int] = Painter(paint, failures.append, 1000)
    painter.show(0)
    assert painter.wait_idle(10)
    painter.show(4)
    assert painter.wait_idle(10)
    assert painted == [25]
    assert [type(failure) for failure in failures] == [ZeroDivisionError]


def test_a_failure_that_cannot_be_told_does_not_end_the_painting() -> None:
    """Where `fail` itself raises, the next thing is painted all the same."""
    painted: list[int] = []

    def paint(thing: int) -> None:
        painted.append(100 // thing)

    def fail(error: Exception) -> None:
        raise RuntimeError("nobody to tell") from error

    painter: Painter[int] = Painter(paint, fail, 1000)
    painter.show(0)
    assert painter.wait_idle(10)
    painter.show(4)
    assert painter.wait_idle(10)
    assert painted == [25]
