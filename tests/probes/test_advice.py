"""From findings to parameters: safely below what was found, with the reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.drivers.parameters import probed
from poolkit.drivers.parameters.findings import AgeLimit, Cost, Costs, Findings, IdleLimit
from poolkit.drivers.parameters.keep import below
from poolkit.probes.dials import median_interval
from poolkit.probes.proof import ways
from poolkit.probes.reading import doubts
from poolkit.probes.records import UseLimit

CLOSED = IdleLimit(kind="closed", timeout=5.0, bounds=(4.99, 5.01), cap=75.0, seen="closed at 5 s")
LONGER = IdleLimit(kind="longer", cap=75.0, longer_than=75.0, seen="longer than 75 s")
RANDOM = IdleLimit(kind="random", bounds=(2.0, 9.0), cap=75.0, seen="at random")
SILENT = IdleLimit(kind="silent", timeout=60.0, bounds=(57.0, 63.0), cap=75.0, seen="dropped")


@given(st.floats(0.2, 3600.0))
def test_the_value_is_clear_of_the_timeout_and_not_needlessly_small(seconds: float) -> None:
    """Between half of the timeout, less rounding, and 5 % below it."""
    assert 0.45 * seconds <= below(seconds) < 0.96 * seconds


@pytest.mark.parametrize(
    ("seconds", "value"),
    [(1.0, 0.5), (1.997, 1.0), (5.0, 4.0), (7.01, 6.0), (20.0, 18.0), (75, 67)],
)
def test_the_values_of_well_known_servers(seconds: float, value: float) -> None:
    """uvicorn's 5 s, nginx's 75 s and others."""
    assert below(seconds) == value


@pytest.mark.parametrize(
    ("driver", "limit", "expected"),
    [
        ("aiohttp", CLOSED, {"keepalive_timeout": 4.0}),
        ("httpx", CLOSED, {"keepalive_expiry": 4.0}),
        ("asyncpg", CLOSED, {"max_inactive_connection_lifetime": 4.0, "min_size": 0}),
        ("sqlalchemy", CLOSED, {"pool_recycle": 4.0, "pool_pre_ping": False}),
        ("psycopg", CLOSED, {"check": True, "max_idle": 4.0}),
        # Nothing seen to end: the usual values stay.
        ("aiohttp", LONGER, {"keepalive_timeout": 15.0}),
        ("asyncpg", LONGER, {"max_inactive_connection_lifetime": 300.0}),
        ("psycopg", LONGER, {"check": False}),
        # By chance: no age is safe, so each checkout asks where it can.
        ("sqlalchemy", RANDOM, {"pool_recycle": 1.0, "pool_pre_ping": True}),
        ("aiohttp", RANDOM, {"keepalive_timeout": 1.0}),
    ],
)
def test_every_driver_has_its_parameter(
    driver: str, limit: IdleLimit, expected: dict[str, object]
) -> None:
    """By its own name, with the finding in the reason."""
    rows = probed(driver, Findings(idle=limit, target_rate=100.0))
    assert {row.name: row.value for row in rows} == expected
    assert limit.seen in rows[0].because


def test_nothing_is_recommended_where_nothing_is_kept() -> None:
    """A server that closes after each answer has no timeout to stay below; that is a doubt."""
    limit = IdleLimit(kind="not_kept", timeout=0.0, bounds=(0.0, 0.0), cap=75.0, seen="not kept")
    assert probed("aiohttp", Findings(idle=limit, target_rate=100.0)) == ()
    assert [doubt.seen for doubt in doubts("aiohttp", [limit], None, None, None)] == ["not kept"]


AGED = AgeLimit(seconds=60.0, longer_than=60.0, seen="closed at an age of 60 s")


@pytest.mark.parametrize(
    ("driver", "limit", "expected"),
    [
        # The age alone: it hides every longer silence.
        ("sqlalchemy", LONGER, {"pool_recycle": 54.0, "pool_pre_ping": False}),
        ("psycopg", LONGER, {"check": True, "max_lifetime": 54.0}),
        ("asyncpg", LONGER, {"max_inactive_connection_lifetime": 54.0, "min_size": 0}),
        ("aiohttp", LONGER, {"keepalive_timeout": 15.0}),
        ("httpx", LONGER, {"keepalive_expiry": 5.0}),
        # A silence of 5 s comes before an age of 60 s.
        ("sqlalchemy", CLOSED, {"pool_recycle": 4.0, "pool_pre_ping": False}),
        ("psycopg", CLOSED, {"check": True, "max_idle": 4.0, "max_lifetime": 54.0}),
    ],
)
def test_an_age_limit_comes_first(
    driver: str, limit: IdleLimit, expected: dict[str, object]
) -> None:
    """No value lets a connection grow as old as that, and none claims to keep clear of nothing."""
    rows = probed(driver, Findings(idle=limit, age=AGED, target_rate=100.0))
    assert {row.name: row.value for row in rows} == expected


def test_pings_that_cost_less_leave_the_age_in_force() -> None:
    """pool_recycle stays below it where a silence is left to pings."""
    rows = probed("sqlalchemy", Findings(CLOSED, AGED, costs(0.001, 0.02, 10), target_rate=10.0))
    values = {row.name: row.value for row in rows}
    assert values == {"pool_recycle": 54.0, "pool_pre_ping": True}


@pytest.mark.parametrize("driver", ["aiohttp", "httpx", "asyncpg", "sqlalchemy", "psycopg"])
def test_an_age_that_no_setting_bounds_is_to_be_acted_on(driver: str) -> None:
    """Only SQLAlchemy and psycopg replace a connection in use."""
    seen = [doubt.seen for doubt in doubts(driver, [LONGER], None, AGED, None)]
    assert seen == ([] if driver in ("sqlalchemy", "psycopg") else [AGED.seen])


def test_no_value_is_recommended_that_keeps_nothing() -> None:
    """Below 0.1 s: silence about the value, and a doubt instead."""
    brief = IdleLimit(kind="closed", timeout=0.15, bounds=(0.14, 0.16), cap=75.0, seen="0.15 s")
    for driver in ("aiohttp", "httpx", "sqlalchemy"):
        rows = probed(driver, Findings(idle=brief, target_rate=100.0))
        values = {row.name: row.value for row in rows}
        assert values == ({"pool_pre_ping": True} if driver == "sqlalchemy" else {})
        assert ways(driver, brief) is None
    assert [doubt.seen for doubt in doubts("aiohttp", [brief], None, None, None)] == ["0.15 s"]


def costs(ping: float, dial: float, size: int) -> Costs:
    def cost(name: str, seconds: float) -> Cost:
        return Cost(name=name, per="checkout", seconds=seconds, interval95=None, samples=6)

    return Costs(
        pool_size=size,
        hold_time=0.01,
        throughput=None,
        costs=(cost("pool_pre_ping", ping), cost("dial", dial)),
    )


@pytest.mark.parametrize(
    ("rate", "size", "pings"),
    [
        (1000.0, 10, False),  # 1000/s * 1 ms = 1 busy; 10 / 4 s * 20 ms = 0.05 busy
        (10.0, 10, True),  # 0.01 busy by pings
        (50.0, 10, False),  # equal: recycling, which needs no round trip in a call
    ],
)
def test_ping_or_recycle_follows_from_the_figures(rate: float, size: int, pings: bool) -> None:
    """Whichever keeps fewer connections busy."""
    rows = probed("sqlalchemy", Findings(CLOSED, None, costs(0.001, 0.02, size), target_rate=rate))
    values = {row.name: row.value for row in rows}
    assert values["pool_pre_ping"] is pings
    assert values["pool_recycle"] == (300.0 if pings else 4.0)


def test_a_check_alone_is_not_said_to_cure_a_silent_drop() -> None:
    """psycopg_pool looks at no age: the ping waits, so the way has to be kept open."""
    check = probed("psycopg", Findings(idle=SILENT, target_rate=100.0))[0]
    assert check.value is True
    assert "keepalives_idle" in check.because
    closed = probed("psycopg", Findings(idle=CLOSED, target_rate=100.0))[0]
    assert "keepalives_idle" not in closed.because


def test_a_silent_drop_is_not_left_to_pings() -> None:
    """A ping over a dropped connection waits as long as the call would."""
    rows = probed("sqlalchemy", Findings(SILENT, None, costs(0.0, 1.0, 10), target_rate=1.0))
    assert {row.name: row.value for row in rows}["pool_pre_ping"] is False


def test_what_a_reader_has_to_act_on() -> None:
    """Chance, silence, few requests a connection: each with what to do."""
    uses = UseLimit(requests=100, tried=100, seen="closed after 100 requests")
    found = doubts("httpx", [RANDOM, SILENT, CLOSED], uses, None, None)
    assert [doubt.seen for doubt in found] == [RANDOM.seen, SILENT.seen, uses.seen]
    assert all(doubt.next for doubt in found)


@given(st.lists(st.floats(-1.0, 1.0), min_size=6, max_size=60))
def test_the_interval_holds_the_median(values: list[float]) -> None:
    """By order statistics; six values are the fewest that give one."""
    middle, interval = median_interval(values)
    assert interval is not None
    assert min(values) <= interval[0] <= middle <= interval[1] <= max(values)
    assert median_interval(values[:5])[1] is None
