"""The parameters of each library, and the rules behind their values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.drivers.parameters.findings import Findings, IdleLimit
from poolkit.drivers.parameters.limits import round_up
from poolkit.recommend import parameters
from poolkit.records import Parameter, Trial
from poolkit.review import codegen
from poolkit.targets import Target
from tests.recommend.examples import (
    database_target,
    http_target,
    redis_target,
    sizing,
    times,
    trial,
    verifying_trial,
)
from tests.review.test_codegen import recommended

AIOHTTP = (
    "limit",
    "limit_per_host",
    "keepalive_timeout",
    "ttl_dns_cache",
    "total",
    "connect",
    "sock_connect",
    "sock_read",
    "gate",
    "gate_timeout",
)
HTTPX = (
    "max_connections",
    "max_keepalive_connections",
    "keepalive_expiry",
    "connect",
    "read",
    "write",
    "pool",
    "total",
    "gate",
    "gate_timeout",
)
ASYNCPG = (
    "min_size",
    "max_size",
    "max_inactive_connection_lifetime",
    "timeout",
    "command_timeout",
    "acquire_timeout",
    "statement_timeout",
)
SQLALCHEMY = (
    "pool_size",
    "max_overflow",
    "pool_timeout",
    "pool_pre_ping",
    "pool_recycle",
    "pool_use_lifo",
    "timeout",
    "command_timeout",
    "statement_timeout",
)
PSYCOPG = (
    "min_size",
    "max_size",
    "timeout",
    "max_waiting",
    "max_idle",
    "max_lifetime",
    "connect_timeout",
    "statement_timeout",
)
REDIS = (
    "pool_class",
    "max_connections",
    "timeout",
    "socket_connect_timeout",
    "socket_timeout",
    "health_check_interval",
    "retries",
    "maint_notifications",
    "gate",
    "gate_timeout",
)


def rows(
    target: Target | None = None, measured: Trial | None = None, **changes: Any
) -> dict[str, Parameter]:
    found = parameters(target or http_target(), sizing(**changes), measured)
    return {row.name: row for row in found}


@pytest.mark.parametrize(
    ("target", "names"),
    [
        (http_target(), AIOHTTP),
        (http_target(driver="httpx"), HTTPX),
        (database_target(), ASYNCPG),
        (database_target(driver="sqlalchemy"), SQLALCHEMY),
        (database_target(driver="psycopg"), PSYCOPG),
        (redis_target(), REDIS),
    ],
)
def test_every_parameter_of_the_library_is_there(target: Target, names: tuple[str, ...]) -> None:
    """Each library's rows come in the order of its call, each with a value, a unit and a reason."""
    found = parameters(target, sizing(), verifying_trial())
    assert tuple(row.name for row in found) == names
    for row in found:
        assert row.value is not None
        assert row.unit in ("connections", "callers", "retries", "s", "")
        assert row.unit or type(row.value) in (bool, str)
        assert len(row.because) > 20
        assert not row.because.endswith(".")
        assert "\n" not in row.because


def test_no_size_no_parameters() -> None:
    """Where the curve supports no size, nothing is recommended."""
    assert parameters(http_target(), sizing(size=None, because="too noisy"), None) == ()


def test_with_one_host_both_limits_and_the_gate_are_the_size() -> None:
    """A smaller limit would count instead, and a larger gate would let the queue into the pool."""
    found = rows(measured=verifying_trial())
    assert [found[name].value for name in ("limit", "limit_per_host", "gate")] == [14, 14, 14]
    assert "sum over hosts" in found["limit"].because


def test_a_verified_size_replaces_the_predicted_one() -> None:
    """Verification decides, and the reason says that it moved the size."""
    found = parameters(http_target(), sizing(), verifying_trial(pool_size=16), size=16)
    by_name = {row.name: row for row in found}
    assert by_name["limit_per_host"].value == 16
    assert "the curve said 14, verification moved it to 16" in by_name["limit_per_host"].because


def test_reasons_carry_the_measured_figure() -> None:
    """A value that was derived names the figure it was derived from, and where that was seen."""
    found = rows(measured=verifying_trial())
    assert found["limit_per_host"].because == (
        "the smallest pool whose p99 wait stays within 10 ms at 500 calls/s; "
        "verified at 499 calls/s: p99 wait 6.1 ms"
    )
    assert found["sock_read"].because.startswith(
        "hold p99 at 14 connections and 500 calls/s was 41 ms; 10 times that, at least 1 s"
    )
    assert found["sock_read"].source == "measured"


@pytest.mark.parametrize(
    ("p99", "limit"),
    [
        (0.0001, 1.0),  # the floor
        (0.1, 1.0),  # exactly the floor
        (0.25, 2.5),
        (0.3333, 3.4),  # two figures, upwards
        (12.0, 120.0),
    ],
)
def test_the_hold_limits_are_ten_times_p99_and_never_below_a_second(
    p99: float, limit: float
) -> None:
    """A pause of the server shorter than a second must not turn into errors."""
    measured = verifying_trial(hold_time=times(p99 / 3, p99))
    assert rows(measured=measured)["sock_read"].value == limit
    database = rows(database_target(), measured)
    assert database["statement_timeout"].value == limit
    assert database["command_timeout"].value == pytest.approx(limit + 1.0, rel=0.1)


@given(
    wait=st.floats(1e-4, 10),
    response=st.none() | st.floats(1e-3, 30),
    p99=st.floats(1e-5, 60),
)
def test_limits_that_contain_one_another_stay_in_order(
    wait: float, response: float | None, p99: float
) -> None:
    """A limit never ends before those it contains, and the server gives up before the client."""
    measured = verifying_trial(hold_time=times(p99 / 2, p99))
    http = rows(http_target(wait_p99=wait, response_p99=response), measured)
    value = {name: float(row.value or 0) for name, row in http.items()}
    assert value["total"] >= value["connect"] + value["sock_read"] - 1e-9
    assert value["connect"] >= value["gate_timeout"] + value["sock_connect"] - 1e-9
    assert value["sock_read"] >= 10 * p99 * (1 - 1e-9)
    database = rows(database_target(wait_p99=wait, response_p99=response), measured)
    assert float(database["statement_timeout"].value or 0) >= 10 * p99 * (1 - 1e-9)
    assert float(database["command_timeout"].value or 0) > float(
        database["statement_timeout"].value or 0
    )


@pytest.mark.parametrize(
    ("wait", "response", "expected"),
    [
        (0.010, None, 1.0),  # ten times the wait target is less than a second
        (0.5, None, 5.0),
        (0.010, 1.0, 1.0),  # the response target is patient
        (0.010, 0.03, 0.3),  # whoever hoped for 30 ms is gone after 300
    ],
)
def test_whoever_waits_is_told_no_in_time(
    wait: float, response: float | None, expected: float
) -> None:
    """The wait limit is ten times the wait target, and never outlasts what a caller can bear."""
    objective = {"wait_p99": wait, "response_p99": response}
    assert rows(http_target(**objective))["gate_timeout"].value == expected
    assert rows(database_target(**objective))["acquire_timeout"].value == expected


def test_without_verification_a_mean_stands_in_for_p99() -> None:
    """Only the curve is known: its mean hold time times 4.6, the p99 of an exponential."""
    found = rows(size=16)["sock_read"]
    assert "4.6 times the mean" in found.because
    assert "at 16 connections" in found.because
    assert found.value == 1.0  # 10 * 4.6 * 20.5 ms = 0.94 s, below the floor
    assert "verified" not in rows(size=16)["limit_per_host"].because


def test_a_closed_loop_trial_is_no_verification() -> None:
    """A trial without a schedule gives hold times, and proves nothing about waits."""
    found = rows(measured=trial())
    assert "hold p99 at 14 connections was 50 ms" in found["sock_read"].because
    assert "verified" not in found["limit_per_host"].because
    assert rows(database_target(), trial())["min_size"].source == "rule"


def test_library_defaults_are_those_of_the_installed_library() -> None:
    """A row that says `library default` holds the default of the library itself."""
    aiohttp = pytest.importorskip("aiohttp")
    asyncpg = pytest.importorskip("asyncpg")
    import inspect

    connector = inspect.signature(aiohttp.TCPConnector.__init__).parameters
    pool = inspect.signature(asyncpg.create_pool).parameters
    http, database = rows(), rows(database_target())
    assert http["ttl_dns_cache"].value == connector["ttl_dns_cache"].default
    name = "max_inactive_connection_lifetime"
    assert database[name].value == pool[name].default
    for row in [*http.values(), *database.values()]:
        assert (row.source == "library") == row.because.startswith(("library default", "not known"))


@pytest.mark.parametrize(
    ("driver", "name", "default"),
    [("aiohttp", "keepalive_timeout", 15.0), ("httpx", "keepalive_expiry", 5.0)],
)
@pytest.mark.parametrize(
    ("says", "value", "source", "words"),
    [
        (5.0, 4.0, "measured", "timeout=5; less than that"),
        (2.0, 1.0, "measured", "timeout=2; less than that"),
        (75.0, None, "library", "library default; the server's replies say Keep-Alive: timeout=75"),
        (0.0, None, "library", "not known: run poolkit probe orders-api; library default"),
        (None, None, "library", "not known: run poolkit probe orders-api; library default"),
    ],
)
def test_an_idle_timeout_is_the_server_s_word_or_not_known(
    driver: str,
    name: str,
    default: float,
    says: float | None,
    value: float | None,
    source: str,
    words: str,
) -> None:
    """A default that nothing speaks for is marked so, in the table and beside the value in code."""
    measured = verifying_trial(keep_alive=says)
    row = rows(http_target(driver=driver), measured)[name]
    assert (row.value, row.source) == (default if value is None else value, source)
    assert words in row.because
    assert row.because.startswith("not known") == (not says)
    made = recommended(http_target(driver=driver), keep_alive=says)
    comments = " ".join(codegen.render([made]).replace("#", " ").split())
    assert f"{words.split('; ')[0]}" in comments


def test_a_probe_that_found_no_safe_value_leaves_nothing_to_run() -> None:
    """The row says what the probe saw instead of asking for another one."""
    idle = IdleLimit(kind="not_kept", cap=75.0, seen="the server keeps no connection")
    found = parameters(http_target(), sizing(), verifying_trial(), probe=Findings(idle))
    (row,) = (row for row in found if row.name == "keepalive_timeout")
    assert row.because == "library default; the server keeps no connection"


@pytest.mark.parametrize("driver", ["asyncpg", "sqlalchemy", "psycopg"])
def test_behind_a_pooler_the_rows_say_what_is_left_out_and_why(driver: str) -> None:
    """No name, no startup parameter; in session mode what the size needs of the pooler."""
    target = database_target(driver=driver, replicas=2)
    plain = rows(target, verifying_trial())
    lent, kept = (rows(target, verifying_trial(pooler=p)) for p in ("transaction", "session"))
    (argument,) = lent.keys() & {"server_settings", "options"}
    assert lent[argument].value is None
    assert "alter role NAME set statement_timeout = 1000;" in lent[argument].because
    added = {
        "asyncpg": {"statement_cache_size": 0},
        "psycopg": {"prepare_threshold": None},
        "sqlalchemy": {
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": 'lambda: ""',
        },
    }[driver]
    for found, mode in ((lent, "transaction"), (kept, "session")):
        assert {n: row.value for n, row in found.items() if n not in plain} == added | {
            argument: None
        }
        assert f"a pooler in {mode} mode" in found[next(iter(added))].because
    size = "pool_size" if driver == "sqlalchemy" else "max_size"
    assert "the pooler needs 28 connections to the server" in kept[size].because
    assert "pooler" not in lent[size].because


def test_a_fleet_is_told_what_its_pools_add_up_to() -> None:
    """The size is that of one pool; the reason names the sum and the cap."""
    found = rows(http_target(replicas=2, workers=2), verifying_trial(pools=3))
    of_size = found["limit_per_host"].because
    assert "of one pool: 4 pools make 56 of at most 64 connections" in of_size
    assert "at 14 connections in each of 3 pools and 500 calls/s" in found["sock_read"].because


def test_a_rolling_deploy_is_told_what_its_pools_add_up_to() -> None:
    """Old and new replicas side by side, against what the server has for them."""
    room = {"max_connections": 100, "reserved_connections": 3}
    found = rows(database_target(replicas=4, surge=2, **room))
    assert "rolls 6 pools may open 84 of the 97 connections" in found["max_size"].because


def test_a_name_that_is_looked_up_says_how_often() -> None:
    """Only dials look a host name up, and the trial counted them."""
    named = http_target(url="http://localhost:8080/orders")
    assert "0.25/s" in rows(named, verifying_trial())["ttl_dns_cache"].because
    assert "nothing is looked up" in rows(measured=verifying_trial())["ttl_dns_cache"].because


@given(st.floats(1e-6, 1e6))
def test_rounding_goes_up_and_not_far(seconds: float) -> None:
    """Two figures: never below, at most a tenth above."""
    rounded = round_up(seconds)
    assert seconds * (1 - 1e-8) <= rounded <= seconds * 1.1000001
    assert round_up(rounded) == pytest.approx(rounded)


def test_a_gate_that_was_asked_for_stands_before_a_database_pool() -> None:
    """Database pools have one only where targets.toml says so; HTTP pools always, and say so."""
    for driver in ("asyncpg", "psycopg", "sqlalchemy"):
        assert "gate" not in rows(database_target(driver=driver))
        found = rows(database_target(driver=driver, gate=True))
        assert (found["gate"].value, found["gate_timeout"].value) == (14, 1.0)
    assert "(gate = false)" in rows(http_target(gate=False))["gate"].because
    assert "(gate = false)" not in rows(http_target())["gate"].because


def test_dials_and_turns_that_were_seen_are_told() -> None:
    """A limit that a rule decides still names the figure that was measured beside it."""
    found = rows(measured=verifying_trial(dial_time=times(0.0001, 0.0004, 0.0031)))
    assert found["sock_connect"].because.endswith("; the longest dial seen took 3.1 ms")
    assert "each is used every 28 ms on average" in found["keepalive_timeout"].because
    assert "each is used" not in rows(measured=trial())["keepalive_timeout"].because


@pytest.mark.parametrize(("response", "limit"), [(0.05, 0.5), (2.0, 20.0)])
def test_without_a_wait_target_the_response_target_limits_the_wait(
    response: float, limit: float
) -> None:
    """Ten times the response that is asked; there is no wait of which one could take ten times."""
    target = http_target(response_p99=response)
    assert target.wait_p99 is None
    found = rows(target, verifying_trial())["gate_timeout"]
    assert found.value == limit
    assert found.because.startswith("10 times the p99 response allowed")
