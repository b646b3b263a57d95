"""The recorded findings that the lessons are about."""

from __future__ import annotations

import pytest

from poolkit.panels import Findings, RecordedSource, SweepPanel
from poolkit.report.source import RECORDED, shared


@pytest.fixture(scope="session")
def source() -> RecordedSource:
    return RecordedSource(shared(RECORDED))


def findings(source: RecordedSource, name: str) -> Findings:
    return SweepPanel(source, name).open().result()


@pytest.fixture(scope="session")
def web(source: RecordedSource) -> Findings:
    return findings(source, "lab-http")


@pytest.fixture(scope="session")
def database(source: RecordedSource) -> Findings:
    return findings(source, "lab-db")
