"""The one name that is judged by its text alone has to lead to this machine wherever it is used."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from poolkit.errors import BadInput, Unreachable
from poolkit.measure.preflight import check_first_call
from poolkit.targets import Target, load_targets
from poolkit.targets.endpoint import astray
from poolkit.targets.production import fetch

ELSEWHERE = "192.0.2.1"  # RFC 5737: nobody's
FILE = """
allow_hosts = ["localhost"]
[targets.a]
driver = "{driver}"
{where}
target_rate = 5
"""


def resolver(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """A resolver on which `localhost` has these addresses."""
    ask = socket.getaddrinfo

    def answers(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
        if host != "localhost":
            return ask(host, port, *rest, **options)
        return [found for address in addresses for found in ask(address, port, *rest, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", answers)


@pytest.mark.parametrize(
    ("addresses", "leads_here"),
    [
        (("127.0.0.1",), True),
        (("::1", "127.0.0.1"), True),
        (("127.0.0.2",), True),
        ((ELSEWHERE,), False),
        (("127.0.0.1", ELSEWHERE), False),
        (("2001:db8::1", "::1"), False),
        (("0.0.0.0",), False),
        (("::ffff:192.0.2.1",), False),
    ],
)
def test_each_address_counts(
    monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...], leads_here: bool
) -> None:
    """One foreign among several, of either family, is enough."""
    resolver(monkeypatch, *addresses)
    assert (astray(("localhost",)) == "") is leads_here
    assert astray(("127.0.0.1", "db.internal")) == ""  # the one is an address, the other allowed


@pytest.mark.parametrize(
    ("driver", "where"),
    [
        ("aiohttp", 'url = "http://localhost:9/"'),
        ("aiohttp", 'urls = ["http://127.0.0.1:9/", "http://LOCALHOST.:9/"]'),
        ("psycopg", 'dsn_env = "A_DSN"\nstatements = ["select 1"]'),
    ],
)
def test_a_file_that_would_send_load_elsewhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: str, where: str
) -> None:
    """Even where the name is allowed: nobody who wrote it meant another machine."""
    file = tmp_path / "targets.toml"
    file.write_text(FILE.format(driver=driver, where=where), encoding="utf-8")
    monkeypatch.setenv("A_DSN", "postgresql://u@localhost/d")
    assert load_targets(file)
    resolver(monkeypatch, ELSEWHERE)
    with pytest.raises(BadInput, match=r"localhost leads to 192\.0\.2\.1 here"):
        load_targets(file)


def test_a_name_that_moved_since_is_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judged once more before the first call, as before each trial."""
    target = Target(name="a", driver="aiohttp", url="http://localhost:9/", target_rate=5)
    resolver(monkeypatch, ELSEWHERE)
    with pytest.raises(Unreachable, match="not this machine") as caught:
        asyncio.run(check_first_call(target))
    assert "/etc/hosts" in caught.value.remedy


def test_a_server_of_figures_likewise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prometheus and the gauges of a service are dialled by another library."""
    resolver(monkeypatch, ELSEWHERE)
    with pytest.raises(BadInput, match="not this machine"):
        fetch("http://localhost:9/metrics", "the gauges")
