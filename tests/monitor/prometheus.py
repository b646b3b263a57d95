"""Debian's Prometheus on a free port of 127.0.0.1, as a context manager."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

import pytest

START_TIMEOUT = 20.0  # s


def find_prometheus() -> str:
    """The program; skips the test where it is not installed, but not in continuous integration."""
    found = shutil.which("prometheus")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("prometheus is not installed: apt-get install prometheus")
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    return found


class Prometheus:
    """A Prometheus that scrapes one address four times a second and keeps all in its own folder.

    Args:
        target: HOST:PORT whose /metrics is scraped.
        history: samples that it has from before, in the OpenMetrics format.
    """

    def __init__(self, target: str, history: str = "") -> None:
        self._target = target
        self._history = history
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> Prometheus:
        program = find_prometheus()
        self._folder = Path(tempfile.mkdtemp(prefix="poolkit-prometheus-"))
        try:
            config = self._folder / "prometheus.yml"
            config.write_text(
                "global: {scrape_interval: 250ms, scrape_timeout: 250ms}\n"
                "scrape_configs:\n"
                f"- {{job_name: service, static_configs: [{{targets: ['{self._target}']}}]}}\n",
                encoding="utf-8",
            )
            if self._history:
                (self._folder / "history").write_text(self._history, encoding="utf-8")
                # A block for each two hours, the default, takes minutes for a year.
                blocks = "--max-block-duration=8760h"
                made = ("tsdb", "create-blocks-from", "openmetrics", blocks, "history", "data")
                subprocess.run(["promtool", *made], cwd=self._folder, check=True, timeout=60)
            port = _free_port()
            self.url = f"http://127.0.0.1:{port}"
            with (self._folder / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    [
                        program,
                        f"--config.file={config}",
                        f"--storage.tsdb.path={self._folder / 'data'}",
                        "--storage.tsdb.retention.time=10y",
                        f"--web.listen-address=127.0.0.1:{port}",
                        "--log.level=warn",
                    ],
                    stdout=log,
                    stderr=log,
                    cwd=self._folder,
                )
            self._wait()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it and remove its folder."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError((self._folder / "log").read_text(errors="replace"))
            try:
                urllib.request.urlopen(f"{self.url}/-/ready", timeout=1.0).close()
            except urllib.error.HTTPError as error:
                error.close()
                time.sleep(0.05)
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"prometheus was not ready within {START_TIMEOUT:g} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
