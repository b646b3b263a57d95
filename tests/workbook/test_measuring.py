"""Lessons that name no target take the first that fits, and say so where none does."""

from __future__ import annotations

import asyncio
import signal
import threading
from pathlib import Path

import pytest

from poolkit.errors import BadInput
from poolkit.panels import FileSource, Findings, LabSource, RecordedSource, Request
from poolkit.panels.sources import Source
from poolkit.workbook import borrowed, database_target, measured, one_of_each
from poolkit.workbook.measuring import _allowed, in_thread, line

WEB = (
    '[targets.web]\ndriver = "httpx"\nurl = "http://127.0.0.1:1/"\ntarget_rate = 10\nmax_size = 8\n'
)
DATABASE = '[targets.orders]\ndriver = "psycopg"\ndsn = "postgresql://127.0.0.1/o"\n'


def own(folder: Path, text: str) -> FileSource:
    file = folder / "targets.toml"
    file.write_text(text, encoding="utf-8")
    return FileSource(file)


def test_the_first_of_each_kind(tmp_path: Path, source: RecordedSource) -> None:
    """As many as the source has; the lab's are those that the prose speaks of."""
    assert one_of_each(source) == ("lab-http", "lab-db")
    assert one_of_each(LabSource()) == ("lab-http", "lab-db")
    assert one_of_each(own(tmp_path, DATABASE + WEB)) == ("web", "orders")
    assert one_of_each(own(tmp_path, DATABASE)) == ("orders",)


def test_a_database_of_ones_own_or_the_labs(tmp_path: Path, source: RecordedSource) -> None:
    """Named, else the first; where there is none the lab lends its own."""
    mine: Source = own(tmp_path, WEB + DATABASE)
    assert database_target("", mine) == ("orders", mine)
    assert database_target("web", mine) == ("web", mine)
    assert database_target("", source) == ("lab-db", source)
    name, lent = database_target("", own(tmp_path, WEB))
    assert name == "lab-db"
    assert isinstance(lent, LabSource)


def test_what_is_lent_is_told(tmp_path: Path, source: RecordedSource) -> None:
    """A coloured line says whose figures they are, and nothing where they are the reader's."""
    (told,) = borrowed("lab-db", own(tmp_path, WEB))
    assert told.words == (
        "There is no database among web: these figures are of lab-db, the lab's own PostgreSQL, "
        "and say nothing about yours. Name a database in targets.toml and run this notebook again."
    )
    assert 'role="alert"' in told.html
    assert borrowed("lab-db", source) == ()
    assert borrowed("orders", own(tmp_path, DATABASE)) == ()


def test_a_lessons_sizes_keep_to_what_the_target_allows(tmp_path: Path) -> None:
    """Lessons name sizes for any target: the largest that is allowed stands for those beyond."""
    mine = own(tmp_path, WEB)
    assert _allowed((1, 4, 16), mine, "web") == (1, 4, 8)
    assert _allowed((1, 4), mine, "web") == (1, 4)
    assert _allowed((), mine, "web") == ()


def test_no_target_at_all_is_told(tmp_path: Path) -> None:
    """An empty file is no reason for a traceback of ours."""
    with pytest.raises(BadInput, match=r"no such target: \(none\)"):
        asyncio.run(measured(Request(), own(tmp_path, "")))


def test_a_replay_shows_nothing_of_its_own(source: RecordedSource, web: Findings) -> None:
    """`measured` gives what was recorded at once; outside a notebook its line goes nowhere."""
    found = asyncio.run(measured(Request("lab-http"), source))
    assert found.trials == web.trials
    line()("nobody sees it")


def test_an_interrupt_is_heard_while_a_thread_works() -> None:
    """A kernel's handler cancels the cell's task and wakes no loop: the wait wakes by itself."""
    over, ended = threading.Event(), list[bool]()

    async def cell() -> None:
        task = asyncio.current_task()
        assert task is not None
        before = signal.signal(signal.SIGALRM, lambda *_signal: task.cancel())
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        try:
            await in_thread(lambda: ended.append(over.wait(5.0)))
        finally:
            signal.signal(signal.SIGALRM, before)
            over.set()

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cell())
    assert ended == [True]
