"""How a live pool of a service is listened to: what a driver's hook needs and what it offers.

A service loads this and the driver's own file, so neither may load the load generator, pydantic or
another driver's library.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, ClassVar, Protocol


@dataclass(frozen=True, slots=True)
class PoolState:
    """What a library says of its own pool; `pool_size` None: it has no limit."""

    pool_size: int | None
    in_use: int
    idle: int
    is_closed: bool = False


class Tap(Protocol):
    """What a hook tells of its pool's calls; a connection is known by a key, mostly its id."""

    @property
    def dialling(self) -> Any:
        """The calls that hold a slot and no connection yet."""
        ...

    def ask(self, frame: FrameType | None) -> Any:
        """A task asks for a connection; `frame` leads to the program's own code."""
        ...

    def got(self, call: Any, key: int) -> None:
        """The call holds the connection `key`."""
        ...

    def failed(self, call: Any, *, is_timeout: bool, is_cancelled: bool) -> None:
        """The call ended without a connection."""
        ...

    def back(self, key: int, *, is_collected: bool = False) -> None:
        """The connection `key` is back in its pool."""
        ...

    def dial_begins(self) -> float:
        """A dial begins; where a waiting call does it, that call holds a slot from here on."""
        ...

    def dial_ends(self, began: float) -> None:
        """The connection is up."""
        ...

    def has_slot(self) -> None:
        """If the running task waits, it does so no more: it has a slot or a connection."""
        ...

    def has_no_slot(self) -> None:
        """The connection that the running task had was of no use: it waits for another."""
        ...

    def takes_slot(self, call: Any) -> None:
        """The call waits no more: it holds a slot, and a connection soon."""
        ...

    def waits_again(self, call: Any) -> None:
        """The call was handed a connection that another one took first."""
        ...

    def lose(self, key: int) -> None:
        """The connection `key` was collected, and its slot is taken for good."""
        ...


class Hook:
    """How one driver's pool is listened to: methods of this one object are replaced.

    Args:
        place: the object that carries the tap while it listens.
    """

    driver: ClassVar[str]

    def __init__(self, place: Any) -> None:
        self._place = place
        self._replaced: list[tuple[Any, str]] = []

    @property
    def place(self) -> Any:
        """The object that carries the tap while it listens."""
        return self._place

    def attach(self, tap: Tap) -> None:
        """From now on tell `tap` of every call."""
        raise NotImplementedError

    def detach(self) -> None:
        """Leave the pool as it was."""
        while self._replaced:
            thing, name = self._replaced.pop()
            vars(thing).pop(name, None)

    def state(self) -> PoolState:
        """The pool's own figures; never raises, closed or not."""
        raise NotImplementedError

    def forgotten(self) -> set[int]:
        """Keys of connections that are handed out and that nothing in the program refers to."""
        return set()

    def unclear(self) -> set[int]:
        """Keys of connections of which nobody can tell whether the program still refers to them."""
        return set()

    def unheld(self) -> int:
        """Connections in use that no call has or ever gives back, by a fault of the library."""
        return 0

    def _replace(self, thing: Any, **values: Any) -> None:
        """Attributes of one object, until `detach`; its class keeps its own."""
        for name, value in values.items():
            setattr(thing, name, value)
            self._replaced.append((thing, name))


def told_ask(
    tap: Tap, take: Any, gave_up: Callable[[BaseException], bool], key: Callable[[Any], int] = id
) -> Any:
    """`take`, a coroutine function that hands out a connection, with every call told.

    Args:
        gave_up: whether what it raised says that the pool gave up on its caller.
        key: of what it hands out.
    """

    async def told(*arguments: Any, **options: Any) -> Any:
        call = tap.ask(sys._getframe(1))
        try:
            connection = await take(*arguments, **options)
        except BaseException as error:
            tell_failure(tap, call, error, gave_up)
            raise
        tap.got(call, key(connection))
        return connection

    return told


def tell_failure(
    tap: Tap, call: Any, error: BaseException, gave_up: Callable[[BaseException], bool]
) -> None:
    """The call ended with `error`: the pool gave up, or its caller."""
    tap.failed(
        call,
        is_timeout=gave_up(error),
        is_cancelled=isinstance(error, asyncio.CancelledError),
    )


def of_type(*kinds: type[BaseException]) -> Callable[[BaseException], bool]:
    """Whether an error is of one of these classes."""
    return lambda error: isinstance(error, kinds)


def told_dial(tap: Tap, dial: Any) -> Any:
    """`dial`, a coroutine function that opens a connection, with every success told."""

    async def told(*arguments: Any, **options: Any) -> Any:
        began = tap.dial_begins()
        connection = await dial(*arguments, **options)
        tap.dial_ends(began)
        return connection

    return told
