"""Which pools are used in an event loop, or a process, that a function starts each time."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Set
from functools import cached_property

from poolkit.audit.callers import Callers
from poolkit.audit.holding import reached
from poolkit.audit.module import Module
from poolkit.audit.syntax import Function, passes
from poolkit.audit.value import Value
from poolkit.audit.values import Values

_LOOPS = frozenset({"run", "run_until_complete", "async_to_sync"})
_RUNNERS = frozenset({"asyncio.run", "anyio.run", "asgiref.sync.async_to_sync", ""})
_PROCESSES = frozenset({"Process", "ProcessPoolExecutor", "fork"})


class Loops:
    """Looks at what starts a loop or a process again and again, in all of a program.

    Args:
        left_out: paths of the modules that no rule looks at: each test has a loop of its own.
    """

    def __init__(self, values: Values, callers: Callers, left_out: Set[str]) -> None:
        self._left_out = left_out
        self._values = values
        self._callers = callers

    @cached_property
    def used(self) -> dict[str, str]:
        """By the key of each pool that is used so, what starts the loop or the process."""
        found: dict[str, str] = {}
        for word in sorted(_LOOPS | _PROCESSES):
            for module, call in self._values.program.calls_of.get(word, ()):
                function = module.function_of(call)
                if module.path in self._left_out or function is None:
                    continue
                if function.name.startswith("test_") or self._callers.runs_once(module, function):
                    continue
                if word in _PROCESSES:
                    how = f"a process of its own that {function.name}() starts"
                elif module.qualified(call.func) in _RUNNERS:
                    how = f"a new event loop in each call of {function.name}()"
                else:
                    continue
                for key in self._used(module, call):
                    found.setdefault(key, how)
        return found

    def _used(self, module: Module, call: ast.Call) -> Iterator[str]:
        """The pools that are used by what a call runs: `asyncio.run(f())`, `Process(target=f)`."""
        for argument in passes(call):
            if isinstance(argument, ast.Call):
                stretch = reached(self._values, module, [argument])
            else:
                target = self._values.of(module, argument)
                if target is None or target.role != "function" or target.defined is None:
                    continue
                node = target.defined.node
                assert isinstance(node, Function)
                stretch = reached(self._values, target.defined.module, node.body)
            for one in stretch:
                for value in (
                    self._values.of(one.module, one.call, one.given),
                    self._values.pool_asked(one.module, one.call, one.given),
                ):
                    if _is_of_pool(value):
                        assert value is not None
                        yield value.key


def _is_of_pool(value: Value | None) -> bool:
    return value is not None and value.role in ("pool", "session") and bool(value.key)
