"""The client libraries that can be driven and the HTTP methods that they may send."""

from __future__ import annotations

from typing import Literal

Driver = Literal["aiohttp", "httpx", "asyncpg", "sqlalchemy", "psycopg"]
Method = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
HTTP_DRIVERS: tuple[Driver, ...] = ("aiohttp", "httpx")
DATABASE_DRIVERS: tuple[Driver, ...] = ("asyncpg", "sqlalchemy", "psycopg")
SUPPORTED_DRIVERS: tuple[Driver, ...] = HTTP_DRIVERS + DATABASE_DRIVERS
# They read only and take no body; naming another method is what allows writes.
READING_METHODS: tuple[Method, ...] = ("GET", "HEAD", "OPTIONS")
