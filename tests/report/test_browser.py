"""report.pdf: made wherever there is a Chromium that prints, whatever else it does."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from poolkit import doctor
from poolkit.report.browser import chromium, export_pdf

# What a browser writes when it is asked to print.
WRITES = r"""
for word in "$@"; do
  case "$word" in --print-to-pdf=*) printf '%%PDF-1.4\n%%%%EOF\n' > "${word#--print-to-pdf=}";; esac
done
"""


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only browser on this machine: a script that a test writes."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder / "chromium"


def write(browser: Path, body: str) -> None:
    browser.write_text(f"#!/bin/sh\n{body}")
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)


def page(folder: Path) -> Path:
    made = folder / "report.html"
    made.write_text("<!DOCTYPE html><title>a</title><p>A page.</p>")
    return made


def test_without_a_browser_there_is_no_pdf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No browser: no file, no error, no word, and an older one does not stay behind."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("poolkit.report.browser._ON_MAC", ())
    old = tmp_path / "report.pdf"
    old.write_bytes(b"old")
    assert export_pdf(page(tmp_path), old) is None
    assert not old.exists()
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("ending", "what"),
    [
        ("exit 0", "well"),
        ("exit 133", "with a crash after its work"),
        ("sleep 60", "not at all"),
        ("sleep 60 & exit 0", "leaving a helper that holds its output open"),
    ],
)
def test_a_finished_file_counts_however_the_browser_ends(
    browser: Path, tmp_path: Path, ending: str, what: str
) -> None:
    """Chromium ends in many ways once it has printed."""
    write(browser, WRITES + ending)
    begin = time.monotonic()
    made = export_pdf(page(tmp_path), tmp_path / "report.pdf", seconds=50)
    assert made is not None, what
    assert made.read_bytes().startswith(b"%PDF-")
    assert time.monotonic() - begin < 50


@pytest.mark.parametrize(
    ("body", "seconds", "why"),
    [
        ("echo 'no usable display' >&2; exit 3", 50, "ended with 3: no usable display"),
        ("sleep 60", 0.3, "took longer than 0.3 s"),
    ],
)
def test_why_there_is_none_is_told(
    browser: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    body: str,
    seconds: float,
    why: str,
) -> None:
    """Cause and remedy, where there is a browser and no PDF."""
    write(browser, body)
    assert export_pdf(page(tmp_path), tmp_path / "report.pdf", seconds) is None
    assert "report.pdf was not made" in caplog.text
    assert why in caplog.text
    assert "open report.html in a browser and print it from there" in caplog.text
    assert not (tmp_path / "report.pdf").exists()


def test_a_pdf_that_cannot_be_written_is_none(
    browser: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The report stands without it, and the log says why."""
    write(browser, WRITES)
    assert export_pdf(page(tmp_path), tmp_path / "gone" / "report.pdf") is None
    assert "report.pdf was not made: it cannot be written: No such file" in caplog.text


@pytest.mark.parametrize("name", ["chromium", "google-chrome-stable", "chrome"])
def test_it_is_printed_with_the_browser_that_the_doctor_finds(
    browser: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The doctor and the report agree on what a browser is called."""
    found = browser.with_name(name)
    write(found, WRITES)
    monkeypatch.setenv("PATH", f"{found.parent}:{tmp_path}")
    assert doctor.chromium is chromium
    assert chromium() == str(found)


@pytest.mark.browser
@pytest.mark.skipif(
    chromium() is None and not os.environ.get("CI"),
    reason="needs Chromium: apt-get install chromium",
)
def test_a_report_becomes_a_pdf(report: Path, tmp_path: Path) -> None:
    """Where Chromium is there the report is printed, the decision first."""
    printed = export_pdf(report, tmp_path / "report.pdf")
    assert printed is not None
    assert printed.read_bytes().startswith(b"%PDF-")
