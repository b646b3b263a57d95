"""An upstream that speaks TLS: checked by the client, byte for byte, ends and all."""

from __future__ import annotations

import socket
import ssl

import pytest

from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream, can_speak_tls

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        not can_speak_tls(), reason="trustme is not installed: pip install 'poolkit[lab]'"
    ),
]

ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_calls_go_through_and_an_idle_end_too() -> None:
    """Its certificate is for the names that were asked; the upstream's close reaches the client."""
    names = ("localhost", "other.test")
    with HttpUpstream(Workers(2, service_time=0.001), keepalive=0.3, tls_names=names) as front:
        context = ssl.create_default_context(cafile=str(front.certificate))
        for name in ("localhost", "other.test"):
            with (
                socket.create_connection(("127.0.0.1", front.port), timeout=5.0) as plain,
                context.wrap_socket(plain, server_hostname=name) as secure,
            ):
                secure.sendall(ASK)
                assert secure.recv(4096).startswith(b"HTTP/1.1 200")
                assert secure.recv(4096) == b""  # after 0.3 s of silence
        with (
            socket.create_connection(("127.0.0.1", front.port), timeout=5.0) as plain,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            context.wrap_socket(plain, server_hostname="nobody.test")
        assert front.stats()["served"] == 2
        folder = front.certificate.parent
        assert folder.exists()
    assert not folder.exists()
