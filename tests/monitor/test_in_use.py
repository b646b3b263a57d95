"""Seconds and calls that came back, by connections in use: what is counted, and how it is read."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from poolkit.drivers.hooks import Hook
from poolkit.errors import BadInput
from poolkit.monitor import instrument, names, tap
from poolkit.monitor.calls import Sites
from poolkit.monitor.exposition import PoolFigures, State, parse, states
from poolkit.monitor.in_use import WINDOW, InUse
from poolkit.monitor.tap import Tap
from tests.monitor.beside import Bench, run

SIZE = 2

# What may happen next, and how much later: whole seconds, so that sums are exact.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["ask"] * 3 + ["end"] * 2 + ["dial fails", "gives up", "collected", "read"]
        ),
        st.integers(0, 3),
    ),
    max_size=60,
)


@given(STEPS)
@example([("ask", 1)] * 4 + [("end", 1), ("gives up", 2), ("end", 1), ("end", 3)])
def test_seconds_and_releases_are_those_of_a_slow_count(steps: list[tuple[str, int]]) -> None:
    """Against a count in which a freed connection passes to the first that waits, at once."""
    now, key = 100.0, 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tap, "perf_counter", lambda: now)
        books = Tap(Hook(None), Sites(()))
        begun = now
        waiting: list[Any] = []
        held: dict[int, Any] = {}
        passes: list[Any] = []  # that get their connection at the next step: it is on its way
        seconds, releases = (dict.fromkeys(range(SIZE + 1), 0.0) for _ in range(2))
        level = 0

        def hand_over() -> None:
            nonlocal key
            while passes:
                key += 1
                held[key] = passes.pop(0)
                books.got(held[key], key)

        for what, later in steps:
            now += later
            seconds[level] += later
            hand_over()
            if what == "read":
                books.fold()
            elif what == "ask":
                call = books.ask(None)
                (passes if len(held) < SIZE else waiting).append(call)
                hand_over()
            elif what == "gives up" and waiting:
                books.failed(waiting.pop(), is_timeout=True, is_cancelled=False)
            elif what == "dial fails" and len(held) < SIZE:
                call = books.ask(None)
                books.takes_slot(call)
                seconds.setdefault(level + 1, 0.0)
                releases.setdefault(level + 1, 0)
                books.failed(call, is_timeout=False, is_cancelled=False)
            elif what in ("end", "collected") and held:
                releases[level] += what == "end"
                books.back(one := next(iter(held)), is_collected=what == "collected")
                del held[one]
                if waiting:
                    passes.append(waiting.pop(0))
            level = len(held) + len(passes)
            seconds.setdefault(level, 0.0)
            releases.setdefault(level, 0)
        found = books.states(names.step, SIZE)
    assert found[:2] == (seconds, releases)
    assert sum(found[0].values()) == now - begun
    assert found[2] <= max(seconds)


def test_the_peak_is_right_for_whoever_scrapes() -> None:
    """All since the last answer, however long ago, and what others were told within a minute."""
    books = InUse(0.0)

    def peak(at: float) -> float:
        return books.read(at, None, names.step)[2]

    for at, out in ((1.0, 1), (2.0, 2), (3.0, 3)):
        books.rise(at, out)
    books.fall(4.0, 1, True)
    assert peak(10.0) == 3
    assert peak(11.0) == 3  # another scraper
    assert peak(10.0 + WINDOW) == 3
    assert peak(11.1 + WINDOW) == 1
    books.rise(80.0, 2)
    books.fall(80.1, 1, True)
    assert peak(500.0) == 2  # a single one that comes seldom
    assert peak(501.0 + WINDOW) == 1


def test_a_moment_that_comes_late_takes_nothing_back() -> None:
    """Stamped before another thread's reading and told after it: a counter never falls."""
    books = InUse(0.0)
    books.rise(1.0, 1)
    first, _, _ = books.read(3.0, None, names.step)
    books.fall(2.5, 0, True)
    assert books.read(3.0, None, names.step)[:2] == (first, {0: 0.0, 1: 1.0})
    assert books.read(4.0, None, names.step)[0] == {0: 2.0, 1: 2.0}


def test_a_pool_never_has_more_in_use_than_its_size() -> None:
    """The next call may be served before the one that made way says so: at 2 of 2, 3 seem to be."""
    books = InUse(0.0)
    books.rise(1.0, 2)
    books.rise(2.0, 3)
    books.fall(2.5, 2, True)
    books.fall(4.0, 1, True)
    whole = ({0: 1.0, 1: 2.0, 2: 3.0}, {0: 0, 1: 0, 2: 2}, 2)
    assert books.read(6.0, 2, names.step) == whole
    # What a smaller or a larger one had stays there.
    assert books.read(6.0, 1, names.step) == whole
    assert books.read(6.0, 3, names.step)[0] == {**whole[0], 3: 0.0}


@pytest.mark.parametrize(("size", "told"), [(3, 3), (64, 64), (200, 64), (None, 1)])
def test_what_may_come_is_told_before_it_comes(size: int | None, told: int) -> None:
    """A Prometheus that meets a counter with its first increments in it loses them."""
    books = InUse(0.0)
    books.rise(1.0, 1)
    seconds, releases, _ = books.read(2.0, size, names.step)
    assert seconds == {0: 1.0, 1: 1.0} | dict.fromkeys(range(2, told + 1), 0.0)
    assert releases == dict.fromkeys(range(told + 1), 0.0)
    books.rise(3.0, 70)
    assert set(books.read(4.0, size, names.step)[0]) == {
        names.step(n).start for n in range(71) if size is None or n <= size
    }


@given(st.integers(0, 3000))
def test_numbers_in_use_share_a_label_within_four_percent(n: int) -> None:
    """Each has one step, which everything in it agrees on; exact up to 64."""
    step = names.step(n)
    assert n in step
    assert {names.step(one) for one in step} == {step}
    assert step.stop <= max(n + 1, step.start * 1.04 + 1e-9)
    assert (len(step) == 1) or n > 64


def test_labels_are_few() -> None:
    """140 for a pool of 1000, one after the other without a gap."""
    found = sorted({names.step(n).start: names.step(n) for n in range(1001)}.items())
    assert all(one.stop == after.start for (_, one), (_, after) in pairwise(found))
    assert len(found) == 140


def text(counts: dict[int, tuple[float, int]], start: float = 5.0, worker: str = "7") -> str:
    of = f'pool="p",driver="asyncpg",worker="{worker}"'
    lines = [
        f"# TYPE {names.START.name} gauge",
        f"{names.START.name}{{{of}}} {start}",
    ]
    for at, metric in enumerate((names.STATE_SECONDS, names.STATE_RELEASES)):
        lines.append(f"# TYPE {metric.name}_total counter")
        lines += [
            f'{metric.name}_total{{{of},in_use="{n}"}} {pair[at]}' for n, pair in counts.items()
        ]
    return "\n".join(lines) + "\n"


def figures(counts: dict[int, tuple[float, int]], start: float = 5.0) -> PoolFigures:
    return parse(text(counts, start), "a text")["p"]


def test_states_are_read_as_counters_are() -> None:
    """The difference of two scrapes; what was not there before began at 0; a label's middle."""
    before = figures({0: (10.0, 0), 1: (5.0, 50)})
    after = figures({0: (11.0, 0), 1: (7.0, 70), 2: (0.5, 9), 99: (1.0, 30)})
    assert states(before) == (State(0, 10.0, 0), State(1, 5.0, 50))
    assert states(after, before) == (
        State(0, 1.0, 0),
        State(1, 2.0, 20),
        State(2, 0.5, 9),
        State(100, 1.0, 30),  # 99 to 101
    )
    assert states(after, after) == ()


def test_a_count_that_began_anew_counts_from_nothing() -> None:
    """Told by its start, or, of several workers, by any count that is less than it was."""
    before = figures({0: (10.0, 0), 1: (5.0, 50)})
    again = figures({0: (12.0, 0), 1: (6.0, 60)}, start=9.0)
    assert states(again, before) == states(again)
    less = figures({0: (12.0, 0), 1: (4.0, 60)})
    assert states(less, before) == states(less)
    assert states(replace(again, states={}), before) == ()


def test_states_of_workers_are_added_up() -> None:
    """n is of one worker's pool: two that have one in use each are two seconds at 1."""
    both = text({0: (1.0, 0), 1: (2.0, 20)}) + text({1: (3.0, 30)}, worker="8")
    assert states(parse(both, "a text")["p"]) == (State(0, 1.0, 0), State(1, 5.0, 50))


@pytest.mark.parametrize("label", ["-1", "one", "10000000000", "2.5"])
def test_a_label_that_no_step_has_is_refused(label: str) -> None:
    """Another's metric of the same name, or a broken one: named, not guessed at."""
    broken = text({1: (1.0, 1)}).replace('in_use="1"', f'in_use="{label}"')
    with pytest.raises(BadInput, match="is not an exposition"):
        parse(broken, "a text")


@pytest.mark.lab
def test_every_driver_counts_its_states(bench: Bench) -> None:
    """All the time is of some n, each call came back out of one, and their mean is Little's."""
    registry, calls = CollectorRegistry(), 12

    def read() -> PoolFigures:
        return parse(generate_latest(registry).decode(), "the registry")["p"]

    async def caller(pool: Any) -> None:
        for _ in range(calls // 4):
            async with bench.hold(pool):
                await asyncio.sleep(0.02)

    async def go() -> tuple[PoolFigures, PoolFigures, float, float]:
        async with bench.open(2) as pool:
            before = time.perf_counter()
            with instrument(pool, name="p", registry=registry):
                after = time.perf_counter()
                await asyncio.gather(*(caller(pool) for _ in range(4)))
                least = time.perf_counter() - after
                done = read()
                return done, read(), least, time.perf_counter() - before

    seen, later, least, most = run(go())
    found = states(seen)
    assert least <= sum(state.seconds for state in found) <= most
    assert [state.in_use for state in found] == [0, 1, 2]
    assert sum(state.releases for state in found) == calls
    assert seen.values[names.PEAK_IN_USE.name] == 2
    # Little's law; between two calls a connection may be of neither or of both for a moment.
    in_use = sum(state.in_use * state.seconds for state in found)
    assert in_use == pytest.approx(seen.times[names.HOLD.name].total, rel=0.25)
    # Idle from then on.
    assert [state.in_use for state in states(later, seen)] == [0]
