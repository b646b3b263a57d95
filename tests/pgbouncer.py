"""Debian's PgBouncer in front of the lab's PostgreSQL, as a context manager."""

from __future__ import annotations

import os
from typing import Self

import pytest

from poolkit.errors import PoolkitError
from poolkit.lab import pgbouncer


def require_pgbouncer() -> None:
    """Skip the test where it is not installed, but not in continuous integration."""
    try:
        pgbouncer.find_program()
    except PoolkitError as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


class PgBouncer(pgbouncer.PgBouncer):
    """The lab's own, where it is installed."""

    def __enter__(self) -> Self:
        require_pgbouncer()
        return super().__enter__()
