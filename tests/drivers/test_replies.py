"""No reply fills memory: every driver cuts off a call that receives more than `max_reply`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from poolkit.errors import Unreachable
from poolkit.lab.postgres import PostgresServer
from tests.drivers.floods import REPLIES, call_in_child, flooding_postgres, flooding_redis, serving
from tests.faults.driving import Command

pytestmark = pytest.mark.lab

MOST = 8 * 2**20
# MB that memory may grow by: the reply itself, its pieces joined or its rows as objects.
GROWTH = 60.0
POSTGRES = ("asyncpg", "sqlalchemy", "psycopg")
HTTP = ({"driver": "aiohttp"}, {"driver": "httpx"}, {"driver": "httpx", "library": "httpx2"})


@pytest.fixture(scope="module")
def http() -> Iterator[str]:
    with serving() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def dsn(postgres: PostgresServer) -> str:
    return postgres.dsn


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("keys", HTTP, ids=lambda keys: keys.get("library", keys["driver"]))
def test_a_body_without_end_is_cut_off(http: str, keys: dict[str, str], loop: str) -> None:
    """Raw and decompressed, with a length or without; and the next call finds a sound pool."""
    targets = [{"url": f"{http}/{reply}", "max_reply": MOST, **keys} for reply in REPLIES]
    said = call_in_child(targets, loop)
    kinds = dict(zip(REPLIES, said.kinds, strict=True))
    assert set(kinds.pop("headers")) & {"ok", "call_timeout"} == set()  # a limit of the library's
    if keys["driver"] == "aiohttp":
        assert kinds.pop("gzip-twice") == ["ok", "ok"]  # which it leaves as it is
    assert {reply: set(pair) for reply, pair in kinds.items()} == {
        reply: {"too_large"} for reply in kinds
    }
    assert said.grown < GROWTH
    assert not said.stderr


@pytest.mark.parametrize("keys", HTTP, ids=lambda keys: keys.get("library", keys["driver"]))
def test_the_limit_is_exact(http: str, keys: dict[str, str]) -> None:
    """Of what a compressed body comes to."""
    sizes = (1000, MOST, MOST + 1)
    said = call_in_child([{"url": f"{http}/{s}", "max_reply": MOST, **keys} for s in sizes])
    assert said.kinds == [["ok", "ok"], ["ok", "ok"], ["too_large", "too_large"]]


def test_heads_without_end_fill_nothing(http: str) -> None:
    """Under uvloop, which reads megabytes before any task runs."""
    said = call_in_child([{"url": f"{http}/continue", "max_reply": MOST, "driver": "aiohttp"}])
    assert said.kinds == [["too_large", "too_large"]]
    assert said.grown < GROWTH
    assert not said.stderr


@pytest.mark.parametrize("function", ["read_all", "read_pieces"])
def test_what_a_function_reads_of_a_body_counts_decompressed(http: str, function: str) -> None:
    """aiohttp gives its body away; httpx's has passed the decoder however it is read."""
    keys = {"driver": "aiohttp", "work": f"tests.drivers.floods:{function}", "max_reply": MOST}
    replies = ("gzip", "deflate", "gzip-length", str(MOST), "chunks")
    said = call_in_child([{"url": f"{http}/{reply}", **keys} for reply in replies])
    large = ["too_large", "too_large"]
    assert said.kinds == [large, large, large, ["ok", "ok"], large]
    assert said.grown < GROWTH
    assert not said.stderr


@pytest.mark.parametrize("driver", POSTGRES)
def test_a_result_without_end_is_cut_off(dsn: str, driver: str) -> None:
    """Of wide rows, of empty ones, of one that is large; each call has the whole allowance."""
    half = "select repeat('x', 5000000)"
    calls = {
        "select repeat('x', 1000) from generate_series(1, 1000000)": "too_large",
        "select from generate_series(1, 5000000)": "too_large",
        "select repeat('x', 10000000)": "too_large",
        half: "ok",
        f"{half};{half}": "too_large",
    }
    targets = [
        {"driver": driver, "dsn": dsn, "statements": call.split(";"), "max_reply": MOST}
        for call in calls
    ]
    said = call_in_child(targets)
    assert said.kinds == [[kind, kind] for kind in calls.values()]
    # Rows without columns are all overhead: 7 bytes become an object of 56 and more.
    assert said.grown < 3 * GROWTH
    assert not said.stderr


@pytest.mark.parametrize("is_local", [False, True])
def test_one_row_without_end_is_cut_off(tmp_path: Path, is_local: bool) -> None:
    """Before it is there, at any speed of the server; over a Unix socket too."""
    with flooding_postgres(tmp_path if is_local else None) as port:
        where = f"/d?host={tmp_path}" if is_local else f"127.0.0.1:{port}/d?sslmode=disable"
        dsn = f"postgresql://u@{where}"
        keys = {"driver": "psycopg", "dsn": dsn, "statements": ["flood"], "read_only": False}
        said = call_in_child([keys | {"max_reply": MOST}])
    assert said.kinds == [["too_large", "too_large"]]
    assert said.grown < GROWTH
    assert not said.stderr


def test_a_value_of_redis_without_end_is_cut_off() -> None:
    """And the pool dials anew."""
    with flooding_redis() as port:
        address = f"redis://127.0.0.1:{port}/0"
        keys = {"driver": "redis", "dsn": address, "statements": ["GET a"], "read_only": False}
        said = call_in_child([keys | {"max_reply": MOST}])
    assert said.kinds == [["too_large", "too_large"]]
    assert said.grown < GROWTH
    assert not said.stderr


def test_the_first_call_says_what_to_do(http: str, tmp_path: Path) -> None:
    """No load, and the cap of 64 MiB by name."""
    with Command(tmp_path, f'driver = "aiohttp"\nurl = "{http}/gzip"') as command:
        command.finish()
        assert command.code == Unreachable.exit_code
        assert "too large" in command.failed["cause"]
        assert "max_reply" in command.failed["remedy"]
        assert not command.trials
