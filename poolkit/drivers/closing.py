"""Closing a pool in bounded time, whatever its server does."""

from __future__ import annotations

import asyncio

from poolkit.drivers.base import Pool

CLOSE_SECONDS = 2.0


async def close_pool(pool: Pool, seconds: float = CLOSE_SECONDS) -> None:
    """Close the pool; what a silent server keeps open after `seconds` ends with the event loop."""
    task = asyncio.ensure_future(pool.close())
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
    if task.done():
        task.result()
