"""How far a look is, said while it lasts; no second passes here."""

from __future__ import annotations

import pytest

from poolkit.events import Event, Step
from poolkit.observe.looking import STEPS, Looking
from poolkit.observe.scraping import window_length
from poolkit.show import narration


@pytest.mark.parametrize(("seconds", "every"), [(30.0, 10.0), (300.0, 10.0), (3600.0, 120.0)])
def test_it_speaks_every_so_often(seconds: float, every: float) -> None:
    """At the start, and evenly from there to the end; at most thirty times, 10 s apart at least."""
    told: list[Event] = []
    slept: list[float] = []
    looking = Looking("orders-db", "looking", seconds, told.append, sleep=slept.append)
    length = window_length(seconds)
    for _ in range(int(seconds / length)):
        looking.pause(length)
    assert sum(slept) == pytest.approx(seconds)
    steps = [one for one in told if isinstance(one, Step)]
    assert [one.passed for one in steps] == [every * n for n in range(int(seconds / every))]
    assert len(steps) == len(told) <= STEPS
    assert narration.sentence(steps[0]) == f"looking (at most {seconds:.0f} s)"
    last = f"looking: {int((seconds - every) / length) + 1} scrapes (at most {every:.0f} s more)"
    assert narration.sentence(steps[-1]) == last
