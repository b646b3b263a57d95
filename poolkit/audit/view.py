"""What a rule reads: one module, its pools, and the program around it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property

from poolkit.audit.callers import Callers
from poolkit.audit.figures import Figures
from poolkit.audit.holding import Hold, holds
from poolkit.audit.lending import Lending
from poolkit.audit.libraries import Library
from poolkit.audit.loops import Loops
from poolkit.audit.made import Made
from poolkit.audit.module import Module
from poolkit.audit.scopes import own
from poolkit.audit.syntax import Function
from poolkit.audit.values import Values


@dataclass(frozen=True)
class Settings:
    """What the source cannot tell, for the rules that need it; a rule without its figure is silent.

    `max_connections`: connections of the database that this service may open, 1 or more.
    `processes`: replicas times workers, each with pools of its own, 1 or more; `surge`: so many
    more run while a deploy rolls, 0 or more.
    `server_keepalive`, `db_idle`: seconds for which the HTTP server and the database keep an idle
    connection (`poolkit probe`).
    `tests`: whether tests, examples and scripts are looked at too.
    """

    max_connections: int | None = None
    processes: int = 1
    server_keepalive: float | None = None
    db_idle: float | None = None
    tests: bool = False
    surge: int = 0


class View:
    """One module as the rules read it."""

    def __init__(
        self,
        module: Module,
        values: Values,
        figures: Figures,
        callers: Callers,
        lending: Lending,
        loops: Loops,
        settings: Settings,
    ) -> None:
        self.module = module
        self.values = values
        self.program = values.program
        self.settings = settings
        self.figures = figures
        self._callers = callers
        self._lending = lending
        self.loops = loops

    @cached_property
    def made(self) -> list[Made]:
        """Every pool, engine, session and client that the module makes."""
        found = ((call, self.values.pool(self.module, call)) for call in self.module.calls)
        return [
            Made(self._lending, self.module, call, value.library)
            for call, value in found
            if value is not None and value.call is call and value.library is not None
        ]

    @cached_property
    def made_anew(self) -> list[Made]:
        """The same, and the calls of functions that make one for whoever calls them."""
        makers = [
            made
            for made in self.made
            if not self._is_returned(made)
            or (made.function is not None and self.is_handler(made.function))
        ]
        for call in self.module.calls:
            value = self.values.pool(self.module, call)
            if value is None or value.call is None or value.call is call:
                continue
            if value.library is not None and self._makes_anew(call, value.call):
                makers.append(Made(self._lending, self.module, call, value.library))
        return makers

    @cached_property
    def holds(self) -> list[Hold]:
        """Where a session or connection is held."""
        return [*holds(self.values, self.module)]

    def pool_asked(self, call: ast.Call) -> Library | None:
        """The library of the pool that a call is a method of."""
        found = self.values.pool_asked(self.module, call)
        return None if found is None else found.library

    def runs_once(self, function: Function) -> bool:
        """Whether a program runs a function once, as it begins or ends."""
        return self._callers.runs_once(self.module, function)

    def is_for_a_cache(self, function: Function) -> bool:
        """Whether all calls of a function that are seen stand where a cache had nothing."""
        return self._callers.is_for_a_cache(self.module, function)

    def calls_of(self, function: Function) -> list[tuple[Module, ast.Call]]:
        """The calls of a function of this module that are seen."""
        return self._callers.calls(self.module, function)

    def is_handler(self, function: Function) -> bool:
        """Whether a web framework calls a function for each request."""
        return self._callers.is_handler(self.module, function)

    def _is_returned(self, made: Made) -> bool:
        """`return make()`: whoever calls this function is the one who makes it."""
        return isinstance(self.module.parents[made.call], ast.Return)

    def _makes_anew(self, call: ast.Call, maker: ast.Call) -> bool:
        """Whether the function that a call runs returns what it makes itself each time."""
        found = self.values.function(self.module, call)
        if found is None:
            return False
        return self._gives_anew(found[0].module, found[0].node, maker, 3)

    def _gives_anew(self, module: Module, function: ast.AST, maker: ast.Call, depth: int) -> bool:
        """Whether a function gives what a call in it, or in one that it calls, makes each time."""
        if self._is_cached(function) or depth == 0 or not isinstance(function, Function):
            return False
        if module.function_of(maker) is function:
            value = self.values.pool(module, maker)
            assert value is not None
            assert value.library is not None
            return Made(self._lending, module, maker, value.library).is_given()
        for node in own(function):
            if not isinstance(node, ast.Return | ast.Yield):
                continue
            result = node.value.value if isinstance(node.value, ast.Await) else node.value
            if isinstance(result, ast.Call):
                value = self.values.pool(module, result)
                inner = self.values.function(module, result)
                if inner is not None and value is not None and value.call is maker:
                    return self._gives_anew(inner[0].module, inner[0].node, maker, depth - 1)
        return False

    def _is_cached(self, function: ast.AST) -> bool:
        """Whether a decorator of the function keeps its result."""
        return any("cache" in ast.unparse(one) for one in getattr(function, "decorator_list", []))
