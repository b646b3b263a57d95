"""A Redis target: its URL, and its commands with placeholders."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.errors import BadInput
from poolkit.targets import Target, endpoint, load_targets
from poolkit.targets.statement import Command

WORDS = [
    # (text, names, words where a = 1 and b = "x y")
    ("PING", (), ("PING",)),
    ("GET session:$a", ("a",), ("GET", "session:1")),
    ("GET {user:${a}}:cart", ("a",), ("GET", "{user:1}:cart")),
    ("HSET k f '$b' $a $b", ("b", "a"), ("HSET", "k", "f", "x y", "1", "x y")),
    ("SET price $$$a", ("a",), ("SET", "price", "$1")),
    ("""SET k '{"a": "$a"}'""", ("a",), ("SET", "k", '{"a": "1"}')),
    ("JSON.GET k $.name", (), ("JSON.GET", "k", "$.name")),
]


@pytest.mark.parametrize(("text", "names", "words"), WORDS, ids=[case[0] for case in WORDS])
def test_commands_are_read_as_redis_cli_reads_them(
    text: str, names: tuple[str, ...], words: tuple[str, ...]
) -> None:
    """Quotes hold words together, $name and ${name} are placeholders, $$ is a dollar."""
    command = Command(text)
    assert command.names == names
    assert command.words({"a": 1, "b": "x y"}) == words
    assert command.verb == words[0].upper()


@given(st.text(min_size=1))
def test_no_drawn_value_makes_a_word_more(value: str) -> None:
    """Whatever a value holds (spaces, quotes, dollars), it stays one word."""
    assert Command("SET key:$a $a").words({"a": value}) == ("SET", f"key:{value}", value)


@pytest.mark.parametrize(
    ("url", "printable"),
    [
        ("redis://127.0.0.1", "redis://127.0.0.1"),
        ("redis://user:hunter2@cache:6380/3", "redis://cache:6380/3"),
        ("rediss://:hunter2@cache/0?ssl_cert_reqs=none", "rediss://cache/0?…"),
        ("redis://[::1]:6379/0?password=hunter2", "redis://[::1]:6379/0?…"),
    ],
)
def test_what_is_printed_of_a_url(url: str, printable: str) -> None:
    """Scheme, host, port and database; the password is among the secrets wherever it stood."""
    found = endpoint.of_dsn(url, {}, "redis")
    assert found.printable == printable
    assert ("hunter2" in url) == ("hunter2" in found.secrets)
    assert "hunter2" not in found.identity


@pytest.mark.parametrize(
    "url",
    [
        "redis:///0?host=elsewhere", "redis://h/0?host=elsewhere", "redis://h/0?max_connections=5",
        "redis://h/0?health_check_interval=5", "unix:///run/redis.sock", "http://h/0",
        "redis://u:hunter2@w@h/0", "redis://h:0/0", "redis://",
    ],
)  # fmt: skip
def test_urls_that_are_refused(url: str) -> None:
    """No second host, and nothing that goes before the size that is measured."""
    with pytest.raises(ValueError, match=r"^must ") as refused:
        endpoint.of_dsn(url, {}, "redis")
    assert "hunter2" not in str(refused.value)


REDIS = 'driver = "redis"\ndsn = "redis://127.0.0.1:6379/0"\ntarget_rate = 10\n'
REFUSED = [
    ('driver = "redis"\ntarget_rate = 1', "dsn_env: required by redis (or dsn)"),
    (REDIS, "statements: redis needs at least one statement (or work)"),
    (
        f'{REDIS}statements = ["GET a"]\npause = 0.1',
        "pause: stands between SQL statements; Redis is sent all commands of a call at once",
    ),
    (
        f'{REDIS}statements = ["GET a"]\nurl = "http://127.0.0.1/"',
        "url: belongs to an HTTP endpoint; redis takes dsn, dsn_env, statements, parameters "
        "and read_only",
    ),
    (f"""{REDIS}statements = ["GET 'a"]""", "statements[0]: has a quote that is not closed"),
    (
        f'{REDIS}statements = ["GET session:$id"]',
        "parameters.id: required by $id in statements[0], such as id = { uniform = [1, 100000] }",
    ),
    (
        f'{REDIS}statements = ["GET session:$id"]\nparameters = {{ ids = {{ uniform = [1, 2] }} }}',
        "parameters.ids: no statement uses $ids; did you mean id?",
    ),
    (
        f'{REDIS}statements = ["GET a"]\npool_class = "blokking"',
        'pool_class: must be one of blocking, default, got "blokking"; did you mean blocking?',
    ),
    (f'{REDIS}statements = ["GET a"]\nmin_size = 2', "min_size: belongs to asyncpg and psycopg"),
    (
        'driver = "redis"\ndsn = "postgresql://127.0.0.1/d"\nstatements = ["GET a"]',
        "dsn: must start with redis:// or rediss://",
    ),
    (
        'driver = "asyncpg"\ndsn = "redis://127.0.0.1/0"\nstatements = ["select 1"]',
        "dsn: must have the form postgresql://",
    ),
    (
        'driver = "redis"\ndsn_env = "NO_SUCH_DSN"\nstatements = ["GET a"]',
        "NO_SUCH_DSN is not set; set it with: export NO_SUCH_DSN=redis://USER:PASSWORD@HOST",
    ),
    (
        'driver = "redis"\ndsn = "redis://cache.internal/0"\nstatements = ["GET a"]',
        "host cache.internal is not this machine; where load may be sent to it, add it: "
        'allow_hosts = ["cache.internal"]',
    ),
]


@pytest.mark.parametrize(("body", "told"), REFUSED, ids=[case[1][:60] for case in REFUSED])
def test_mistakes_are_named(tmp_path: Path, body: str, told: str) -> None:
    """As those of the other drivers: the key, the rule and the nearest right word."""
    file = tmp_path / "targets.toml"
    file.write_text(f"[targets.t]\n{body}\n", encoding="utf-8")
    with pytest.raises(BadInput) as refused:
        load_targets(file)
    assert told in str(refused.value)


def test_a_target_shows_no_password() -> None:
    """Neither printed, dumped nor in its fingerprint."""
    target, other = (
        Target(
            name="sessions",
            driver="redis",
            dsn=f"redis://reader:{password}@127.0.0.1:6379/0",
            statements=["GET a"],
            target_rate=10.0,
        )
        for password in ("hunter2", "another-word")
    )
    assert "hunter2" not in f"{target!r} {target.model_dump()} {target.public_settings()}"
    assert "hunter2" in target.secrets
    assert target.fingerprint == other.fingerprint
    assert target.endpoint == "redis://127.0.0.1:6379/0"
