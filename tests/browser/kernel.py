"""One Jupyter kernel of a chosen ipykernel, spoken to in messages as a page does."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

PATIENCE = 90.0  # s


def install(version: str, folder: Path) -> str | None:
    """Put this ipykernel into `folder`, once; why that was not possible, or None."""
    if (folder / "ipykernel").is_dir():
        return None
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
            ),
            *("--disable-pip-version-check", "--target", str(folder)),
            *(f"ipykernel=={version}", "nest-asyncio"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return (
        None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["pip failed"])[-1]
    )


class Kernel:
    """A kernel's widgets from outside: what they show, and clicks on them.

    State: the traits of every widget, as its messages say.
    """

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self._manager = manager
        self._client = client
        self._subshell: str | None = None
        self.widgets: dict[str, dict[str, Any]] = {}
        self.info: dict[str, Any] = client.kernel_info(reply=True, timeout=PATIENCE)["content"]

    @property
    def version(self) -> str:
        """The ipykernel that answers."""
        return self.run("import ipykernel; print(ipykernel.__version__)").strip()

    def open_subshell(self) -> bool:
        """Send what follows over a subshell; whether this kernel has them."""
        if "kernel subshells" not in self.info.get("supported_features", ()):
            return False
        message = self._client.session.msg("create_subshell_request", {})
        self._client.control_channel.send(message)
        reply = self._client.get_control_msg(timeout=PATIENCE)
        self._subshell = reply["content"]["subshell_id"]
        return True

    def start(self, code: str) -> str:
        """Send a cell without waiting for its end; the id of its message."""
        return str(self._client.execute(code, allow_stdin=False))

    def run(self, code: str) -> str:
        """Run a cell, and return what it printed; an AssertionError where it raised."""
        asked = self.start(code)
        printed: list[str] = []

        def is_idle(message: dict[str, Any]) -> bool:
            if message["parent_header"].get("msg_id") != asked:
                return False
            content = message["content"]
            assert message["msg_type"] != "error", content["traceback"]
            if message["msg_type"] == "stream" and content["name"] == "stdout":
                printed.append(content["text"])
            return bool(message["msg_type"] == "status" and content["execution_state"] == "idle")

        self._listen(is_idle)
        return "".join(printed)

    def click(self, widget: str) -> None:
        """A click on a button, as the page says it."""
        self._send(widget, {"method": "custom", "content": {"event": "click"}})

    def set(self, widget: str, value: object) -> None:
        """Another value in a control, as the page says it."""
        self._send(widget, {"method": "update", "state": {"value": value}, "buffer_paths": []})

    def wait_shown(self, widget: str, holds: Callable[[str], object]) -> str:
        """The value of a widget once `holds` is true of it."""
        value = str(self.widgets.get(widget, {}).get("value", ""))
        if not holds(value):
            self._listen(lambda _: holds(str(self.widgets.get(widget, {}).get("value", ""))))
        return str(self.widgets[widget]["value"])

    def wait_any(self, holds: Callable[[str], object]) -> None:
        """Wait until `holds` is true of the value of one of the widgets."""

        def is_shown() -> bool:
            return any(holds(str(traits.get("value", ""))) for traits in self.widgets.values())

        if not is_shown():
            self._listen(lambda _: is_shown())

    def shown(self) -> Iterator[str]:
        """The values of all widgets, in short, for who must find out what went wrong."""
        for traits in self.widgets.values():
            if traits.get("value"):
                yield str(traits["value"])[-300:]

    def _send(self, widget: str, data: dict[str, Any]) -> None:
        content = {"comm_id": widget, "data": data}
        message = self._client.session.msg("comm_msg", content)
        if self._subshell is not None:
            message["header"]["subshell_id"] = self._subshell
        self._client.shell_channel.send(message)

    def _listen(self, is_enough: Callable[[dict[str, Any]], object]) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with contextlib.suppress(queue.Empty):
                message = self._client.get_iopub_msg(timeout=0.5)
                self._note(message)
                if is_enough(message):
                    return
        raise AssertionError(f"not said within {PATIENCE:g} s; {list(self.shown())}")

    def _note(self, message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] in ("comm_open", "comm_msg"):
            state = content["data"].get("state", {})
            self.widgets.setdefault(content["comm_id"], {}).update(state)


@contextlib.contextmanager
def kernel(environment: dict[str, str]) -> Iterator[Kernel]:
    """A kernel of this interpreter, its environment changed so, while the block runs."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env=os.environ | environment)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
