"""The client libraries that can be driven and the HTTP methods that they may send."""

from __future__ import annotations

from typing import Literal

from poolkit.drivers.table import DATABASE_DRIVERS, HTTP_DRIVERS, SUPPORTED_DRIVERS, Driver

__all__ = [
    "DATABASE_DRIVERS",
    "HTTP_DRIVERS",
    "READING_METHODS",
    "SUPPORTED_DRIVERS",
    "Driver",
    "Method",
]

Method = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
# They read only and take no body; naming another method is what allows writes.
READING_METHODS: tuple[Method, ...] = ("GET", "HEAD", "OPTIONS")
