"""An HTTP upstream of known capacity, as a context manager."""

from __future__ import annotations

import importlib.util
import json
import ssl
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
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
        tls_names: host names, besides 127.0.0.1, of a certificate made for the occasion; the
            server then speaks TLS. None: plain HTTP.

    Use it in a `with`; a `start()` before it lets several begin side by side. Raises `MissingExtra`
    where httptools is not installed, or trustme, which makes the certificate.
    """

    module = "poolkit.lab.serve_http"
    needs: tuple[str, ...] = ("httptools",)

    def __init__(
        self,
        model: Model,
        *,
        keepalive: float | None = None,
        status: int = 200,
        port: int = 0,
        tls_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(
            model=json.dumps(to_dict(model)),
            port=port,
            keepalive=keepalive,
            status=status,
            tls_names=None if tls_names is None else ",".join(("127.0.0.1", *tls_names)),
        )
        self.truth = model
        self._is_tls = tls_names is not None
        if self._is_tls:
            self.needs = (*self.needs, "trustme")

    @property
    def certificate(self) -> Path:
        """The file that clients must trust, where it speaks TLS; gone at the end."""
        return Path(self._state["folder"]) / "certificate.pem"

    @property
    def port(self) -> int:
        """TCP port on 127.0.0.1, the same over restarts; known when the server is ready."""
        return int(self._state["port"])

    @property
    def url(self) -> str:
        """Where a GET is a call to the model."""
        scheme = "https" if self._is_tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}/"

    def stats(self) -> dict[str, Any]:
        """What the server has done so far: `served`, `max_in_service`, `connections_opened` ..."""
        # Not urllib: it would ask the proxy that the environment may name.
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        if self._is_tls:
            context = ssl.create_default_context(cafile=self.certificate)
            connection = HTTPSConnection("127.0.0.1", self.port, timeout=5, context=context)
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
        self._options["port"] = self.port
        self.start()
        self.wait_ready()


def can_speak_tls() -> bool:
    """Whether a certificate can be made on this machine."""
    return importlib.util.find_spec("trustme") is not None
