"""What a function does with a client or an engine that it is handed: works with it, or keeps it."""

from __future__ import annotations

import ast
from enum import Enum

from poolkit.audit.module import Module
from poolkit.audit.syntax import Function, name_of, pairs
from poolkit.audit.values import Values

# What works with an engine and keeps nothing of it: pandas, and SQLAlchemy's tables.
_WORKS_WITH = frozenset(
    {"read_sql", "read_sql_query", "read_sql_table", "to_sql", "create_all", "drop_all", "reflect"}
    | {"inspect"}
)
# What is handed to these lives on by itself.
_APART = frozenset({"create_task", "ensure_future", "add_task", "start_soon", "Thread", "submit"})
_USES = ast.Attribute | ast.Compare | ast.If | ast.IfExp | ast.UnaryOp | ast.Assert
_DEEPEST = 3  # functions that one hands it on to


class Use(Enum):
    """What becomes of it there: it may outlive the call, is worked with, or so again and again."""

    KEPT = "kept"
    ONCE = "once"
    LOOP = "loop"


class Lending:
    """Looks into the functions of the program that something is handed to.

    State: what was found, by function and argument.
    """

    def __init__(self, values: Values) -> None:
        self._values = values
        self.answers: dict[object, object] = {}  # to what is asked of a name in a block
        self._known: dict[tuple[ast.AST, str], Use] = {}

    def handed_to(
        self, module: Module, node: ast.expr, depth: int = _DEEPEST
    ) -> tuple[ast.Call, Use] | None:
        """The call that an expression is an argument of, and what that does with it."""
        call = module.parents[node]
        if isinstance(call, ast.keyword):
            call = module.parents[call]
        if not isinstance(call, ast.Call) or call.func is node:
            return None
        if name_of(call.func) in _WORKS_WITH:
            return call, Use.ONCE
        return call, self._used(module, call, node, depth)

    def _used(self, module: Module, call: ast.Call, node: ast.expr, depth: int) -> Use:
        around = module.parents[call]
        if isinstance(around, ast.Call) and name_of(around.func) in _APART:
            return Use.KEPT
        found = self._values.of(module, call.func) if depth else None
        if found is None or found.defined is None or not isinstance(found.defined.node, Function):
            return Use.KEPT
        function = found.defined.node
        for name, argument in pairs(call, function, is_bound=found.owner is not None):
            if argument is node:
                key = function, name
                if key not in self._known:
                    self._known[key] = Use.KEPT  # what calls itself
                    self._known[key] = self._within(found.defined.module, function, name, depth)
                return self._known[key]
        return Use.KEPT

    def _within(self, module: Module, function: Function, name: str, depth: int) -> Use:
        found = Use.ONCE
        for node in ast.walk(function):
            if not isinstance(node, ast.Name) or node.id != name:
                continue
            if not isinstance(node.ctx, ast.Load) or module.bound(node)[0] is not function:
                continue
            use = self._of(module, node, depth)
            if use is Use.KEPT or module.function_of(node) is not function:
                return Use.KEPT
            if use is Use.LOOP or module.is_in_loop(node, is_retry=False):
                found = Use.LOOP
        return found

    def _of(self, module: Module, node: ast.Name, depth: int) -> Use:
        parent = module.parents[node]
        if isinstance(parent, ast.withitem):
            return Use.ONCE if parent.context_expr is node else Use.KEPT
        if isinstance(parent, _USES):
            return Use.ONCE
        handed = self.handed_to(module, node, depth - 1)
        return Use.KEPT if handed is None else handed[1]
