"""What one call does, ready to run: the objects that the pool adapters are given.

`work = "module:function"` names the user's own coroutine function, found here as well.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType, ModuleType
from typing import Any

from poolkit.errors import BadInput
from poolkit.targets.draws import Draw
from poolkit.targets.statement import Command, Statement
from poolkit.targets.target import Target
from poolkit.targets.values import Values, drawn_values
from poolkit.targets.words import nearest

# Called with the client library's session (HTTP) or an acquired connection (SQL).
WorkFunction = Callable[[Any], Coroutine[Any, Any, object]]
_EXAMPLE = "async def {name}(connection): ..."


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
        self._rows = drawn_values(parameters, seed)

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
        return next(self._rows)


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
        self._rows = drawn_values(parameters, seed)

    def draw(self) -> list[tuple[str, ...]]:
        """The words of the next call's commands."""
        values = next(self._rows)
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


def load_function(work: str, key: str = "work") -> WorkFunction:
    """The coroutine function that `module:function` names; the current directory is importable.

    Args:
        work: the module's dotted name, a colon, the function's name.
        key: where it is written, for messages, such as `targets.orders.work`.

    Raises:
        BadInput: there is no such module or function, importing it fails, or it is no coroutine
            function that can be called with one argument.
    """
    module_name, _, name = work.partition(":")
    if not module_name or not name:
        raise BadInput(
            f"{key}: {work} is no module:function", 'write work = "orders_work:read_one"'
        )
    module = _module(module_name, key)
    function = getattr(module, name, None)
    example = _EXAMPLE.format(name=name)
    if function is None:
        own = [other for other, value in vars(module).items() if inspect.iscoroutinefunction(value)]
        raise BadInput(
            f"{key}: {module_name} has no function {name}{nearest(name, own)}",
            f"define it in {_place(module)}: {example}",
        )
    if not inspect.iscoroutinefunction(function):
        what = "has a yield in it" if inspect.isasyncgenfunction(function) else "is not async"
        if not callable(function):
            what = f"is a {type(function).__name__}"
        raise BadInput(
            f"{key}: {work} is not a coroutine function: it {what}", f"write it as: {example}"
        )
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        raise BadInput(
            f"{key}: {work} cannot be called with one argument: {error}",
            f"it is given the session or connection alone, so write it as: {example}",
        ) from None
    checked: WorkFunction = function
    return checked


def _module(name: str, key: str) -> ModuleType:
    folder = os.getcwd()
    if folder not in sys.path and "" not in sys.path:
        # As `python -m` does; the `poolkit` command itself starts without it.
        sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise BadInput(
                f"{key}: no module {error.name} in {folder} or among the installed packages",
                f"start poolkit in the folder that holds {name.partition('.')[0]}.py",
            ) from None
        raise _failed(name, key, error) from error
    except (Exception, SystemExit) as error:  # whatever the user's module does at its top level
        raise _failed(name, key, error) from error


def _failed(name: str, key: str, error: BaseException) -> BadInput:
    return BadInput(
        f"{key}: importing {name} failed: {type(error).__name__}: {error}",
        f'correct it until this works: python -c "import {name}"',
    )


def _place(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or module.__name__
