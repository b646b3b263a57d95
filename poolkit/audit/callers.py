"""Who calls a function: a web framework for each request, a program once, or it does not show."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cached_property
from pathlib import PurePath
from typing import Literal

from poolkit.audit.libraries import DEPENDS
from poolkit.audit.module import Module
from poolkit.audit.program import Program
from poolkit.audit.remembered import is_remembered
from poolkit.audit.syntax import Function, asks_for, constant, keyword, name_of, passes
from poolkit.audit.values import Values

Often = Literal["once", "often", "unknown"]
_Meant = dict[ast.AST, list[tuple[Module, ast.Call]]]

_ROUTES = frozenset(
    {"get", "post", "put", "patch", "delete", "head", "options", "route", "api_route", "websocket"}
)
_WEB = frozenset({"aiohttp", "django", "fastapi", "sanic", "starlette", "litestar", "quart"})
_REQUESTS = frozenset({"Request", "HttpRequest", "HTTPConnection", "WebSocket"})
# Names that frameworks and the language call by themselves, once.
_ONCE = frozenset({"main", "amain", "lifespan", "startup", "on_startup", "shutdown", "on_shutdown"})
_ONCE_DECORATORS = frozenset(
    {"fixture", "lru_cache", "cache", "cached", "cached_property", "command", "on_event"}
    | {"listener", "before_server_start", "after_server_stop", "before_serving", "worker_init"}
    | {"worker_process_init", "on_startup"}
)
# Where a function is handed over to be run as the program begins or ends.
_HOOKS = ("startup", "shutdown", "cleanup", "lifespan", "before_serving", "after_serving")
_RUNS = frozenset({"run", "run_until_complete", "run_sync", "Process", "Thread"})
_CACHES = re.compile("cache|fresh|expir", re.IGNORECASE)
_DEEPEST = 20  # callers of callers
_MOST_UNKNOWN = 20  # calls of a name that may be of one of many methods


class Callers:
    """Looks at the calls of a function, through the functions around them."""

    def __init__(self, program: Program, values: Values) -> None:
        self._program = program
        self._values = values
        self._known: dict[ast.AST, Often] = {}
        self._named: dict[str, tuple[_Meant, list[tuple[Module, ast.Call]]]] = {}
        self._depth = 0

    def runs_once(self, module: Module, function: Function) -> bool:
        """Whether all calls of a function are seen, and it runs as the program begins or ends."""
        return self.often(module, function) == "once"

    def often(self, module: Module, function: Function) -> Often:
        """How often a function runs."""
        if function in self._known:
            return self._known[function]
        if self._depth >= _DEEPEST:
            return "unknown"
        self._known[function] = "unknown"  # what calls itself
        self._depth += 1
        try:
            self._known[function] = self._often(module, function)
        finally:
            self._depth -= 1
        return self._known[function]

    def is_for_a_cache(self, module: Module, function: Function) -> bool:
        """Whether whatever every call that is seen brings is kept, or a cache had nothing."""
        calls = self.calls(module, function)
        return bool(calls) and all(_is_kept(where, call) for where, call in calls)

    def is_handler(self, module: Module, function: Function) -> bool:
        """Whether a web framework calls this function for each request.

        A decorator that names a route (`@app.get("/orders")`), an argument that is annotated as a
        request, or `Depends(function)`.
        """
        for decorator in function.decorator_list:
            if (
                isinstance(decorator, ast.Call)
                and isinstance(decorator.func, ast.Attribute)
                and decorator.func.attr in _ROUTES
                and any(map(_is_path, (*decorator.args[:1], keyword(decorator, "path"))))
            ):
                return True
        if self._is_hooked(function):
            return False
        for argument, _ in asks_for(function):
            if argument.annotation is not None:
                package, name = module.meaning(argument.annotation)
                if package in _WEB and name in _REQUESTS:
                    return True
        return function.name in self._dependencies

    def _often(self, module: Module, function: Function) -> Often:
        if self._is_hooked(function) or function.name in _ONCE:
            return "once"
        if self.is_handler(module, function):
            return "often"
        seen = {self._at(where, call) for where, call in self.calls(module, function)}
        if "often" in seen:
            return "often"
        # One that keeps what it makes would lose it if it ran again.
        if self._keeps_a_pool(module, function) or seen == {"once"}:
            return "once"
        return "unknown"

    def calls(self, module: Module, function: Function) -> list[tuple[Module, ast.Call]]:
        """The calls that may be of this function: by its name, where nothing else is meant."""
        known, unknown = self._meant(function.name)
        # A name that shows nowhere else may be ours, in a module that it is imported into.
        is_method = module.class_of(function) is not None
        may_be = [
            (where, call)
            for where, call in unknown
            if is_method or (isinstance(call.func, ast.Name) and where is not module)
        ]
        return [*known.get(function, ()), *may_be]

    def _meant(self, name: str) -> tuple[_Meant, list[tuple[Module, ast.Call]]]:
        """The calls of what goes by a name: by the function that is meant, and those unknown."""
        if name not in self._named:
            known: _Meant = defaultdict(list)
            unknown = []
            for where, call in self._program.calls_of.get(name, ()):
                found = self._values.of(where, call.func)
                if found is None or found.defined is None:
                    unknown.append((where, call))
                else:
                    known[found.defined.node].append((where, call))
            # A few show how often a method runs; of many somebody else's are most.
            self._named[name] = known, unknown[:_MOST_UNKNOWN]
        return self._named[name]

    def _at(self, module: Module, call: ast.Call) -> Often:
        if self._is_demo(module, call):
            return "unknown"
        function = module.function_of(call)
        if function is None:
            is_lambda = any(isinstance(outer, ast.Lambda) for outer in module.around(call))
            return "unknown" if is_lambda else "once"
        return "often" if module.is_in_loop(call) else self.often(module, function)

    def _is_demo(self, module: Module, call: ast.Call) -> bool:
        """Whether it stands under `if __name__ == "__main__"` of a module that others import: what
        these do is not seen there."""
        return PurePath(module.path).stem in self._imported and any(
            isinstance(outer, ast.If) and "__name__" in ast.unparse(outer.test)
            for outer in module.around(call)
        )

    @cached_property
    def _imported(self) -> set[str]:
        """Last parts of the names of the modules that some module imports."""
        found = set()
        for module in self._program.modules:
            for node in module.nodes:
                if isinstance(node, ast.ImportFrom):
                    found.add((node.module or "").rpartition(".")[2])
        return found

    def _is_hooked(self, function: Function) -> bool:
        """Whether the program's begin or end, or a command line, runs it."""
        return (
            function.name in self._hooked
            or any(
                name_of(one.func if isinstance(one, ast.Call) else one) in _ONCE_DECORATORS
                for one in function.decorator_list
            )
            or any(_is_option(default) for _, default in asks_for(function))
        )

    def _keeps_a_pool(self, module: Module, function: Function) -> bool:
        """Whether it binds a pool that it makes to a global name or to an attribute."""
        declared = {
            name
            for node in ast.walk(function)
            if isinstance(node, ast.Global)
            for name in node.names
        }
        for node in ast.walk(function):
            if not isinstance(node, ast.Assign):
                continue
            found = self._values.pool(module, node.value)
            if found is None or found.call is None:
                continue
            for target in node.targets:
                is_global = isinstance(target, ast.Name) and target.id in declared
                if is_global or isinstance(target, ast.Attribute | ast.Subscript):
                    return True
        return False

    @cached_property
    def _dependencies(self) -> set[str]:
        """Functions that FastAPI calls for each request, because a handler depends on them."""
        found = set()
        for word in DEPENDS:
            for _, call in self._program.calls_of.get(word, ()):
                if call.args:
                    found.add(name_of(call.args[0]))
        return found - {""}

    @cached_property
    def _hooked(self) -> set[str]:
        """Functions that are handed over to run once: `lifespan=f`, `on_startup.append(f)`."""
        found: set[str] = set()
        for module in self._program.modules:
            for call in module.calls:
                words = f"{ast.unparse(call.func)} " if isinstance(call.func, ast.Attribute) else ""
                first = constant(call.args[0]) if call.args else None
                if name_of(call.func) == "add_event_handler" and isinstance(first, str):
                    words += first
                is_run = name_of(call.func) in _RUNS and module.function_of(call) is None
                is_command = (
                    isinstance(call.func, ast.Call) and name_of(call.func.func) == "command"
                )
                if is_run or is_command or any(hook in words for hook in _HOOKS):
                    found |= _names(passes(call))
                for k in call.keywords:
                    if k.arg and any(hook in k.arg for hook in _HOOKS):
                        found |= _names([k.value])
        return found - {""}


def _is_kept(module: Module, call: ast.Call) -> bool:
    """Whether a branch around a call asks about a cache, or what the call brings is remembered."""
    function = module.function_of(call)
    return any(
        isinstance(outer, ast.If) and _CACHES.search(ast.unparse(outer.test))
        for outer in module.around(call)
    ) or (function is not None and is_remembered(module, call, function))


def _names(nodes: list[ast.expr]) -> set[str]:
    """Functions that are named, called (`asyncio.run(f())`) or in a list there."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.List | ast.Tuple):
            found |= _names(node.elts)
        else:
            found.add(name_of(node.func if isinstance(node, ast.Call) else node))
    return found


def _is_option(node: ast.expr | None) -> bool:
    """`typer.Option(...)`: what a command line fills."""
    return isinstance(node, ast.Call) and name_of(node.func) in ("Option", "Argument")


def _is_path(node: ast.expr | None) -> bool:
    text = constant(node)
    return isinstance(text, str) and (text.startswith("/") or not text)
