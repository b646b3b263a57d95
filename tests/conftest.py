"""Shared by all tests: one synthetic review, and one report made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from poolkit.report.execute import execute
from poolkit.report.export import export
from tests.report import synthetic_review


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
