"""`nothing was sent` is only said where it is true: servers count who connects."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from poolkit.cli.application import app

CLAIMS = ("nothing was sent", "no load was sent")


@contextlib.contextmanager
def counting() -> Iterator[tuple[int, list[object]]]:
    """A port of this machine, and everybody who connected to it."""
    seen: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        end = threading.Event()

        def accept() -> None:
            while not end.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, peer = server.accept()
                    seen.append(peer)
                    connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1], seen
        finally:
            end.set()
            thread.join()


GOOD = """\
[targets.orders-api]
driver = "aiohttp"
url = "http://127.0.0.1:{port}/orders"
target_rate = 500
"""
ASKED = '{{ prometheus = "http://127.0.0.1:{port}", query = "sum(x)" }}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD + "max_sise = 3\n", ["size", "orders-api"]),
        (GOOD + "max_size = 0\n", ["probe", "orders-api"]),
        (GOOD.replace("500", ASKED) + "max_size = 0\n", ["review"]),
        (GOOD + "gate = 5\n", ["sweep", "orders-api", "--events"]),
        (GOOD, ["size", "order-api"]),
        (GOOD, ["review", "--only", "order-api"]),
        (GOOD, ["size", "orders-api", "--rate", "0", "--budget", "0"]),
        (GOOD, ["review", "--budget", "0", "--seed", "-1"]),
    ],
)
def test_who_claims_that_nothing_was_sent_connected_to_nobody(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    """Neither to the target nor to the server that is asked for its rate."""
    path = tmp_path / "targets.toml"
    with counting() as (port, seen):
        path.write_text(text.format(port=port), encoding="utf-8")
        out = tmp_path / "out"
        result = CliRunner().invoke(app, [*words, "--targets", str(path), "--out", str(out)])
        assert result.exit_code == 2
        said = result.stdout + result.stderr
        assert any(claim in said for claim in CLAIMS), said
    assert seen == []


def test_whoever_was_dialled_makes_no_such_claim(tmp_path: Path) -> None:
    """A target that closes at once was sent a call."""
    path = tmp_path / "targets.toml"
    with counting() as (port, seen):
        path.write_text(GOOD.format(port=port), encoding="utf-8")
        words = ["size", "orders-api", "--targets", str(path), "--out", str(tmp_path / "out")]
        result = CliRunner().invoke(app, words)
    assert result.exit_code == 3
    assert seen
    said = result.stdout + result.stderr + (tmp_path / "out/recommended.md").read_text("utf-8")
    assert "nothing was sent" not in said
