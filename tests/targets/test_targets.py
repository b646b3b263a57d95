"""targets.toml: right files are read, wrong ones are told every mistake, and no secret gets out."""

import contextlib
import inspect
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from poolkit.drivers import registry, table
from poolkit.errors import BadInput, ExitCode
from poolkit.redact import Redactor
from poolkit.targets import SUPPORTED_DRIVERS, Target, load_targets
from poolkit.targets import endpoint as endpoints
from poolkit.targets.target import VARIABLE

EXAMPLE = Path(__file__).parents[2] / "data" / "targets.example.toml"
HTTP = 'driver = "aiohttp"\nurl = "http://127.0.0.1/"\ntarget_rate = 5\n'
DB = 'driver = "asyncpg"\ndsn = "postgresql:///d"\nstatements = ["select 1"]\ntarget_rate = 5\n'
PASSWORD = "hunter2/s3cret"
ENCODED = "hunter2%2Fs3cret"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in ("PGHOST", "PGPORT", "PGPASSWORD", "ORDERS_DSN", "ORDERS_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def load(tmp_path):
    """Write a targets.toml and load it."""

    def write_and_load(text, only=()):
        path = tmp_path / "targets.toml"
        path.write_text(text, encoding="utf-8")
        return load_targets(path, only)

    return write_and_load


def mistakes(error):
    """The lines of a refusal, without its heading."""
    return [line.strip() for line in error.value.cause.splitlines()[1:]]


def http(**changes):
    return Target(
        **{"name": "t", "driver": "aiohttp", "url": "http://[::1]/", "target_rate": 1.0} | changes
    )


def database(**changes):
    base = {"name": "t", "driver": "asyncpg", "statements": ["select 1"], "target_rate": 1}
    return Target(**base | changes)


def test_the_example_loads(monkeypatch):
    """The example shows every key of a target, and its values arrive."""
    monkeypatch.setenv("ORDERS_DSN", "postgresql://u:p@127.0.0.1:5433/orders")
    monkeypatch.setenv("ORDERS_TOKEN", "Bearer t0k3n")
    targets = load_targets(EXAMPLE)
    assert list(targets) == [
        "orders-api", "orders-staging", "orders-shards", "orders-search", "orders-db",
        "orders-db-tuned", "orders-engine", "orders-pay", "sessions", "orders-place",
    ]  # fmt: skip
    assert {target.driver for target in targets.values()} == set(SUPPORTED_DRIVERS)
    api, database = targets["orders-api"], targets["orders-db"]
    assert (api.target_rate, api.wait_p99, api.response_p99) == (500, 0.010, 0.100)
    assert (api.max_size, api.replicas, api.workers, api.pools) == (64, 4, 1, 4)
    assert api.endpoint == "http://127.0.0.1:8080/orders"
    assert api.host == "127.0.0.1"
    assert database.resolved_dsn() == "postgresql://u:p@127.0.0.1:5433/orders"
    assert database.endpoint == "postgresql://127.0.0.1:5433/orders"
    text = EXAMPLE.read_text(encoding="utf-8")
    keys = set(Target.model_fields) - {"name", "parameters", "rate_from"}
    assert all(f"{key} = " in text for key in keys)
    assert ".parameters]" in text
    assert all(f"{{ {kind} = " in text for kind in ("uniform", "choice", "zipf"))


def test_defaults():
    """What a short table leaves out has the documented value."""
    target = http()
    assert (target.method, target.wait_p99, target.response_p99) == ("GET", None, None)
    assert (target.max_size, target.replicas, target.workers, target.statements) == (64, 1, 1, ())
    assert (target.headers, target.body, target.parameters, target.pause) == ({}, None, {}, 0)
    assert (target.read_only, target.work, target.gate) == (True, None, None)
    assert (target.growth, target.headroom, target.max_connections) == (1.0, 0.0, None)
    assert (target.lost_replicas, target.zones, target.tasks) == (None, None, 1)


def test_a_response_target_may_stand_alone(load):
    """With response_p99 alone no wait is asked; with neither, the response time itself decides."""
    found = load(f"[targets.t]\n{HTTP}response_p99 = 0.1\n[targets.both]\n{HTTP}"
                 f"response_p99 = 0.1\nwait_p99 = 0.02\n[targets.neither]\n{HTTP}")  # fmt: skip
    assert (found["t"].wait_p99, found["t"].response_p99) == (None, 0.1)
    assert (found["both"].wait_p99, found["both"].response_p99) == (0.02, 0.1)
    assert [target.asks_as_soon for target in found.values()] == [False, False, True]


def test_the_servers_budget_is_the_largest_size_by_default(load):
    """max_connections less those reserved and used by others caps what is ever opened."""
    text = f"[targets.t]\n{HTTP}max_connections = 50\nreserved_connections = 3\n"
    assert load(text)["t"].max_size == 47
    assert load(text + "used_connections = 17")["t"].max_size == 30
    assert load(text + "max_size = 47")["t"].max_size == 47
    assert load(f"[targets.t]\n{HTTP}max_connections = 500")["t"].max_size == 64


def test_only_keeps_the_named_ones_in_the_files_order(load):
    """Names are kept in the file's order, and a DSN that is not asked for may be unset."""
    text = f"[targets.b]\n{HTTP}[targets.a]\n{HTTP}" + (
        '[targets.db]\ndriver = "asyncpg"\ndsn_env = "ORDERS_DSN"\n'
        'statements = ["select 1"]\ntarget_rate = 1\n'
    )
    assert list(load(text, ["a", "b"])) == ["b", "a"]
    with pytest.raises(BadInput) as refused:
        load(text)
    assert mistakes(refused) == [
        "targets.db.dsn_env: the environment variable ORDERS_DSN is not set; "
        "set it with: export ORDERS_DSN=postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
    ]


MISTAKES = [
    # (what is in the table after the good lines, the line that tells it)
    ("max_sze = 3", "targets.t.max_sze: unknown key; did you mean max_size?"),
    ("Max_Size = 3", "targets.t.Max_Size: unknown key; did you mean max_size?"),
    ("zzz = 3", "targets.t.zzz: unknown key"),
    ('name = "x"', "targets.t.name: unknown key"),
    ("wait_p99 = 0", "targets.t.wait_p99: must be more than 0, got 0"),
    ("wait_p99 = -0.5", "targets.t.wait_p99: must be more than 0, got -0.5"),
    ("wait_p99 = inf", "targets.t.wait_p99: must be a finite number, got inf"),
    ("wait_p99 = nan", "targets.t.wait_p99: must be a finite number, got nan"),
    ("wait_p99 = true", "targets.t.wait_p99: must be a number, got true"),
    ('wait_p99 = "0.01"', 'targets.t.wait_p99: must be a number, got "0.01"'),
    ("response_p99 = 0", "targets.t.response_p99: must be more than 0, got 0"),
    ("max_size = 0", "targets.t.max_size: must be 1 or more, got 0"),
    ("max_size = 8.0", "targets.t.max_size: must be a whole number, got 8.0"),
    ("max_size = true", "targets.t.max_size: must be a whole number, got true"),
    ("replicas = 0", "targets.t.replicas: must be 1 or more, got 0"),
    ("workers = []", "targets.t.workers: must be a whole number, got a list"),
    ("growth = 0.9", "targets.t.growth: must be 1 or more, got 0.9"),
    ("growth = inf", "targets.t.growth: must be a finite number, got inf"),
    ("headroom = -0.1", "targets.t.headroom: must be 0 or more, got -0.1"),
    ("lost_replicas = 1", "targets.t.lost_replicas: must be less than replicas = 1, got 1"),
    (
        "replicas = 3\nlost_replicas = 3",
        "targets.t.lost_replicas: must be less than replicas = 3, got 3",
    ),
    ("zones = 1", "targets.t.zones: must be 2 or more, got 1"),
    (
        "zones = 2",
        "targets.t.zones: needs replicas of 2 or more: with one, a lost zone leaves none",
    ),
    (
        "replicas = 4\nzones = 2\nlost_replicas = 1",
        "targets.t.zones: must not stand beside lost_replicas: keep one of them",
    ),
    (
        "reserved_connections = 3",
        "targets.t.reserved_connections: is taken off max_connections, which is not there",
    ),
    ("surge = -1", "targets.t.surge: must be 0 or more, got -1"),
    ("surge = 1", "targets.t.surge: needs room among max_connections, which is not there"),
    (
        "replicas = 10\nsurge = 51\nmax_connections = 60\nmax_size = 30",
        "targets.t.surge: makes 61 pools while a deploy rolls, which need 61 connections; "
        "max_connections leaves 60",
    ),
    (
        "max_connections = 43\nreserved_connections = 3\nused_connections = 40",
        "targets.t.max_connections: must be more than reserved_connections and used_connections "
        "together, got 43",
    ),
    (
        "max_connections = 100\nused_connections = 60\nmax_size = 41",
        "targets.t.max_size: must be 40 or less: max_connections less those reserved and used by "
        "others, got 41",
    ),
    (
        "max_connections = 10\nreplicas = 11",
        "targets.t.max_size: must be 11 or more, one for each of replicas * workers pools, got 10",
    ),
    (
        "connections_per_task = 2",
        "targets.t.tasks: required by connections_per_task: the tasks of one process at a time",
    ),
    ("tasks = 2", "targets.t.tasks: says nothing without connections_per_task"),
    (
        "tasks = 40\nconnections_per_task = 3\nmax_size = 80",
        "targets.t.max_size: must be 81 or more: 81 in each pool, so that its tasks cannot lock "
        "each other out, got 80",
    ),
    (
        "replicas = 5\nworkers = 13",
        "targets.t.max_size: must be 65 or more, one for each of replicas * workers pools, got 64",
    ),
    (
        'method = "get"',
        "targets.t.method: must be one of GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE, "
        'got "get"; did you mean GET?',
    ),
    (
        'dsn_env = "ORDERS_DSN"\nstatements = ["select 1"]',
        "targets.t.dsn_env: belongs to a database; aiohttp takes url, method, headers and body",
    ),
]


@pytest.mark.parametrize(("line", "told"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_is_told_with_key_rule_value_and_nearest_key(load, line, told):
    """One line for it, and exit code 2."""
    with pytest.raises(BadInput) as refused:
        load(f"[targets.t]\n{HTTP}{line}\n")
    assert told in mistakes(refused)
    assert refused.value.exit_code is ExitCode.BAD_INPUT


WRONG_TABLES = [
    ("", "targets: must hold at least one table such as [targets.orders-api]"),
    ("[targets]", "targets: must hold at least one table such as [targets.orders-api]"),
    ("targets = 3", "targets: must be tables such as [targets.orders-api], got 3"),
    (
        '[targets]\nurl = "http://127.0.0.1/"',
        "targets.url: must be a table [targets.NAME]; put url under a table of its own",
    ),
    ("[target.t]", "target: unknown key; did you mean targets?"),
    (f"[targets.a.b]\n{HTTP}", 'targets.a: a name that holds a dot needs quotes: [targets."a.b"]'),
    (
        f"[targets.'a/b']\n{HTTP}",
        "targets.a/b: a target's name must be usable as a file name: up to 100 letters, digits, "
        ". _ -, and start with a letter, digit or _",
    ),
    ("[targets.t]", "targets.t.driver: required, but not there"),
    ('[targets.t]\ndriver = "aiohttp"', "targets.t.url: required by aiohttp"),
    ('[targets.t]\ndriver = "asyncpg"', "targets.t.dsn_env: required by asyncpg (or dsn)"),
    (
        '[targets.t]\ndriver = "asyncpg"',
        "targets.t.statements: asyncpg needs at least one statement (or work)",
    ),
    (
        f'[targets.t]\n{DB}dsn_env = "X"',
        "targets.t.dsn_env: must not stand beside dsn: keep one of them",
    ),
    (
        f'[targets.t]\n{DB}url = "http://127.0.0.1/"',
        "targets.t.url: belongs to an HTTP endpoint; asyncpg takes dsn, dsn_env, statements, "
        "parameters, pause and read_only",
    ),
    (
        '[targets.t]\ndriver = "aiohtp"',
        f"targets.t.driver: must be one of {', '.join(SUPPORTED_DRIVERS)}, "
        'got "aiohtp"; did you mean aiohttp?',
    ),
    ('[targets.t]\ndriver = "httpx"', "targets.t.url: required by httpx"),
    ('[targets.t]\ndriver = "psycopg"', "targets.t.dsn_env: required by psycopg (or dsn)"),
    (
        '[targets.t]\nstatements = "select 1"',
        'targets.t.statements: must be a list of texts, such as ["select 1"]',
    ),
    ("[targets.t]\nstatements = [1]", "targets.t.statements[0]: must be text in quotes"),
    ('[targets.t]\nstatements = [" "]', "targets.t.statements: must hold no empty statement"),
    ('allow_hosts = "h"', 'allow_hosts: must be a list such as ["db.internal"], got "h"'),
    (
        'allow_hosts = ["a", 3]',
        "allow_hosts[1]: must be a host name or address, no scheme or path, got 3",
    ),
    (
        'allow_hosts = ["*"]',
        'allow_hosts[0]: must be a host name or address, no scheme or path, got "*"',
    ),
]


@pytest.mark.parametrize(("text", "told"), WRONG_TABLES, ids=[told for _, told in WRONG_TABLES])
def test_a_wrong_file_is_told(load, text, told):
    """Missing keys, keys of the other family, wrong shapes of the file."""
    with pytest.raises(BadInput) as refused:
        load(text)
    assert told in mistakes(refused)


def test_every_mistake_is_told_at_once(load):
    """Mistakes of all targets, of single keys, of keys together, of hosts and of names."""
    text = f"""
        allow_host = []
        [targets.a]
        driver = "aiohttp"
        url = "http://db.internal/"
        target_rate = 0
        max_sze = 1
        replicas = 100
        [targets.b]
        {HTTP}
        wait_p99 = "1"
    """
    with pytest.raises(BadInput) as refused:
        load("\n".join(line.strip() for line in text.splitlines()), ["c"])
    assert mistakes(refused) == [
        "targets.c: no such target; targets.toml has a, b",
        "allow_host: unknown key; did you mean allow_hosts?",
        "targets.a.max_sze: unknown key; did you mean max_size?",
        "targets.a.target_rate: must be more than 0, got 0",
        "targets.a.max_size: must be 100 or more, one for each of replicas * workers pools, got 64",
        "targets.a.url: host db.internal is not this machine; where load may be sent to it, "
        'add it: allow_hosts = ["db.internal"]',
        'targets.b.wait_p99: must be a number, got "1"',
    ]
    assert "7 mistakes in" in refused.value.cause


def test_without_load_a_target_needs_neither_its_dsn_nor_its_host_allowed(tmp_path):
    """Who looks at metrics has no credentials of the database; who is asked must be allowed."""
    file = tmp_path / "targets.toml"
    table = """
        [targets.orders]
        driver = "asyncpg"
        dsn_env = "POOLKIT_NOT_SET"
        statements = ["select 42"]
        target_rate = 80
        production = { prometheus = "http://metrics.internal:9090", pool = "orders" }
        [targets.a]
        driver = "aiohttp"
        url = "http://orders.internal/"
        headers = { Authorization = { env = "POOLKIT_NOT_SET" } }
        target_rate = 80
    """
    file.write_text(table, encoding="utf-8")
    with pytest.raises(BadInput) as refused:
        load_targets(file, sends=False)
    assert mistakes(refused) == [
        "targets.orders.production.prometheus: host metrics.internal is not this machine; "
        'where it may be asked, add it: allow_hosts = ["metrics.internal"]'
    ]
    file.write_text('allow_hosts = ["metrics.internal"]\n' + table, encoding="utf-8")
    assert load_targets(file, sends=False)["orders"].endpoint == "$POOLKIT_NOT_SET"
    with pytest.raises(BadInput):
        load_targets(file)


def test_files_that_cannot_be_read(tmp_path):
    """Missing, a folder, not TOML (with its line and column), not UTF-8: each its own message."""
    bad = tmp_path / "bad.toml"
    bad.write_text("[targets.a]\nurl = oops\n", encoding="utf-8")
    latin = tmp_path / "latin.toml"
    latin.write_bytes("# Größe".encode("latin-1"))
    for path, told in (
        (tmp_path / "none.toml", "no such file"),
        (tmp_path, "cannot read"),
        (bad, "line 2, column 7"),
        (latin, "not text in UTF-8 (byte 4)"),
    ):
        with pytest.raises(BadInput) as refused:
            load_targets(path)
        assert told in refused.value.cause
        assert str(path) in refused.value.cause
        assert refused.value.remedy


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("/var/run/postgresql", True),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("128.0.0.1", False),
        ("0.0.0.0", False),
        ("127.1", False),  # some resolvers take it for loopback; what is not plain is refused
        ("2130706433", False),
        ("::2", False),
        ("", False),
    ],
)
def test_loopback(host, is_loopback):
    """Only what every resolver takes for this machine counts."""
    assert endpoints.is_loopback(host) is is_loopback


FOREIGN = [
    ("url", "http://db.internal/", "db.internal"),
    ("url", "http://DB.Internal.:80/", "db.internal"),
    ("url", "http://127.0.0.1@db.internal/", "db.internal"),
    ("url", "https://[2001:db8::1]/x", "2001:db8::1"),
    ("dsn", "postgresql://u:p@db.internal/d", "db.internal"),
    ("dsn", "postgresql:///d?host=db.internal", "db.internal"),
    ("dsn", "postgresql://localhost,db.internal:1/d", "db.internal"),
    ("dsn", "postgresql://%64b.internal/d", "db.internal"),
    ("dsn", "postgresql:///d?hostaddr=10.0.0.1", "10.0.0.1"),
]


@pytest.mark.parametrize(("key", "value", "host"), FOREIGN, ids=[f[1] for f in FOREIGN])
def test_a_host_elsewhere_must_be_allowed(load, key, value, host):
    """Refused while it is not in allow_hosts, however it is written; accepted when it is."""
    lines = [
        line for line in (HTTP if key == "url" else DB).splitlines() if not line.startswith(key)
    ]
    table = "\n".join(["[targets.t]", *lines, f'{key} = "{value}"'])
    with pytest.raises(BadInput, match=re.escape(f"host {host} is not this machine")):
        load(table)
    assert host in load(f'allow_hosts = ["{host.upper()}"]\n{table}')["t"].hosts


def test_hosts_that_the_environment_brings_are_judged_too(load, monkeypatch):
    """PGHOST is dialled where the DSN names no host; the DSN variable is looked into."""
    monkeypatch.setenv("PGHOST", "db.internal")
    with pytest.raises(BadInput, match=r"host db\.internal is not this machine"):
        load(f"[targets.t]\n{DB}")
    monkeypatch.setenv("PGHOST", ":1")
    with pytest.raises(BadInput, match=r"PG\.\.\. variables as set here, it must name a host"):
        load(f"[targets.t]\n{DB}")
    monkeypatch.delenv("PGHOST")
    monkeypatch.setenv("ORDERS_DSN", "postgresql://u:p@other.internal/d")
    table = "[targets.t]\n" + DB.replace('dsn = "postgresql:///d"', 'dsn_env = "ORDERS_DSN"')
    with pytest.raises(BadInput, match=r"host other\.internal is not this machine"):
        load(table)
    monkeypatch.setenv("ORDERS_DSN", f"mysql://u:{PASSWORD}@h/d")
    with pytest.raises(BadInput, match="the content of ORDERS_DSN must have the form") as refused:
        load(table)
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/", "127.0.0.1:8080", "http://", "http:///x", "http://h:0/", "http://h:99999/",
        "http://h:x/", "http://[::1/", "http://127.0.0.1\\\\@evil/", "http://a b/", "http://a@b@c/",
    ],
)  # fmt: skip
def test_urls_that_are_refused(load, url):
    """Nothing that two parsers could read as two hosts, and nothing without one."""
    with pytest.raises(BadInput, match=r"targets\.t\.url: must"):
        load(f'[targets.t]\ndriver = "aiohttp"\ntarget_rate = 1\nurl = "{url}"\n')


@pytest.mark.parametrize(
    "dsn",
    [
        "mysql://h/d", "host=h password=hunter2", "postgresql://u:p@h:0/d", "postgresql://u:p@h:x/d",
        "postgresql://u:p@w@h/d", "postgresql:///d?service=orders", "postgresql://u:p#x@h/d",
        "postgresql://,/d", "postgresql://a,/d", "postgresql://:5432/d", "postgresql://h/d?port=x",
    ],
)  # fmt: skip
def test_dsns_that_are_refused(dsn):
    """With the rule, and without a word of the DSN."""
    with pytest.raises(ValueError, match=r"^must ") as refused:
        endpoints.of_dsn(dsn, {})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("dsn", "environ", "printable"),
    [
        ("postgresql://u:p@h/d", {}, "postgresql://h:5432/d"),
        ("postgres://u:p@h:99/d?sslmode=require", {}, "postgresql://h:99/d"),
        ("postgresql://[::1]:99/d", {}, "postgresql://[::1]:99/d"),
        ("postgresql://a:1,b/d", {"PGPORT": "7"}, "postgresql://a:1,b:7/d"),
        ("postgresql://u:@/d?host=/run/pg", {}, "postgresql:///d (socket /run/pg)"),
        ("postgresql://%2Frun%2Fpg/d", {}, "postgresql:///d (socket /run/pg)"),
        ("postgresql:///d", {}, "postgresql:///d"),
        ("postgresql:///d", {"PGHOST": "h"}, "postgresql://h:5432/d"),
        ("postgresql://h?dbname=d", {}, "postgresql://h:5432/d"),
    ],
)
def test_what_is_printed_of_a_dsn(dsn, environ, printable):
    """Host, port and database; no user and no password."""
    assert endpoints.of_dsn(dsn, environ).printable == printable


def test_a_url_is_printed_without_user_and_query():
    """The path stays; that there is a query is shown, its names and values are not."""
    target = http(url="https://user:pw-1234@[::1]:8443/a/b?page=3&token=tok-1234#part")
    assert target.endpoint == "https://[::1]:8443/a/b?…"


@pytest.mark.parametrize(
    ("target", "hidden"),
    [
        (http(url="http://u:pa%20ss@[::1]/"), ["pa%20ss", "pa ss", "dTpwYSBzcw=="]),  # u:pa ss
        (http(url="http://key-as-user:@[::1]/"), ["key-as-user"]),
        (http(url="http://key-as-user:x@[::1]/"), ["key-as-user"]),
        (http(url="http://[::1]/?api_key=k-123&page=page-3"), ["k-123"]),
        (database(dsn="postgresql://u:p%40ss@/d"), ["p%40ss", "p@ss"]),
        (database(dsn="postgresql:///d?user=u&password=qu-pass"), ["qu-pass"]),
        (database(dsn="postgresql:///d?sslpassword=ssl-pass"), ["ssl-pass"]),
    ],
)
def test_secrets(target, hidden):
    """Each place of a password or key is known as a secret; a page number is not."""
    assert set(hidden) <= set(target.secrets)
    assert "page-3" not in target.secrets


def test_the_clients_own_password_variable_is_a_secret(monkeypatch):
    """asyncpg reads PGPASSWORD where the DSN has no password."""
    monkeypatch.setenv("PGPASSWORD", "from-environment")
    assert "from-environment" in database(dsn="postgresql:///d").secrets


WITH_SECRET = [
    # (table lines that hold the password in a right or wrong place)
    f'dsn = "postgresql://u:{ENCODED}@h/d"\nstatements = 3',
    f'dsn = "postgresql://u:{PASSWORD}@h/d"',
    f'dsn = "postgresql://u:{ENCODED}@h:99999/d"',
    f'dsn = "mysql://u:{ENCODED}@h/d"',
    f'dsn = "host=h password={PASSWORD}"',
    f'dsn = ["{PASSWORD}"]',
    f'dsn_env = "postgresql://u:{ENCODED}@h/d"',
    f'url = "http://u:{ENCODED}@h/"',
    f'url = "http://h/?token={ENCODED}"',
    f'url = "http://u:{PASSWORD}@h/"',
    f'driver = "postgresql://u:{ENCODED}@h/d"',
    f'statements = [["{PASSWORD}"]]',
    f'wait_p99 = "postgresql://u:{ENCODED}@h/d"',
    f'passwrd = "{PASSWORD}"',
]


@pytest.mark.parametrize("lines", WITH_SECRET)
def test_no_mistake_quotes_a_password(load, lines):
    """In whichever key it stands, the message is free of it."""
    driver = "" if lines.startswith("driver") else 'driver = "asyncpg"\n'
    with pytest.raises(BadInput) as refused:
        load(f"[targets.t]\n{driver}target_rate = 0\n{lines}\n")
    told = str(refused.value)
    assert Redactor([PASSWORD, ENCODED, "hunter2", "s3cret"]).text(told) == told
    assert "targets.t.target_rate: must be more than 0, got 0" in mistakes(refused)


@pytest.mark.parametrize(
    "target",
    [
        http(url=f"http://u:{ENCODED}@[::1]/?token={ENCODED}"),
        database(dsn=f"postgresql://u:{ENCODED}@/d?sslpassword={ENCODED}"),
    ],
)
def test_no_text_form_of_a_target_holds_its_password(target):
    """repr, str, dumps and the manifest's settings are free of it."""
    forms = [repr(target), str(target), target.model_dump_json(), str(target.model_dump())]
    forms += [target.endpoint, json.dumps(target.public_settings())]
    assert [Redactor(target.secrets).text(form) for form in forms] == forms


def test_a_target_made_by_hand_shows_no_password_when_refused():
    """pydantic's own message, as a traceback would print it, has no input in it."""
    with pytest.raises(ValidationError) as refused:
        database(dsn=f"mysql://u:{PASSWORD}@h/d")
    assert "hunter2" not in str(refused.value)


def test_a_target_made_by_hand_is_held_to_the_same_rules():
    """Keys that do not go together are refused outside of a file as well."""
    with pytest.raises(ValidationError, match="url: required by aiohttp"):
        http(url=None)
    with pytest.raises(ValidationError, match="max_size: must be 3 or more"):
        http(replicas=3, max_size=2)
    assert http(replicas=3, max_size=3).pools == 3  # exactly one connection a pool


def test_an_unset_variable_is_told_with_the_line_to_type(monkeypatch):
    """Unset and empty are the same; the endpoint is then shown by the variable's name."""
    target = database(dsn_env="ORDERS_DSN")
    for value in (None, ""):
        if value is not None:
            monkeypatch.setenv("ORDERS_DSN", value)
        with pytest.raises(BadInput, match="ORDERS_DSN is not set") as refused:
            target.resolved_dsn()
        assert "export ORDERS_DSN=" in refused.value.remedy
        assert (target.endpoint, target.hosts, target.secrets) == ("$ORDERS_DSN", (), ())
    monkeypatch.setenv("ORDERS_DSN", "postgresql://u:p4ss@127.0.0.1/d")
    assert target.secrets == ("p4ss",)


def test_a_dsn_is_for_databases_only():
    """Asking an HTTP target for one is a fault of the program, not of the user."""
    with pytest.raises(ValueError, match="takes no DSN"):
        http().resolved_dsn()


SAME_LOAD = [
    {"target_rate": 9.0}, {"wait_p99": 0.5}, {"response_p99": 1.0}, {"max_size": 7},
    {"growth": 2.0}, {"headroom": 0.2}, {"max_connections": 90},
    {"tasks": 2, "connections_per_task": 2},
]  # fmt: skip
OTHER_LOAD = [
    {"url": "http://[::1]/x"},
    {"url": "http://[::1]:81/"},
    {"url": "http://[::1]/?id=2"},
    {"method": "HEAD"},
]


def test_the_fingerprint_follows_the_load():
    """Objectives leave it, whatever changes a call moves it; no two of these calls share one."""
    base = http().fingerprint
    assert all(http(**change).fingerprint == base for change in SAME_LOAD)
    others = [http(**change).fingerprint for change in OTHER_LOAD]
    others += [
        database(dsn="postgresql:///d").fingerprint,
        database(dsn="postgresql:///e").fingerprint,
        database(dsn="postgresql://v@/d").fingerprint,
        database(dsn="postgresql:///d", statements=["select 2"]).fingerprint,
    ]
    assert len({base, *others}) == 1 + len(others)


def test_the_fingerprint_holds_no_credential():
    """A new password or token resumes the old trials."""
    for before, after in (
        (http(url="http://u:one@[::1]/?token=one"), http(url="http://u:two@[::1]/?token=two")),
        (database(dsn="postgresql://u:one@/d"), database(dsn="postgresql://u:two@/d")),
    ):
        assert before.fingerprint == after.fingerprint


def test_public_settings():
    """What the manifest tells, by family."""
    assert http(target_rate=500).public_settings() == {
        "driver": "aiohttp", "endpoint": "http://[::1]/", "method": "GET", "target_rate": 500.0,
        "wait_p99": None, "response_p99": None, "max_size": 64, "replicas": 1, "workers": 1,
    }  # fmt: skip
    shown = database(dsn="postgresql://u:pw-123@[::1]/d").public_settings()
    assert shown["statements"] == ["select 1"]
    assert shown["read_only"] is True
    assert "method" not in shown


@given(st.text(max_size=40))
def test_a_refusal_names_a_rule(text):
    """Whatever the text, it is read, or refused by a rule."""
    for read in (endpoints.of_url, lambda dsn: endpoints.of_dsn(dsn, {})):
        with suppress_rules():
            read(text)


@contextlib.contextmanager
def suppress_rules():
    """Let pass what names its rule; let anything else fail the test."""
    try:
        yield
    except ValueError as error:
        if not str(error).startswith("must "):
            raise


def test_every_supported_driver_has_an_adapter():
    """What targets.toml accepts can be driven, probed and listened to, and nothing else."""
    assert tuple(table.DRIVERS) == SUPPORTED_DRIVERS
    for driver in SUPPORTED_DRIVERS:
        module = registry.driver_module(driver)
        arguments = set(inspect.signature(registry.adapter_of(driver)).parameters)
        assert set(table.DRIVERS[driver].settings.values()) <= arguments
        assert set(module.keeping(1.0, ping=False)) <= arguments
        assert module.hook_of(object()) is None


def test_names_of_variables():
    """What an environment variable may be called."""
    assert VARIABLE.fullmatch("ORDERS_DSN2")
    assert not VARIABLE.fullmatch("2ORDERS")
