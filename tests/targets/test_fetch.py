"""Answers that are no whole answer, byte by byte: named, and never taken for one."""

from __future__ import annotations

import gzip
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from poolkit.errors import BadInput
from poolkit.monitor.exposition import scrape
from poolkit.targets.production import fetch

PAGE = b'# TYPE poolkit_pool_size gauge\npoolkit_pool_size{pool="a",driver="asyncpg"} 10\n'


@contextmanager
def answering(answer: bytes, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The URL of a server that sends these bytes and closes."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(answer)

    class Server(socketserver.TCPServer):
        def get_request(self) -> Any:
            connection, address = super().get_request()
            return connection if tls is None else tls.wrap_socket(connection, True), address

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            scheme = "http" if tls is None else "https"
            yield f"{scheme}://127.0.0.1:{server.server_address[1]}/metrics"
        finally:
            server.shutdown()
            thread.join()


def http(body: bytes, *headers: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode() + body


@pytest.mark.parametrize(
    ("answer", "cause", "remedy"),
    [
        (http(PAGE, f"Content-Length: {len(PAGE) + 1}"), "answer was cut off", "half-way"),
        (
            http(b"ff\r\n" + PAGE, "Transfer-Encoding: chunked"),
            "its answer was cut off",
            "half-way",
        ),
        (http(gzip.compress(PAGE), "Content-Encoding: gzip"), "is compressed (gzip)", "a proxy"),
    ],
)
def test_half_an_answer_is_none(answer: bytes, cause: str, remedy: str) -> None:
    """Or one that nobody can read."""
    with answering(answer) as url, pytest.raises(BadInput) as caught:
        fetch(url, "it", timeout=5.0)
    assert cause in caught.value.cause
    assert remedy in caught.value.remedy


def test_a_page_whose_last_line_has_no_end_is_none() -> None:
    """Where nothing else tells how long it is: 10 connections are not 1."""
    with answering(http(PAGE)) as url:
        assert scrape(url).pools["a"].values == {"poolkit_pool_size": 10.0}
    with answering(http(PAGE[:-2])) as url, pytest.raises(BadInput, match="was cut off"):
        scrape(url)


def test_an_authority_that_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the remedy says helps."""
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
    words += " -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout key -out ca.pem"
    subprocess.run(words.split(), cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key")
    with answering(http(PAGE), context) as url:
        with pytest.raises(BadInput, match="certificate is not trusted: self-signed") as caught:
            fetch(url, "it", timeout=5.0)
        assert "export SSL_CERT_FILE=ca.pem" in caught.value.remedy
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert fetch(url, "it", timeout=5.0) == PAGE
