"""Sizes are followed through constants, the environment and settings; the rest is counted."""

import json
import re
import textwrap
import time

import pytest

from poolkit import __version__
from poolkit.audit import Settings, audit
from poolkit.audit.output import as_json, as_sarif

SETTINGS = textwrap.dedent("""
    import os
    from dataclasses import dataclass, field
    from functools import lru_cache
    from decouple import config
    from environs import Env
    from pydantic import Field
    from pydantic_settings import BaseSettings

    MOST = 25
    env = Env()
    BY_ENV = env.int("DB_POOL", 12)
    BY_CONFIG = config("DB_POOL", default=13, cast=int)
    BY_OR = int(os.environ.get("DB_POOL") or 14)
    POOL = {"min_size": 1, "max_size": 15}

    class Base(BaseSettings):
        pool_size: int = 20

    class Shop(Base):
        most: int = Field(default=21, alias="shop_most")
        least: int = Field(22, ge=1)
        needed: int
        made: int = Field(default_factory=lambda: int(os.getenv("SHOP_MADE", "23")))

        @property
        def twice(self):
            return self.least * 2

    @dataclass
    class Database:
        size: int = 30
        most: int = field(default=31)

    @dataclass
    class All:
        database: Database = field(default_factory=Database)

    @lru_cache
    def get_settings() -> Shop:
        return Shop()

    def chosen():
        return int(os.getenv("DB_POOL", "24"))

    settings = get_settings()
    small = Shop(pool_size=5)
""")
HEAD = textwrap.dedent("""
    import os
    from os import getenv
    import asyncpg
    import shop.settings
    from shop import settings as conf
    from shop.settings import *
    from shop.settings import All, BY_CONFIG, BY_ENV, BY_OR, Database, MOST, POOL, Shop
    from shop.settings import chosen, get_settings, settings, small
    from sqlalchemy import create_engine
    from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool, StaticPool
""")
ASYNCPG = "asyncpg.create_pool('postgresql://db/shop', {})"
ENGINE = "create_engine('postgresql://db/shop', {})"


def budget_of(folder, *calls):
    """Sizes that the rule found, and what could not be read, of a program that makes such pools."""
    (folder / "shop").mkdir()
    (folder / "shop/__init__.py").touch()
    (folder / "shop/settings.py").write_text(SETTINGS, encoding="utf-8")
    made = [f"pool_{at} = {call}" for at, call in enumerate(calls)]
    (folder / "shop/db.py").write_text("\n".join([HEAD, *made]), encoding="utf-8")
    found = audit([folder], Settings(max_connections=1))
    sizes = [one.message for one in found.findings if one.rule == "over-budget"]
    return [int(re.search(r"up to (\d+)", text)[1]) for text in sizes], found


@pytest.mark.parametrize(
    ("call", "size"),
    [
        (ASYNCPG.format("max_size=MOST"), 25),
        (ASYNCPG.format("max_size=conf.MOST"), 25),
        (ASYNCPG.format("max_size=shop.settings.MOST * 2"), 50),
        (ASYNCPG.format("max_size=BY_ENV"), 12),
        (ASYNCPG.format("max_size=BY_CONFIG"), 13),
        (ASYNCPG.format("max_size=BY_OR"), 14),
        (ASYNCPG.format("**POOL"), 15),
        (ASYNCPG.format("**{**POOL, 'max_size': 16}"), 16),
        (ASYNCPG.format("max_size=POOL['max_size']"), 15),
        (ASYNCPG.format("max_size=POOL.get('other', 17)"), 17),
        (ASYNCPG.format("max_size=settings.pool_size"), 20),
        (ASYNCPG.format("max_size=get_settings().most"), 21),
        (ASYNCPG.format("max_size=Shop().least"), 22),
        (ASYNCPG.format("max_size=settings.made"), 23),
        (ASYNCPG.format("max_size=settings.twice"), 44),
        (ASYNCPG.format("max_size=small.pool_size"), 5),
        (ASYNCPG.format("max_size=Database().size"), 30),
        (ASYNCPG.format("max_size=All().database.most"), 31),
        (ASYNCPG.format("max_size=chosen()"), 24),
        (ASYNCPG.format("max_size=int(getenv('DB_POOL', 18))"), 18),
        (ASYNCPG.format("max_size=int(os.environ.get('DB_POOL', '19'))"), 19),
        (ASYNCPG.format("max_size=28 if os.getenv('LARGE') else 5"), 28),
        (ASYNCPG.format("max_size=min(32, os.cpu_count() + 4)"), 32),
        (ENGINE.format("pool_size=3, max_overflow=int(os.getenv('MORE', '4'))"), 7),
        (ENGINE.format("**dict(pool_size=3, max_overflow=MOST)"), 28),
        (ENGINE.format("poolclass=AsyncAdaptedQueuePool"), 15),
    ],
)
def test_a_size_is_followed_to_where_it_stands(tmp_path, call, size):
    """As the defaults have it; where one of several comes to be, the largest counts."""
    sizes, found = budget_of(tmp_path, call)
    assert (sizes, found.uncounted) == ([size], ())


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (ASYNCPG.format("max_size=int(os.environ['DB_POOL'])"), "int(os.environ['DB_POOL'])"),
        (ASYNCPG.format("max_size=int(os.getenv('DB_POOL'))"), "cannot be read"),
        (ASYNCPG.format("max_size=settings.needed"), "settings.needed cannot be read"),
        (ASYNCPG.format("max_size=read_from_vault()"), "cannot be read"),
        (ASYNCPG.format("**load()"), "arguments do not show"),
        (ENGINE.format("pool_size=0"), "pool_size = 0 has no limit"),
        (ENGINE.format("max_overflow=-1"), "max_overflow = -1 has no limit"),
        (ENGINE.format("poolclass=NullPool"), "NullPool"),
    ],
)
def test_what_cannot_be_read_is_counted(tmp_path, call, said):
    """The sum lacks it, and every output says so."""
    sizes, found = budget_of(tmp_path, call)
    assert sizes == []
    (one,) = found.uncounted
    assert said in one.message
    (shown,) = json.loads(as_json(found))["uncounted"]
    assert (shown["line"], shown["message"]) == (one.line, one.message)
    (run,) = json.loads(as_sarif(found, __version__))["runs"]
    (told,) = run["invocations"][0]["toolExecutionNotifications"]
    assert told["message"]["text"].startswith("could not be counted: ")


def test_a_default_is_taken_where_no_caller_says_more(tmp_path):
    """Arguments of functions and of constructors are what their callers pass."""
    text = textwrap.dedent("""
        import asyncpg

        async def make(dsn, size=33):
            return await asyncpg.create_pool('postgresql://db/a', max_size=size)

        class Store:
            def __init__(self, dsn, size=10):
                self.size = size

            async def open(self):
                self.pool = await asyncpg.create_pool('postgresql://db/b', max_size=self.size)

        store = Store('postgresql://db/b', size=44)
    """)
    (tmp_path / "db.py").write_text(text, encoding="utf-8")
    found = audit([tmp_path], Settings(max_connections=1))
    messages = [one.message for one in found.findings if one.rule == "over-budget"]
    assert ["up to 33" in messages[0], "up to 44" in messages[1]] == [True, True]
    assert found.uncounted == ()


def test_a_rolling_deploy_runs_more_processes(tmp_path):
    """8 processes of 12 fit into 100; while two more run, they do not."""
    (tmp_path / "db.py").write_text(
        "import asyncpg\npool = asyncpg.create_pool('postgresql://db/a', max_size=12)\n"
    )
    settled = audit([tmp_path], Settings(max_connections=100, processes=8))
    assert [one.rule for one in settled.findings if one.rule == "over-budget"] == []
    rolling = audit([tmp_path], Settings(max_connections=100, processes=8, surge=2))
    (message,) = [one.message for one in rolling.findings if one.rule == "over-budget"]
    assert message == (
        "up to 12 connections in each of 10 processes (2 of them while a deploy rolls) are 120, "
        "the budget is 100"
    )


def test_names_that_lead_to_names_are_read_once(tmp_path):
    """A sum of sums is not read twice as often at each step, nor anew by each pool."""
    names = [f"x{at + 1} = x{at} + x{at}" for at in range(2000)]
    pools = ["asyncpg.create_pool(dsn, max_size=x14)"] * 500
    text = "\n".join(["import asyncpg", "x0 = 1", *names, *pools])
    (tmp_path / "db.py").write_text(text, encoding="utf-8")
    began = time.process_time()
    audit([tmp_path], Settings(max_connections=1))
    assert time.process_time() - began < 10
