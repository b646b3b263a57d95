"""The key `evidence`: where the server's side is looked at, with hosts and secrets guarded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from poolkit.errors import BadInput
from poolkit.targets import Target, load_targets
from poolkit.targets.evidence import EvidenceFrom
from poolkit.targets.production import RateQuery

DATABASE = """[targets.t]
driver = "asyncpg"
dsn_env = "ORDERS_DSN"
statements = ["select 1"]
target_rate = 1
"""
HTTP = '[targets.t]\ndriver = "aiohttp"\nurl = "http://127.0.0.1:1/"\ntarget_rate = 1\n'

Load = Callable[[str], Target]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.setenv("ORDERS_DSN", "postgresql://u:p4ss@127.0.0.1:6432/orders")
    monkeypatch.setenv("CONSOLE", "postgresql://admin:s3cr3t@127.0.0.1:6432/pgbouncer")
    monkeypatch.setenv("ELSEWHERE", "postgresql://admin:s3cr3t@db.internal/orders")

    def of(text: str) -> Target:
        file = tmp_path / "targets.toml"
        file.write_text(text, encoding="utf-8")
        return load_targets(file)["t"]

    return of


def test_what_it_may_be(load: Load) -> None:
    """Looked at by default; off by a word; beside the DSN a query or others' DSNs."""
    assert load(DATABASE).evidence == EvidenceFrom()
    assert load(DATABASE).evidence.is_wanted
    assert not load(f"{DATABASE}evidence = false").evidence.is_wanted
    asked = load(
        f"{HTTP}evidence = {{ prometheus = 'http://127.0.0.1:9090/', query = 'a[$window]' }}"
    )
    assert asked.evidence.query == RateQuery("http://127.0.0.1:9090", "a[$window]")
    given = load(f'{DATABASE}evidence = {{ pooler_dsn_env = "CONSOLE" }}').evidence
    assert (given.pooler_dsn_env, given.server_dsn_env) == ("CONSOLE", None)


def test_it_shapes_no_load_and_gives_no_secret_away(load: Load) -> None:
    """Trials count whoever looked on, and the DSN's password is among what is redacted."""
    plain = load(DATABASE)
    asked = load(f'{DATABASE}evidence = {{ pooler_dsn_env = "CONSOLE" }}')
    assert asked.fingerprint == plain.fingerprint
    assert "s3cr3t" in asked.secrets
    assert "s3cr3t" not in plain.secrets
    assert "CONSOLE" not in repr(asked)
    assert "s3cr3t" not in str(asked.public_settings())


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("3", "evidence: must be true, false, or a table such as {"),
        ("{}", "evidence: must be true, false, or a table such as {"),
        ("{ promtheus = 'http://127.0.0.1:1' }", "did you mean prometheus?"),
        ("{ query = 'up' }", "needs prometheus, a URL"),
        ("{ prometheus = 'http://u:s3cr3t@127.0.0.1:1', query = 'up' }", "needs prometheus, a URL"),
        ("{ prometheus = 'http://db.internal:1', query = 'up' }", "host db.internal is not this"),
        ("{ pooler_dsn_env = 'postgresql://a:s3cr3t@h/d' }", "must be the name of an environment"),
        ("{ pooler_dsn_env = 'NOT_SET' }", "the environment variable NOT_SET is not set"),
        ("{ server_dsn_env = 'ELSEWHERE' }", "host db.internal is not this machine"),
    ],
)
def test_mistakes_are_told(load: Load, table: str, told: str) -> None:
    """With the rule; no secret is quoted and no host asked that nobody allowed."""
    with pytest.raises(BadInput) as refused:
        load(f"{DATABASE}evidence = {table}")
    assert told in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


def test_a_dsn_belongs_to_postgresql(load: Load) -> None:
    with pytest.raises(BadInput, match="server_dsn_env belongs to PostgreSQL"):
        load(f'{HTTP}evidence = {{ server_dsn_env = "CONSOLE" }}')
