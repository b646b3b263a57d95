"""Debian's PgBouncer in front of the lab's PostgreSQL, as a context manager."""

from __future__ import annotations

import os
from typing import Self

import pytest

from poolkit.errors import PoolkitError
from poolkit.lab import pgbouncer


class PgBouncer(pgbouncer.PgBouncer):
    """The lab's own; without it a test is skipped, but not in continuous integration."""

    def __enter__(self) -> Self:
        try:
            pgbouncer.find_program()
        except PoolkitError as missing:
            if os.environ.get("CI") == "true":
                pytest.fail(str(missing))
            pytest.skip(str(missing))
        return super().__enter__()
