"""A real JupyterLab on loopback, with settings and files of its own."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

SETTINGS: dict[str, dict[str, Any]] = {
    "@jupyterlab/apputils-extension/notification": {
        "checkForUpdates": False,
        "fetchNews": "false",
    },
    "@jupyterlab/apputils-extension/kernels-settings": {"commsOverSubshells": "perCommTarget"},
    # Every cell stays in the page, seen or not.
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension/themes": {"theme": "JupyterLab Light"},
}
START = 120.0  # s


class LabServer:
    """JupyterLab in a process of its own; `folder` is what it serves."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder / "served"
        self.folder.mkdir()
        self._settings = folder / "settings"
        self._runtime = folder / "runtime"
        self.token = secrets.token_hex(16)
        for name, values in SETTINGS.items():
            self.set(name, values)
        own = {
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_RUNTIME_DIR": str(self._runtime),
            "JUPYTERLAB_SETTINGS_DIR": str(self._settings),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            "IPYTHONDIR": str(folder / "ipython"),
        }
        self._log = (folder / "log").open("w", encoding="utf-8")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                *("--ServerApp.ip=127.0.0.1", "--ServerApp.port=0"),
                f"--IdentityProvider.token={self.token}",
                f"--ServerApp.root_dir={self.folder}",
                "--LabApp.expose_app_in_browser=True",
                "--LabApp.extension_manager=readonly",
                "--KernelManager.shutdown_wait_time=2",
            ],
            stdout=self._log,
            stderr=self._log,
            env=os.environ | own | environment,
        )
        self.url = self._wait()

    def _wait(self) -> str:
        """The address that the server wrote down, once it answers there."""
        until = time.monotonic() + START
        while time.monotonic() < until and self.process.poll() is None:
            for file in self._runtime.glob("jpserver-*.json"):
                with contextlib.suppress(OSError, ValueError):
                    url = str(json.loads(file.read_text(encoding="utf-8"))["url"])
                    self._get(url + "api/status")
                    return url
            time.sleep(0.05)
        self._log.flush()
        raise AssertionError(Path(self._log.name).read_text(encoding="utf-8")[-3000:])

    def _get(self, address: str) -> Any:
        request = urllib.request.Request(address, headers={"Authorization": f"token {self.token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def kernels(self) -> list[dict[str, Any]]:
        """The kernels that run, as the server names them."""
        found: list[dict[str, Any]] = self._get(self.url + "api/kernels")
        return found

    def end_kernels(self) -> None:
        """End every kernel, and what it started."""
        for kernel in self.kernels():
            request = urllib.request.Request(
                f"{self.url}api/kernels/{kernel['id']}",
                headers={"Authorization": f"token {self.token}"},
                method="DELETE",
            )
            # One that is restarting just now may be another by then.
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(request, timeout=20).close()

    def set(self, name: str, values: dict[str, Any]) -> None:
        """Change a setting; a page sees it once it is loaded anew."""
        file = self._settings / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values), encoding="utf-8")

    def address(self, notebook: str) -> str:
        """Where a notebook opens, in a workspace that nobody has used."""
        workspace = f"{Path(notebook).stem}-{secrets.token_hex(4)}"
        return f"{self.url}lab/workspaces/{workspace}/tree/{notebook}?token={self.token}"

    def measuring(self) -> list[psutil.Process]:
        """The processes that measure now, those of every kernel of this server."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "--events" in process.cmdline():
                    found.append(process)
        return found

    def close(self) -> None:
        """End the server and its kernels."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        _, alive = psutil.wait_procs(children, 5)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._log.close()


@contextlib.contextmanager
def lab_server(folder: Path, environment: dict[str, str]) -> Iterator[LabServer]:
    """A JupyterLab while the block runs."""
    server = LabServer(folder, environment)
    try:
        yield server
    finally:
        server.close()
