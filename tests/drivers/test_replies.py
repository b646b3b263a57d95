"""No reply fills memory: every driver cuts off a call that receives more than `max_reply`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from poolkit.lab.postgres import PostgresServer
from tests.drivers.floods import REPLIES, call_in_child, flooding_redis, serving

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


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with PostgresServer(accounts=1000) as server:
        yield server.dsn


@pytest.mark.parametrize("keys", HTTP, ids=lambda keys: keys.get("library", keys["driver"]))
@pytest.mark.parametrize("reply", REPLIES)
def test_a_body_without_end_is_cut_off(http: str, reply: str, keys: dict[str, str]) -> None:
    """Raw and decompressed, with a length or without; and the next call finds a sound pool."""
    said = call_in_child(url=f"{http}/{reply}", max_reply=MOST, **keys)
    if reply == "headers" or (reply == "gzip-twice" and keys["driver"] == "aiohttp"):
        assert len(said["kinds"]) == 2  # the libraries' own limits; aiohttp knows no such encoding
        assert "ok" not in said["kinds"]
    else:
        assert said["kinds"] == ["too_large", "too_large"]
    assert said["grown"] < GROWTH
    assert not said["stderr"]


@pytest.mark.parametrize("keys", HTTP, ids=lambda keys: keys.get("library", keys["driver"]))
@pytest.mark.parametrize(("size", "kind"), [(MOST, "ok"), (MOST + 1, "too_large")])
def test_the_limit_is_exact(http: str, keys: dict[str, str], size: int, kind: str) -> None:
    """Of what a compressed body comes to."""
    said = call_in_child(url=f"{http}/{size}", max_reply=MOST, **keys)
    assert said["kinds"] == [kind, kind]


@pytest.mark.parametrize(
    "statement",
    [
        "select repeat('x', 1000) from generate_series(1, 1000000)",
        "select from generate_series(1, 10000000)",
        "select repeat('x', 20000000)",
    ],
)
@pytest.mark.parametrize("driver", POSTGRES)
def test_a_result_without_end_is_cut_off(dsn: str, driver: str, statement: str) -> None:
    """Of wide rows, of empty ones, of one that is huge."""
    said = call_in_child(driver=driver, dsn=dsn, statements=[statement], max_reply=MOST)
    assert said["kinds"] == ["too_large", "too_large"]
    # Rows without columns are all overhead: 7 bytes become an object of 56 and more.
    assert said["grown"] < 3 * GROWTH
    assert not said["stderr"]


@pytest.mark.parametrize("driver", POSTGRES)
def test_each_call_has_the_whole_allowance(dsn: str, driver: str) -> None:
    """5 MiB twice over one connection are no 10; in one call they are."""
    half = "select repeat('x', 5000000)"
    said = call_in_child(driver=driver, dsn=dsn, statements=[half], max_reply=MOST)
    assert said["kinds"] == ["ok", "ok"]
    said = call_in_child(driver=driver, dsn=dsn, statements=[half, half], max_reply=MOST)
    assert said["kinds"] == ["too_large", "too_large"]


def test_a_value_of_redis_without_end_is_cut_off() -> None:
    """And the pool dials anew."""
    with flooding_redis() as port:
        said = call_in_child(
            driver="redis",
            dsn=f"redis://127.0.0.1:{port}/0",
            statements=["GET a"],
            read_only=False,
            max_reply=MOST,
        )
    assert said["kinds"] == ["too_large", "too_large"]
    assert said["grown"] < GROWTH
    assert not said["stderr"]
