"""A resolver for aiohttp with one record, which can be changed."""

from __future__ import annotations

import socket

from aiohttp.abc import AbstractResolver, ResolveResult


class Record(AbstractResolver):
    """Leads every name to one IPv4 address, until `change`."""

    def __init__(self, address: str) -> None:
        self._address = address

    def change(self, address: str) -> None:
        """From now on every name leads here."""
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The one answer."""
        return [
            ResolveResult(
                hostname=host,
                host=self._address,
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Nothing is held."""
