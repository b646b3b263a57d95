"""Finds the user's own coroutine function, `work = "module:function"`."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any

from poolkit.errors import BadInput
from poolkit.targets.words import nearest

# Called with the client library's session (HTTP) or an acquired connection (SQL).
WorkFunction = Callable[[Any], Coroutine[Any, Any, object]]

_EXAMPLE = "async def {name}(connection): ..."


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
