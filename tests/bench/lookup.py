"""The work of the SQL drivers' benches: one row by its index, as `pgbench -S` reads it."""

from __future__ import annotations

from poolkit.targets import Uniform
from poolkit.targets.workload import SqlWork

ACCOUNTS = 10_000
CONNECTIONS = 8


def lookup() -> SqlWork:
    """One row by its index."""
    return SqlWork(
        ["select abalance from pgbench_accounts where aid = :aid"], {"aid": Uniform(1, ACCOUNTS)}
    )
