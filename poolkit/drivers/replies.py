"""What bounds a reply: a call that receives more than `max_reply` bytes is cut off.

A body without end, a gzip bomb or a result of a billion rows would else fill this machine's memory.
asyncio's drivers count where the transport hands its bytes over: exact, whatever the library does
with them, and 0.2 us a reply. HTTP counts what a body is decompressed to as well.
"""

from __future__ import annotations

from typing import Any

from poolkit.drivers.table import MAX_REPLY as MAX_REPLY
from poolkit.errors import CallFailed

KIND = "too_large"


def too_large() -> CallFailed:
    """What a call ends with whose reply is larger than allowed."""
    return CallFailed(KIND)


def bound(protocol: Any, most: int, transport: Any) -> Any:
    """Have the protocol's connection cut off once it received more than `most` bytes.

    It counts down `protocol.allowance`, which whoever begins a call sets anew. The protocol's
    `connection_lost` then gets `too_large()`, which libraries hand on as the cause of their own
    exception.
    """
    receive, lose = protocol.data_received, protocol.connection_lost
    cause: CallFailed | None = None

    def data_received(data: bytes) -> None:
        nonlocal cause
        protocol.allowance = left = protocol.allowance - len(data)
        if left >= 0:
            receive(data)
        elif cause is None:
            cause = too_large()
            transport.abort()

    def connection_lost(error: Exception | None) -> None:
        lose(error or cause)

    protocol.allowance = most
    protocol.data_received = data_received
    protocol.connection_lost = connection_lost
    # Some loops keep the method that they call.
    transport.set_protocol(protocol)
    return protocol


def cut_off(error: BaseException | None) -> CallFailed | None:
    """The `too_large()` among the causes of a library's exception; None: it is another failure."""
    while error is not None:
        if isinstance(error, CallFailed) and error.kind == KIND:
            return error
        error = error.__cause__
    return None
