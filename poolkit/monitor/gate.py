"""The gate in front of a pool of pools.py: a call begins to wait where it asks for a place."""

from __future__ import annotations

import asyncio
import sys
from types import TracebackType
from typing import Any

from poolkit.monitor.call import Call
from poolkit.monitor.tap import Tap


def listen(gate: Any, tap: Tap) -> None:
    """Tell `tap` of every wait at `gate` from now on."""
    slot = gate.slot
    gate.slot = lambda: _Place(tap, slot())


def leave(gate: Any) -> None:
    """Leave the gate as it was."""
    vars(gate).pop("slot", None)


class _Place:
    """One place behind the gate, as its `slot()` gives it.

    The wait goes on until the call also holds a connection; behind a gate of the pool's size that
    is at once.
    """

    __slots__ = ("_call", "_slot", "_tap")

    def __init__(self, tap: Tap, slot: Any) -> None:
        self._tap = tap
        self._slot = slot
        self._call: Call | None = None

    async def __aenter__(self) -> None:
        self._call = call = self._tap.ask(sys._getframe(1))
        self._tap.gated.add(call)
        try:
            await self._slot.__aenter__()
        except BaseException as error:
            self._tap.gated.discard(call)
            self._tap.failed(
                call,
                is_timeout=isinstance(error, TimeoutError),
                is_cancelled=isinstance(error, asyncio.CancelledError),
            )
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        call = self._call
        if call is not None:
            self._tap.gated.discard(call)
        if call is not None and self._tap.waiting.get(call.task_id) is call:
            del self._tap.waiting[call.task_id]  # it never asked for a connection
        result: bool | None = await self._slot.__aexit__(kind, error, trace)
        return result
