"""From a target to what one of its calls does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from poolkit.errors import BadInput
from poolkit.targets import Draw, Statement, Target
from poolkit.targets.command import Command
from poolkit.targets.workload.function import WorkFunction, load_function
from poolkit.targets.workload.values import NO_VALUES, Values, drawn_values


@dataclass(frozen=True, slots=True)
class HttpWork:
    """One HTTP request, the same for every call, or the user's own function in its place.

    `others` are further addresses, of the same host or not: calls go to each in turn, or as drawn
    from `order_seed`. All but the method may hold secrets, so it is left out of the text form.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    function: WorkFunction | None = None
    others: tuple[str, ...] = field(default=(), repr=False)
    order_seed: int | None = None

    @property
    def urls(self) -> tuple[str, ...]:
        """Every address."""
        return (self.url, *self.others)


class SqlWork:
    """What one call does on its connection: statements with drawn values, or the user's function.

    Its state is the place in the stream of values; `draw` moves it on.

    Args:
        statements: run in order; none where `function` does the call.
        parameters: placeholder -> how its value is drawn, one for each name in the statements.
        seed: of the values; the same seed gives the same values, in the same order.
        pause: s that the connection is held idle between statements, 0 or more.
        read_only: whether the database is told to refuse writes.
        function: called with the connection, instead of any statement.
    """

    __slots__ = ("_rows", "function", "pause", "read_only", "statements")

    def __init__(
        self,
        statements: Sequence[Statement | str],
        parameters: Mapping[str, Draw] = MappingProxyType({}),
        seed: int = 0,
        *,
        pause: float = 0.0,
        read_only: bool = True,
        function: WorkFunction | None = None,
    ) -> None:
        self.statements = tuple(
            Statement(statement) if isinstance(statement, str) else statement
            for statement in statements
        )
        self.pause = pause
        self.read_only = read_only
        self.function = function
        self._rows: Iterator[Values] | None = drawn_values(parameters, seed) if parameters else None

    def __repr__(self) -> str:
        names = ", ".join(
            dict.fromkeys(n for statement in self.statements for n in statement.names)
        )
        return (
            f"SqlWork({len(self.statements)} statements, parameters [{names}], "
            f"pause={self.pause}, read_only={self.read_only}, function={self.function})"
        )

    def draw(self) -> Values:
        """The next call's values by placeholder, as Python objects; empty without parameters."""
        return NO_VALUES if self._rows is None else next(self._rows)


class RedisWork:
    """What one call sends to Redis: commands with drawn values, or the user's function.

    Its state is the place in the stream of values; `draw` moves it on.

    Args:
        commands: sent together; none where `function` does the call.
        parameters, seed, read_only, function: as for `SqlWork`; the function gets a client that
            holds one connection.
    """

    def __init__(
        self,
        commands: Sequence[Command | str],
        parameters: Mapping[str, Draw] = MappingProxyType({}),
        seed: int = 0,
        *,
        read_only: bool = True,
        function: WorkFunction | None = None,
    ) -> None:
        self.commands = tuple(Command(c) if isinstance(c, str) else c for c in commands)
        self.read_only = read_only
        self.function = function
        self._rows: Iterator[Values] | None = drawn_values(parameters, seed) if parameters else None

    def draw(self) -> list[tuple[str, ...]]:
        """The words of the next call's commands."""
        values = NO_VALUES if self._rows is None else next(self._rows)
        return [command.words(values) for command in self.commands]


def http_work(target: Target, seed: int = 0) -> HttpWork:
    """What a call of an HTTP target sends, secret headers read from the environment.

    `seed` is of the order in which several addresses are called, where that is random.

    Raises:
        BadInput: a header's variable is not set, or `work` cannot be loaded.
    """
    headers = {}
    for name, header in target.headers.items():
        try:
            headers[name] = header.value(name, os.environ)
        except ValueError as error:
            raise BadInput(f"targets.{target.name}.headers.{name}: {error}") from None
    return HttpWork(
        method=target.method,
        url=target.addresses[0],
        others=target.addresses[1:],
        order_seed=seed if target.url_order == "random" else None,
        headers=MappingProxyType(headers),
        body=None if target.body is None else target.body.encode(),
        function=_function(target),
    )


def sql_work(target: Target, seed: int) -> SqlWork:
    """What a call of a database target runs; pools side by side want a seed each.

    Raises:
        BadInput: `work` cannot be loaded.
    """
    return SqlWork(
        target.statements,
        target.parameters,
        seed,
        pause=target.pause,
        read_only=target.read_only,
        function=_function(target),
    )


def redis_work(target: Target, seed: int) -> RedisWork:
    """What a call of a Redis target sends; pools side by side want a seed each.

    Raises:
        BadInput: `work` cannot be loaded.
    """
    return RedisWork(
        target.statements,
        target.parameters,
        seed,
        read_only=target.read_only,
        function=_function(target),
    )


def _function(target: Target) -> WorkFunction | None:
    if target.work is None:
        return None
    return load_function(target.work, f"targets.{target.name}.work")
