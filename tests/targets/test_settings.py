"""Settings of the client libraries: validated by driver, part of the load, passed to the pool."""

from __future__ import annotations

from pathlib import Path

import pytest

from poolkit.drivers.registry import make_pool
from poolkit.errors import BadInput
from poolkit.targets import SUPPORTED_DRIVERS, Target, load_targets
from poolkit.targets.settings import SETTINGS, settings_of

HTTP = 'url = "http://127.0.0.1:8080/"\n'
SQL = 'dsn = "postgresql://u:p@127.0.0.1:5432/d"\nstatements = ["select 1"]\n'
URLS = 'urls = ["http://127.0.0.1:8080/", "http://127.0.0.1:8081/"]\n'


def load(folder: Path, driver: str, body: str, place: str | None = None) -> Target:
    address = place if place is not None else HTTP if driver in ("aiohttp", "httpx") else SQL
    path = folder / "targets.toml"
    path.write_text(f'[targets.t]\ndriver = "{driver}"\ntarget_rate = 10\n{address}{body}\n')
    return load_targets(path)["t"]


TAKEN = [
    ("aiohttp", "keepalive_timeout = 4.5", {"keepalive_timeout": 4.5}),
    ("httpx", "keepalive_timeout = 4", {"keepalive_timeout": 4.0}),
    ("httpx", 'library = "httpx2"', {"library": "httpx2"}),
    ("httpx", "max_keepalive_connections = 0", {"max_keepalive_connections": 0}),
    ("aiohttp", "ttl_dns_cache = 0", {"ttl_dns_cache": 0}),
    ("asyncpg", "min_size = 0", {"min_size": 0}),
    ("psycopg", "min_size = 3", {"min_size": 3}),
    (
        "asyncpg",
        "statement_cache_size = 0\nreset = false",
        {"statement_cache_size": 0, "reset": False},
    ),
    ("asyncpg", 'init = "orders_db:new"', {"init": "orders_db:new"}),
    (
        "sqlalchemy",
        "max_overflow = 0\npool_pre_ping = true",
        {"max_overflow": 0, "pool_pre_ping": True},
    ),
    (
        "sqlalchemy",
        "pool_recycle = 60\npool_timeout = 2\npool_use_lifo = true",
        {"pool_recycle": 60.0, "pool_timeout": 2.0, "pool_use_lifo": True},
    ),
    ("psycopg", "timeout = 0.5\nmax_waiting = 7", {"timeout": 0.5, "max_waiting": 7}),
]


@pytest.mark.parametrize(("driver", "body", "settings"), TAKEN)
def test_a_driver_takes_its_own_settings(
    tmp_path: Path, driver: str, body: str, settings: dict[str, object]
) -> None:
    """They arrive as written, are told in the manifest, and make the trials others do not fit."""
    target = load(tmp_path, driver, body)
    assert target.library_settings() == settings
    assert target.public_settings().items() >= settings.items()
    assert target.fingerprint != load(tmp_path, driver, "").fingerprint


REFUSED = [
    (
        "asyncpg",
        "max_overflow = 5",
        "max_overflow: belongs to sqlalchemy; asyncpg takes min_size, statement_cache_size, "
        "reset, init, setup",
    ),
    (
        "httpx",
        "ttl_dns_cache = 5",
        "ttl_dns_cache: belongs to aiohttp; httpx takes keepalive_timeout, library, "
        "max_keepalive_connections",
    ),
    (
        "psycopg",
        "pool_timeout = 5",
        "pool_timeout: belongs to sqlalchemy; psycopg takes min_size, timeout, max_waiting; "
        "did you mean timeout?",
    ),
    (
        "sqlalchemy",
        "timeout = 5",
        "timeout: belongs to psycopg and redis; sqlalchemy takes max_overflow, "
        "pool_timeout, pool_pre_ping, pool_recycle, pool_use_lifo; did you mean pool_timeout?",
    ),
    (
        "aiohttp",
        'library = "httpx2"',
        "library: belongs to httpx; aiohttp takes keepalive_timeout, ttl_dns_cache, sweep",
    ),
    (
        "httpx",
        'library = "httpx3"',
        'library: must be one of httpx, httpx2, got "httpx3"; did you mean httpx?',
    ),
    ("asyncpg", "min_size = -1", "min_size: must be 0 or more, got -1"),
    ("aiohttp", "keepalive_timeout = 0", "keepalive_timeout: must be more than 0, got 0"),
    (
        "aiohttp",
        "keepalive_timout = 4",
        "keepalive_timout: unknown key; did you mean keepalive_timeout?",
    ),
    ("sqlalchemy", "max_overflow = -1", "max_overflow: must be 0 or more, got -1"),
    ("asyncpg", "reset = 1", "reset: must be true or false, got 1"),
    (
        "asyncpg",
        'init = "new"',
        'init: must be "module:function", such as "orders_work:read_one", got "new"',
    ),
    ("aiohttp", "max_rate = 0", "max_rate: must be more than 0, got 0"),
    ("aiohttp", "max_calls = 0", "max_calls: must be 1 or more, got 0"),
    ("aiohttp", 'sweep = "limit"', "sweep: needs several urls"),
    ("aiohttp", 'url_order = "random"', "url_order: needs several urls"),
    (
        "asyncpg",
        URLS,
        "urls: belongs to an HTTP endpoint; asyncpg takes dsn, dsn_env, statements, "
        "parameters, pause and read_only",
    ),
    ("aiohttp", URLS, "urls: must not stand beside url: keep one of them"),
    ("httpx", URLS, "urls: belongs to aiohttp, whose session limits each; httpx takes url"),
]


@pytest.mark.parametrize(("driver", "body", "told"), REFUSED, ids=[case[2] for case in REFUSED])
def test_other_drivers_refuse_them(tmp_path: Path, driver: str, body: str, told: str) -> None:
    """With the driver that knows the key, what this one takes, and the nearest of these."""
    with pytest.raises(BadInput) as refused:
        load(tmp_path, driver, body)
    assert f"targets.t.{told}" in [line.strip() for line in refused.value.cause.splitlines()]


SEVERAL = [
    ('urls = ["http://127.0.0.1:1/"]', "urls: must hold 2 or more addresses; write one as url"),
    (URLS + 'sweep = "host"', 'sweep: must be one of limit, limit_per_host, got "host"'),
    (
        'urls = ["http://127.0.0.1:1/", "http://db.internal/"]',
        "urls[1]: host db.internal is not "
        'this machine; where load may be sent to it, add it: allow_hosts = ["db.internal"]',
    ),
    (
        'urls = ["http://127.0.0.1:1/", "ftp://127.0.0.1/"]',
        "urls: must start with http:// or https://",
    ),
]


@pytest.mark.parametrize(("body", "told"), SEVERAL, ids=[case[1] for case in SEVERAL])
def test_mistakes_in_several_addresses(tmp_path: Path, body: str, told: str) -> None:
    """Each host of a list must be allowed, as the only one would have to be."""
    with pytest.raises(BadInput) as refused:
        load(tmp_path, "aiohttp", body, place="")
    assert f"targets.t.{told}" in [line.strip() for line in refused.value.cause.splitlines()]


def test_several_addresses_are_one_target(tmp_path: Path) -> None:
    """All hosts count, secrets of each stay out of everything, and another list is another load."""
    body = 'urls = ["http://u:s3cret1@127.0.0.1:8080/a", "http://u:s3cret2@127.0.0.1:8081/b"]'
    target = load(tmp_path, "aiohttp", body, place="")
    assert target.endpoint == "http://127.0.0.1:8080/a and 1 more"
    assert target.hosts == ("127.0.0.1",)
    assert target.origins == 2
    assert {"s3cret1", "s3cret2"} <= set(target.secrets)
    shown = f"{target!r} {target.model_dump_json()} {target.public_settings()}"
    assert "s3cret" not in shown
    assert target.fingerprint != load(tmp_path, "aiohttp", URLS, place="").fingerprint


def test_every_setting_has_a_driver_that_takes_it() -> None:
    """The table names supported drivers and fields of a target; no driver is without settings."""
    for key, drivers in SETTINGS.items():
        assert key in Target.model_fields
        assert drivers
        assert set(drivers) <= set(SUPPORTED_DRIVERS)
    assert all(settings_of(driver) for driver in SUPPORTED_DRIVERS)


@pytest.mark.parametrize(("driver", "body", "_settings"), TAKEN)
def test_every_setting_is_an_argument_of_its_adapter(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    driver: str,
    body: str,
    _settings: dict[str, object],
) -> None:
    """Each row of the table leads to a pool, down to the smallest."""
    (tmp_path / "orders_db.py").write_text("async def new(connection): ...")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    target = load(tmp_path, driver, body)
    assert [make_pool(target, size).pool_size for size in (1, 2, 8)] == [1, 2, 8]


def test_a_callback_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    """Before any load, with the key."""
    target = load(tmp_path, "asyncpg", 'setup = "no_such_module:before"')
    with pytest.raises(BadInput, match=r"targets\.t\.setup: no module no_such_module"):
        make_pool(target, 1)
