"""The lab's database is a real PostgreSQL with a real password."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from poolkit.lab import postgres_files, tables
from poolkit.lab.catalogue import SIZING_CASES
from poolkit.lab.postgres import PostgresServer

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer(accounts=1000) as running:
        yield running


def fetch(dsn: str, statement: str, **options: Any) -> Any:
    async def connect_and_fetch() -> Any:
        connection = await asyncpg.connect(dsn, timeout=10, **options)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(connect_and_fetch())


@pytest.mark.parametrize(
    ("statement", "answer"),
    [
        ("select count(*) from pgbench_accounts", 1000),
        ("select abalance from pgbench_accounts where aid = 42", 42),
        ("select count(*) from pgbench_tellers", 10),
        ("select count(*) from pgbench_branches", 1),
        ("show max_connections", "100"),
        ("show password_encryption", "scram-sha-256"),
        ("select current_setting('server_version_num')::int / 10000", 18),
        ("select count(*) from pg_indexes where tablename = 'pgbench_accounts'", 1),
    ],
)
def test_it_answers(server: PostgresServer, statement: str, answer: object) -> None:
    """Tables, index and settings that the notebooks rely on."""
    assert fetch(server.dsn, statement) == answer


def test_the_catalogue_read_works_in_a_read_only_transaction(server: PostgresServer) -> None:
    """Its locks are advisory, so a pool that refuses to write can run it."""
    read_only = {"default_transaction_read_only": "on"}
    assert fetch(server.dsn, "select lab_read(7)", server_settings=read_only) == 7
    fetch(server.dsn, tables.READ, server_settings=read_only)
    fetch(server.dsn, SIZING_CASES["postgres-select"].statements[0], server_settings=read_only)


def test_the_read_shares_few_places(server: PostgresServer) -> None:
    """With every place taken by another session, a read waits until one is given back."""

    async def scenario() -> bool:
        holder, reader = [await asyncpg.connect(server.dsn) for _ in range(2)]
        for place in range(tables.PLACES):
            await holder.execute(f"select pg_advisory_lock(4242, {place})")
        reading = asyncio.ensure_future(reader.fetchval("select lab_read(7)"))
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        while await holder.fetchval(waiting) == 0:
            assert not reading.done()
            await asyncio.sleep(0.01)
        await holder.execute("select pg_advisory_unlock_all()")
        answer: int = await reading
        await holder.close()
        await reader.close()
        return answer == 7

    assert asyncio.run(asyncio.wait_for(scenario(), 20))


def test_a_payment_is_a_write(server: PostgresServer) -> None:
    """It adds one to a hot teller's balance, and is refused where writes are."""
    total = "select sum(tbalance) from pgbench_tellers where tid <= " + str(tables.HOT_ROWS)
    before = fetch(server.dsn, total)
    fetch(server.dsn, tables.WRITE)
    assert fetch(server.dsn, total) == before + 1
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        fetch(server.dsn, tables.WRITE, server_settings={"default_transaction_read_only": "on"})


def test_payments_to_one_teller_wait_for_each_other(server: PostgresServer) -> None:
    """While another transaction holds the row, a payment to it waits; one to the next does not."""

    async def scenario() -> None:
        holder, payer, other = [await asyncpg.connect(server.dsn) for _ in range(3)]
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("update pgbench_tellers set tbalance = tbalance where tid = 1")
        paying = asyncio.ensure_future(payer.fetchval("select lab_pay(1)"))
        waiting = "select count(*) from pg_locks where not granted"
        while await other.fetchval(waiting) == 0:
            assert not paying.done()
            await asyncio.sleep(0.01)
        await other.fetchval("select lab_pay(2)")
        assert not paying.done()
        await transaction.rollback()
        await paying
        for connection in (holder, payer, other):
            await connection.close()

    asyncio.run(asyncio.wait_for(scenario(), 20))


@pytest.mark.parametrize(
    "login",
    [{"password": "wrong"}, {"password": ""}, {"user": "postgres"}],
    ids=["wrong password", "no password", "superuser"],
)
def test_nobody_else_gets_in(
    server: PostgresServer, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the password there is no way in, and none at all as the superuser."""
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", os.devnull)
    with pytest.raises(
        (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)
    ):
        fetch(server.dsn, "select 1", **login)


def test_the_password_is_in_no_file_and_no_repr(server: PostgresServer) -> None:
    """Only the DSN holds it; the server keeps a hash."""
    password = server.dsn.split(":")[2].split("@")[0]
    assert password not in repr(server)
    files = [path for path in Path(server.folder).rglob("*") if path.is_file()]
    assert len(files) > 100
    assert [path for path in files if password.encode() in path.read_bytes()] == []


def test_its_folder_is_closed_to_others(server: PostgresServer) -> None:
    """The temporary folder belongs to the server's user alone."""
    mode = Path(server.folder).stat().st_mode
    assert stat.S_IMODE(mode) == 0o700


def test_kill_cuts_connections_and_restart_brings_data_and_port_back() -> None:
    """A crash for fault tests; nothing of the folder remains after the `with`."""
    with PostgresServer(accounts=100) as server:
        port, first, folder = server.port, server.server_pid, Path(server.folder)
        server.kill()
        assert server.server_pid is None
        with pytest.raises(OSError, match="Connect call failed"):
            fetch(server.dsn, "select 1")
        server.restart()
        assert server.port == port
        assert server.server_pid not in (None, first)
        assert fetch(server.dsn, "select count(*) from pgbench_accounts") == 100
        assert folder.exists()
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives its programs to another user")
def test_programs_out_of_reach_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root's own folders stay closed: the server's user gets a throwaway copy."""
    user = postgres_files.run_as()
    scratch = postgres_files.new_folder(user)
    real = postgres_files.find_programs(None, scratch).folder.parent
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for folder in (real, real.with_name(f"{real.name}.libs")):
        (closed / folder.name).symlink_to(folder)
    fake_spec = SimpleNamespace(origin=str(closed / real.name / "__init__.py"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: fake_spec)
    try:
        found = postgres_files.find_programs(user, scratch)
        assert found.folder.is_relative_to(scratch)
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        shutil.rmtree(scratch)
