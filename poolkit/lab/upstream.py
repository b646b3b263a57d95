"""An HTTP upstream of known capacity, as a context manager."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import Any

from poolkit.lab.child import Child
from poolkit.lab.models import Model, to_dict


class HttpUpstream(Child):
    """An HTTP server in a process of its own that behaves as `model` says.

    Args:
        model: the service model; its numbers are the truth that a sweep should find.
        keepalive: s after which the server closes an idle connection; None: never.
        status: HTTP status of every answer.
        port: 0 for any free one.

    Use it in a `with`; a `start()` before it lets several begin side by side. Raises `MissingExtra`
    where httptools is not installed.
    """

    module = "poolkit.lab.serve_http"
    needs = ("httptools",)

    def __init__(
        self, model: Model, *, keepalive: float | None = None, status: int = 200, port: int = 0
    ) -> None:
        super().__init__()
        self.truth = model
        self._state = {"port": port}
        self._keepalive = keepalive
        self._status = status

    def _arguments(self) -> list[str]:
        arguments = ["--model", json.dumps(to_dict(self.truth))]
        arguments += ["--port", str(self.port), "--status", str(self._status)]
        return arguments + (
            [] if self._keepalive is None else ["--keepalive", f"{self._keepalive}"]
        )

    @property
    def port(self) -> int:
        """TCP port on 127.0.0.1, the same over restarts; known when the server is ready."""
        return int(self._state["port"])

    @property
    def url(self) -> str:
        """Where a GET is a call to the model."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._running().pid

    def stats(self) -> dict[str, Any]:
        """What the server has done so far: `served`, `max_in_service`, `connections_opened` ..."""
        # Not urllib: it would ask the proxy that the environment may name.
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/-/stats")
            answer: dict[str, Any] = json.load(connection.getresponse())
        finally:
            connection.close()
        return answer

    def kill(self) -> None:
        """End the server at once, as a crash would; `restart` brings it back on the same port."""
        with self._running() as process:
            process.kill()

    def restart(self) -> None:
        """Start the server anew on the same port, its model back at the beginning."""
        self.close()
        self.start()
        self.wait_ready()


def http_upstream(
    model: Model, *, keepalive: float | None = None, status: int = 200
) -> HttpUpstream:
    """An HTTP upstream for a `with` statement."""
    return HttpUpstream(model, keepalive=keepalive, status=status)
