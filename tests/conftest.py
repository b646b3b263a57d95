"""Shared by all tests: the groups of `make test`, one PostgreSQL, one review and its report."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from poolkit.lab.postgres import PostgresServer
from poolkit.report.execute import execute
from poolkit.report.export import export
from tests.report import synthetic_review

MARKED = ("live", "alone")  # groups by their mark; a test with neither runs beside others


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--group`, so that `-m` stays free for whoever runs the tests."""
    parser.addoption(
        "--group", choices=("side-by-side", *MARKED), help="run only the tests of this group"
    )


def group_of(item: pytest.Item) -> str:
    return next((name for name in MARKED if item.get_closest_marker(name)), "side-by-side")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file that does not name the mark of the group need not be imported: most of the tests."""
    group = config.getoption("group")
    if group not in MARKED or collection_path.suffix != ".py":
        return None
    return f"mark.{group}" not in collection_path.read_text(encoding="utf-8") or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the other groups."""
    group = config.getoption("group")
    if group is not None:
        config.hook.pytest_deselected(items=[item for item in items if group_of(item) != group])
        items[:] = [item for item in items if group_of(item) == group]


def pytest_sessionfinish() -> None:
    """Sockets that calls cut off on a busy machine leave behind fail no run whose tests passed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of 1000 accounts and 100 connections for all files that a process runs.

    Who kills it restarts it; who needs other limits, or leaves it changed, starts another.
    """
    with PostgresServer(accounts=1000) as server:
        yield server


@pytest.fixture(scope="session")
def review_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A review folder of four targets and one that could not be reached."""
    return synthetic_review.write(tmp_path_factory.mktemp("review"))


@pytest.fixture(scope="session")
def executed(review_dir: Path) -> Path:
    """The executed notebook of that review."""
    return execute(review_dir)


@pytest.fixture(scope="session")
def report(executed: Path, review_dir: Path) -> Path:
    """Its report.html."""
    return export(executed, review_dir / "report.html")
