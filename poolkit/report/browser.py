"""Chromium: where it is on this machine, and how it prints a page as a PDF."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_ON_MAC = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
# fmt: off
_PRINTING = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    # A container's /dev/shm is often 64 MB, which a page of many charts does not fit in.
    "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-pdf-header-footer",
)
# fmt: on
_SECONDS, _SETTLED = 90.0, 0.5
_END = b"%%EOF"


def chromium() -> str | None:
    """The path of this machine's Chromium or Chrome; None where there is none."""
    found = (shutil.which(name) for name in _NAMES)
    on_mac = (path for path in _ON_MAC if Path(path).exists())
    return next((path for path in (*found, *on_mac) if path), None)


def export_pdf(report: Path, out: Path, seconds: float = _SECONDS) -> Path | None:
    """Print report.html to the PDF `out` with Chromium; None where there is none or it fails.

    An older `out` does not stay behind. It takes some seconds and is given up after `seconds`; why
    it failed is logged as a warning. A finished file is what counts, not how the browser ends: on
    some machines it does not, or not with 0.
    """
    out.unlink(missing_ok=True)
    browser = chromium()
    if browser is None:
        return None
    # Chromium writes into its profile until its last helper has ended.
    with tempfile.TemporaryDirectory(prefix="poolkit-pdf-", ignore_cleanup_errors=True) as folder:
        printed = Path(folder) / "printed.pdf"
        command = [browser, *_PRINTING, f"--user-data-dir={folder}/profile"]
        command += [f"--print-to-pdf={printed}", report.resolve().as_uri()]
        why = _print(command, printed, Path(folder) / "said", seconds)
        try:
            if not why:
                shutil.copyfile(printed, out)
        except OSError as error:
            out.unlink(missing_ok=True)  # what there was room for
            why = f"it cannot be written: {error.strerror}"
        if why:
            logging.getLogger(__name__).warning(
                "%s was not made: %s. What to do: open %s in a browser and print it from there",
                *(out.name, why, report.name),
            )
            return None
    return out


def _print(command: list[str], printed: Path, said: Path, seconds: float) -> str:
    """Run the command until `printed` is whole; empty, or why it never was."""
    until = time.monotonic() + seconds
    with said.open("wb") as errors:
        try:
            browser = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,  # a file: its helpers may hold a pipe open after it has ended
                start_new_session=True,
            )
        except OSError as error:
            return f"{command[0]} cannot be started: {error.strerror}"
        try:
            while browser.poll() is None and time.monotonic() < until and not _is_whole(printed):
                time.sleep(0.05)
            with contextlib.suppress(subprocess.TimeoutExpired):
                browser.wait(_SETTLED if _is_whole(printed) else 0)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()
    if _is_whole(printed):
        return ""
    if time.monotonic() >= until:
        return f"{command[0]} took longer than {seconds:g} s"
    lines = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = f": {lines[-1][:200]}" if lines else ""
    return f"{command[0]} ended with {browser.returncode}{last}"


def _is_whole(printed: Path) -> bool:
    """Whether the file has its end; it is written from front to back."""
    try:
        with printed.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 32))
            return _END in file.read()
    except OSError:
        return False
