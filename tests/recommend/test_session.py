"""Several targets in one session: which limits hold for all of them, and code that runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from poolkit.recommend import unreachable
from poolkit.recommend.session import Session, sessions
from poolkit.records import Parameter
from poolkit.review import codegen
from poolkit.review.export import to_markdown
from poolkit.targets import Target
from tests.recommend.examples import database_target, http_target, times
from tests.review.test_codegen import Upstream, imported, recommended

ORDERS = http_target(url="http://127.0.0.1:8080/orders")
STOCK = http_target(name="stock", url="http://127.0.0.1:8081/stock")
SEARCH = http_target(name="search", url="http://127.0.0.1:8081/search", response_p99=0.05)


def shared(targets: list[Target], sizes: list[int], *, known: bool = True) -> Session:
    made = [recommended(target, size) for target, size in zip(targets, sizes, strict=True)]
    (found,) = sessions(made, targets if known else ())
    return found


def rows(session: Session) -> dict[str, Parameter]:
    return {row.name: row for row in session.parameters}


def test_the_limit_is_the_sum_and_the_limit_per_host_that_of_the_widest_host() -> None:
    """aiohttp has one limit_per_host for all hosts; two targets on one host share it."""
    found = rows(shared([ORDERS, STOCK, SEARCH], [14, 9, 8]))
    assert (found["limit"].value, found["limit_per_host"].value) == (31, 17)
    assert "14 for orders-api, 9 for stock and 8 for search" in found["limit"].because
    per_host = found["limit_per_host"].because
    assert per_host.startswith("one value for all hosts, so what the widest needs: 9 for stock")
    assert "a host that needs 14 could open as many, and its gate holds it" in per_host


def test_hosts_that_are_not_known_count_as_different() -> None:
    """Without URLs no two targets are taken to share a host."""
    found = rows(shared([STOCK, SEARCH], [9, 8], known=False))
    assert (found["limit"].value, found["limit_per_host"].value) == (17, 9)


def test_httpx_has_one_limit_for_all() -> None:
    """The sum, and as many are kept as may be opened."""
    pair = [t.model_copy(update={"driver": "httpx"}) for t in (ORDERS, STOCK)]
    found = rows(shared(pair, [14, 9]))
    assert found["max_connections"].value == found["max_keepalive_connections"].value == 23
    assert "no limit per host" in found["max_connections"].because


def test_kept_connections_are_those_that_each_target_was_measured_with() -> None:
    """What targets.toml sets for each is added up; every trial ran with it."""
    keys = {"driver": "httpx", "max_keepalive_connections": 4}
    found = rows(shared([t.model_copy(update=keys) for t in (ORDERS, STOCK)], [14, 9]))
    assert found["max_connections"].value == 23
    assert found["max_keepalive_connections"].value == 8
    assert "4 for orders-api and 4 for stock" in found["max_keepalive_connections"].because


def test_time_limits_are_those_of_the_most_patient_target() -> None:
    """A shared limit must not cut off what one of the targets needs; idle times are the least."""
    slow = recommended(STOCK, 9, hold_time=times(0.3, 0.9))
    (session,) = sessions([recommended(ORDERS), slow], [ORDERS, STOCK])
    found = rows(session)
    assert found["sock_read"].value == 9.0
    assert found["sock_read"].because.startswith("the longest, that of stock: ")
    assert found["sock_connect"].because.startswith("the same for each of them: ")


def test_only_sized_targets_of_one_http_library_share() -> None:
    """A database pool has one server; a target without a size has nothing to share."""
    dead = unreachable(http_target(name="dead"), "refused", "start it")
    assert sessions([recommended(ORDERS), dead, recommended(database_target())]) == ()
    assert sessions([]) == ()
    two = [recommended(ORDERS), recommended(http_target(name="x", driver="httpx"))]
    assert sessions(two) == ()


def test_the_document_shows_the_shared_limits() -> None:
    """recommended.md has a table of its own for them."""
    made = [recommended(ORDERS), recommended(STOCK, 9)]
    text = to_markdown(made, "2026-11-21", [ORDERS, STOCK])
    assert "## One aiohttp pool for several targets" in text
    assert "| `limit` | 23 | connections | rule |" in text
    assert "several targets" not in to_markdown(made[:1], "2026-11-21", [ORDERS])


def test_a_shared_session_runs(tmp_path: Path) -> None:
    """Two targets on two servers behind one session: each keeps to its own size."""

    async def scenario() -> None:
        async with Upstream(hold=0.005) as one, Upstream(hold=0.005) as other:
            targets = [http_target(url=one.url), http_target(name="stock", url=other.url)]
            made = [recommended(target, n) for target, n in zip(targets, (5, 2), strict=True)]
            module = imported(codegen.render(made, targets), tmp_path)
            async with module.shared_aiohttp_pools() as pools:
                assert pools["orders_api"].session is pools["stock"].session
                connector = pools["stock"].session.connector
                assert (connector.limit, connector.limit_per_host) == (7, 5)

                async def call(name: str, url: str) -> None:
                    async with pools[name].request("GET", url) as response:
                        assert await response.text() == "ok"

                calls = [call("orders_api", one.url) for _ in range(20)]
                await asyncio.gather(*calls, *(call("stock", other.url) for _ in range(20)))
            assert (one.busiest, other.busiest) == (5, 2)
            assert (one.served, other.served) == (20, 20)

    asyncio.run(scenario())


def test_a_shared_httpx_client_runs(tmp_path: Path) -> None:
    """The same for httpx, whose pool counts all hosts together."""

    async def scenario() -> None:
        async with Upstream(hold=0.005) as one, Upstream(hold=0.005) as other:
            targets = [
                http_target(url=one.url, driver="httpx"),
                http_target(name="stock", url=other.url, driver="httpx"),
            ]
            made = [recommended(target, n) for target, n in zip(targets, (4, 2), strict=True)]
            module = imported(codegen.render(made, targets), tmp_path)
            async with module.shared_httpx_pools() as pools:
                assert pools["orders_api"].client is pools["stock"].client
                await asyncio.gather(
                    *(pools["orders_api"].request("GET", one.url) for _ in range(16)),
                    *(pools["stock"].request("GET", other.url) for _ in range(16)),
                )
            assert (one.busiest, other.busiest) == (4, 2)

    asyncio.run(scenario())


def test_a_target_called_like_the_shared_session_keeps_its_name(tmp_path: Path) -> None:
    """The shared functions give way, so none is written twice."""
    targets = [ORDERS, http_target(name="shared-aiohttp", url="http://127.0.0.1:8081/")]
    source = codegen.render([recommended(target) for target in targets], targets)
    made = [line for line in source.splitlines() if line.startswith(("def ", "async def "))]
    assert len(made) == len(set(made))
    module = imported(source, tmp_path)
    assert callable(module.shared_aiohttp_by_all_pools)
