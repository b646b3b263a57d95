"""redis.asyncio's pools on a real redis-server: what the contract does not ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from redis.asyncio import Redis

from poolkit.drivers.redis import RedisPool
from poolkit.errors import BadInput, CallFailed, CallRejected, CallTimedOut, Unreachable
from poolkit.load.stamps import CallStamps
from poolkit.targets import Target, Uniform
from poolkit.targets.workload import RedisWork, redis_work
from tests.drivers.test_contract import Call, opened, run, stamps
from tests.redis_server import redis_server

pytestmark = pytest.mark.lab

PING = RedisWork(["PING"])


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with redis_server() as where:
        yield where


async def failure_of(pool: RedisPool) -> CallFailed:
    async with opened(pool):
        with pytest.raises(CallFailed) as caught:
            await pool.call(stamps())
    return caught.value


async def told(url: str, *words: Any) -> Any:
    """What the server answers to one command."""
    async with Redis.from_url(url, decode_responses=True) as client:
        return await client.execute_command(*words)


@pytest.mark.parametrize("text", ["SET a 1", "DEL a", "FLUSHALL", "EVAL 'return 1' 0", "blpop a 1"])
def test_a_command_that_may_write_is_refused_before_it_is_sent(url: str, text: str) -> None:
    """Redis has no read-only session, so the server's own flags decide; nothing was written."""
    run(told(url, "SET", "kept", "1"))
    with pytest.raises(BadInput, match=f"{text.split()[0].upper()} may write"):
        run(RedisPool(url, RedisWork(["GET a", text]), 1).open())
    assert run(told(url, "GET", "kept")) == "1"


def test_a_user_who_may_not_ask_what_commands_do_measures_nothing() -> None:
    """Without COMMAND INFO nobody knows whether a command writes; the remedy says what to do."""
    with redis_server() as url:
        run(told(url, "ACL", "SETUSER", "reader", "on", ">secret-word", "~*", "+ping", "+get"))
        own = url.replace("//", "//reader:secret-word@")
        with pytest.raises(BadInput, match="COMMAND INFO") as caught:
            run(RedisPool(own, RedisWork(["GET a"]), 1).open())
        assert "secret-word" not in str(caught.value)

        async def allowed() -> None:
            async with opened(RedisPool(own, RedisWork(["GET a"], read_only=False), 1)) as pool:
                await pool.call(stamps())

        run(allowed())


def test_keys_are_drawn_anew_for_each_call(url: str) -> None:
    """200 calls with a key of 100: the same seed writes the same keys, most of the hundred."""
    target = Target(
        name="sessions",
        driver="redis",
        dsn=url,
        statements=["SET session:$id ${id}", "EXPIRE session:$id 60"],
        parameters={"id": Uniform(1, 100)},
        read_only=False,
        target_rate=10.0,
    )

    async def keys() -> set[str]:
        await told(url, "FLUSHALL")
        async with opened(RedisPool(url, redis_work(target, 7), 2)) as pool:
            for _ in range(200):
                await pool.call(stamps())
        return set(await told(url, "KEYS", "session:*"))

    first, again = run(keys()), run(keys())
    assert first == again
    assert 70 <= len(first) <= 100


def test_the_default_pool_turns_callers_away(url: str) -> None:
    """3 callers on 2 connections: the third is refused at once; the other pool lets it wait."""
    slow = RedisWork(["BLPOP nothing 0.2"], read_only=False)

    async def outcomes(pool: RedisPool) -> list[str]:
        async with opened(pool):
            calls = [asyncio.create_task(pool.call(stamps())) for _ in range(3)]
            ended = await asyncio.gather(*calls, return_exceptions=True)
        return sorted(getattr(end, "kind", "ok") for end in ended)

    assert run(outcomes(RedisPool(url, slow, 2, pool_class="default"))) == ["ok", "ok", "pool_full"]
    assert run(outcomes(RedisPool(url, slow, 2))) == ["ok"] * 3
    assert run(outcomes(RedisPool(url, slow, 2, pool_timeout=0.05))) == ["ok", "ok", "pool_timeout"]


def test_a_slow_answer_times_out_and_the_pool_goes_on(url: str) -> None:
    """The time limit is the library's own socket_timeout, and a failed call is not repeated."""

    async def go() -> tuple[CallFailed, float]:
        work = RedisWork(["BLPOP nothing 5"], read_only=False)
        pool = RedisPool(url, work, 1, call_timeout=0.2)
        async with opened(pool):
            began = time.perf_counter()
            with pytest.raises(CallTimedOut) as caught:
                await pool.call(stamps())
            seconds = time.perf_counter() - began
            pool._work = PING
            await pool.call(stamps())
            assert pool.statistics().in_use == 0
        return caught.value, seconds

    failure, seconds = run(go())
    assert failure.kind == "call_timeout"
    assert seconds < 1.0


def test_a_closed_connection_is_found_before_the_command(url: str) -> None:
    """The server ends an idle session: the next call dials anew, and the disconnect is counted."""

    async def go() -> tuple[int, int, CallStamps]:
        async with opened(RedisPool(url, PING, 1)) as pool:
            await pool.call(stamps())
            await told(url, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await asyncio.sleep(0.05)
            call = await Call().go(pool)
            figures = pool.statistics()
            return figures.disconnects, figures.connections_opened, call.stamps

    disconnects, dials, call = run(go())
    assert (disconnects, dials) == (1, 2)
    assert call.acquired_at <= call.dialled_at <= call.served_at


def test_a_health_check_asks_before_the_command(url: str) -> None:
    """With an interval each command of an idle connection costs a PING more."""

    async def pings(interval: float) -> int:
        await told(url, "CONFIG", "RESETSTAT")
        async with opened(RedisPool(url, PING, 1, health_check_interval=interval)) as pool:
            pool._work = RedisWork(["GET a"])
            for _ in range(10):
                await pool.call(stamps())
        stats = await told(url, "INFO", "commandstats")
        return int(stats["cmdstat_ping"]["calls"])

    assert run(pings(0.0)) == 1  # that of `open`
    assert run(pings(1e-6)) >= 10


def test_the_users_function_holds_one_connection_for_all_its_commands(url: str) -> None:
    """A function gets a client of one connection: a pool of one serves its two commands."""
    seen: list[int] = []

    async def work(redis: Any) -> None:
        seen.append(pool.statistics().in_use)
        await redis.set("mine", 1)
        seen.append(pool.statistics().in_use)
        await redis.get("mine")

    pool = RedisPool(url, RedisWork([], function=work), 1)

    async def go() -> Call:
        async with opened(pool):
            return await Call().go(pool)

    call = run(go())
    assert seen == [1, 1]
    assert call.started <= call.acquired <= call.stamps.served_at <= call.released
    assert pool.statistics().connections_opened == 1


def test_a_function_that_fails_keeps_the_servers_outcome(url: str) -> None:
    """An error of the library within the function is that error, another one is the function's."""

    async def asks_nonsense(redis: Any) -> None:
        await redis.execute_command("NOPE")

    async def fails(_: Any) -> None:
        raise LookupError

    def kind(function: Any) -> str:
        return run(failure_of(RedisPool(url, RedisWork([], function=function), 1))).kind

    assert kind(asks_nonsense) == "ResponseError"
    assert kind(fails) == "work_LookupError"


def test_the_servers_limit_is_its_budget_and_its_refusals_are_rejections() -> None:
    """maxclients 12: spare_connections counts down, and a client too many is turned away."""
    with redis_server("--maxclients", "12") as url:

        async def go() -> tuple[int | None, int | None, list[str]]:
            one = RedisPool(url, PING, 1)
            many = RedisPool(url, RedisWork(["BLPOP nothing 0.3"], read_only=False), 20)
            async with opened(one):
                before = await one.spare_connections()
                async with opened(many):
                    during = await one.spare_connections()
                    calls = [asyncio.create_task(many.call(stamps())) for _ in range(20)]
                    ended = await asyncio.gather(*calls, return_exceptions=True)
            return before, during, [type(end).__name__ for end in ended]

        before, during, ended = run(go())
    assert before == 11
    assert during == 10
    assert ended.count("NoneType") == 11
    assert ended.count(CallRejected.__name__) == 9


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda url: url.replace("//", "//:wrong-word@"), "refused the user or password"),
        (lambda url: url, "NOAUTH|wants a password|refused"),
        (lambda _: "redis://127.0.0.1:1/0", "nothing listens there"),
        (lambda _: "redis://no-such-host.invalid/0", "no such host"),
        (lambda _: "http://127.0.0.1/0", "cannot be used"),
    ],
    ids=["wrong password", "no password", "nobody listens", "unknown host", "no redis URL"],
)
def test_a_server_that_cannot_be_opened_says_why(change: Any, cause: str) -> None:
    """Cause and remedy, without the password."""
    with redis_server("--requirepass", "right-word") as url:
        with pytest.raises(Unreachable, match=cause) as caught:
            run(RedisPool(change(url), PING, 1).open())
        assert caught.value.remedy
        assert "-word" not in str(caught.value)

        async def right() -> None:
            async with opened(RedisPool(url.replace("//", "//:right-word@"), PING, 1)) as pool:
                await pool.call(stamps())

        run(right())
