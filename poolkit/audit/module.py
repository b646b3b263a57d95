"""One parsed source: what its imports stand for, what binds a name, what stands around a node."""

from __future__ import annotations

import ast
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property

from poolkit.audit.scopes import SCOPES, Binding, Names, Scope, names_of
from poolkit.audit.syntax import Function, name_of

_LOOPS = ast.For | ast.AsyncFor | ast.While
_OWN = ("self", "cls")
_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Module:
    """A parsed source with what several rules ask of it."""

    def __init__(self, text: str, path: str = "<source>") -> None:
        self.path = path
        self.text = text
        self._names: dict[Scope, Names] = {}
        self._attributes: dict[
            ast.ClassDef, dict[str, list[tuple[ast.expr | None, ast.expr | None]]]
        ] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape is the business of its author
            self.tree = ast.parse(text)
        # As the parser counts them: a form feed or U+2028 ends no line there.
        self.lines = re.split(r"\r\n|\r|\n", text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node, in the order of the tree."""
        return list(ast.walk(self.tree))

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The node around each node."""
        return {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    @cached_property
    def _bodies(self) -> set[ast.AST]:
        """What stands in the body of a function, a class, a lambda or a loop."""
        found: set[ast.AST] = set()
        for node in self.nodes:
            body = getattr(node, "body", None)
            if isinstance(body, list):
                found.update(body)
            elif isinstance(node, ast.Lambda):
                found.add(node.body)
        return found

    @cached_property
    def calls(self) -> list[ast.Call]:
        """Every call."""
        return [node for node in self.nodes if isinstance(node, ast.Call)]

    @cached_property
    def imported(self) -> dict[str, str]:
        """What each imported name stands for: `{"pg": "asyncpg", "Pool": "asyncpg.Pool"}`."""
        found: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    root = alias.name.partition(".")[0]
                    found[alias.asname or root] = alias.name if alias.asname else root
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            elif isinstance(node, ast.Assign) and _imports(node.value):
                names = [one.id for one in node.targets if isinstance(one, ast.Name)]
                found |= dict.fromkeys(names, _imports(node.value))
        return found

    @cached_property
    def items_set(self) -> dict[str, list[tuple[str, ast.expr]]]:
        """What `NAME["key"] = value` sets, by NAME."""
        found: defaultdict[str, list[tuple[str, ast.expr]]] = defaultdict(list)
        for node in self.nodes:
            for target in node.targets if isinstance(node, ast.Assign) else ():
                match target:
                    case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key))):
                        found[name].append((key, node.value))  # type: ignore[attr-defined]
        return found

    def names(self, scope: Scope) -> Names:
        """What a scope of this module binds itself."""
        if scope not in self._names:
            self._names[scope] = names_of(scope)
        return self._names[scope]

    def scope_of(self, node: ast.AST) -> Scope:
        """The scope in which a node runs; a default or a decorator runs around its function."""
        inner = node
        for outer in self.around(node):
            if isinstance(outer, SCOPES) and inner in self._bodies:
                return outer
            inner = outer
        return self.tree

    def bound(self, name: ast.Name) -> tuple[Scope, list[Binding]]:
        """The scope whose name it is, and what binds it there: nothing for a built-in."""
        scope = self.scope_of(name)
        is_own = True
        while True:
            # What a class binds is seen in its own body alone.
            if is_own or not isinstance(scope, ast.ClassDef):
                found = self.names(scope).get(name.id)
                if found:
                    return scope, found
            if isinstance(scope, ast.Module):
                return scope, []
            scope, is_own = self.scope_of(scope), False

    def bound_before(self, name: ast.Name) -> list[Binding]:
        """What may have bound a name that is read: the last statement before it, where that always
        runs; else all that bind it."""
        bindings = self.bound(name)[1]
        assigned = {self.parents.get(one.node): one for one in bindings if one.how == "value"}
        for statement in self._before(name) if len(bindings) > 1 else ():
            if statement in assigned:
                return [assigned[statement]]
            if any(one in assigned for one in ast.walk(statement)):
                break
        return bindings

    def _before(self, node: ast.AST) -> Iterator[ast.AST]:
        """The statements that run before a node in its function, those in its own block first."""
        inner = node
        for outer in self.around(node):
            for field in ("body", "orelse", "finalbody"):
                block = getattr(outer, field, None)
                if isinstance(block, list) and inner in block:
                    yield from reversed(block[: block.index(inner)])
            if isinstance(outer, SCOPES | _LOOPS):
                return
            inner = outer

    def attributes(
        self, owner: ast.ClassDef
    ) -> dict[str, list[tuple[ast.expr | None, ast.expr | None]]]:
        """What a class sets its attributes to, and their annotations: in its body and on `self`."""
        if owner not in self._attributes:
            found: defaultdict[str, list[tuple[ast.expr | None, ast.expr | None]]]
            found = defaultdict(list)
            for node in ast.walk(owner):
                for target, value, annotation in _set(node):
                    is_own = isinstance(target, ast.Name) and self.parents[node] is owner
                    if is_own or (
                        isinstance(target, ast.Attribute) and name_of(target.value) in _OWN
                    ):
                        found[name_of(target)].append((value, annotation))
            self._attributes[owner] = found
        return self._attributes[owner]

    def qualified(self, node: ast.expr) -> str:
        """The dotted name that an expression stands for through the imports, or nothing."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if name := _imports(node):
            return ".".join([name, *reversed(parts)])
        if not isinstance(node, ast.Name) or node.id not in self.imported:
            return ""
        return ".".join([self.imported[node.id], *reversed(parts)])

    def meaning(self, node: ast.expr) -> tuple[str, str]:
        """Package and last part of the dotted name that an expression stands for."""
        name = self.qualified(node)
        return name.partition(".")[0], name.rpartition(".")[2]

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around one, innermost first."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def function_of(self, node: ast.AST) -> Function | None:
        """The innermost function whose body holds a node; None at the top of a module or class."""
        inner = node
        for outer in self.around(node):
            if isinstance(outer, ast.Lambda):
                return None
            if isinstance(outer, Function) and inner in self._bodies:
                return outer
            inner = outer
        return None

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        """The innermost class around a node."""
        return next((n for n in self.around(node) if isinstance(n, ast.ClassDef)), None)

    def is_safe(self, node: ast.AST) -> bool:
        """Whether a node runs whatever was raised: in a `finally`, or a handler."""
        inner = node
        for outer in self.around(node):
            if isinstance(outer, ast.Try) and inner in outer.finalbody:
                return True
            if isinstance(outer, Function | ast.ExceptHandler):
                return isinstance(outer, ast.ExceptHandler)
            inner = outer
        return False

    def is_in_loop(self, node: ast.AST, *, is_retry: bool = True) -> bool:
        """Whether a node runs again and again within its function; `is_retry`: retries count."""
        inner = node
        for outer in self.around(node):
            if isinstance(outer, Function | ast.Lambda):
                return False
            if isinstance(outer, _COMPREHENSIONS):
                return True
            is_loop = isinstance(outer, _LOOPS) and inner in self._bodies
            if is_loop and (is_retry or not _is_retry(outer)):
                return True
            inner = outer
        return False


_RETRIES = re.compile("retr|attempt|tries|try_", re.IGNORECASE)


def _is_retry(node: ast.AST) -> bool:
    """Whether a loop makes one thing again until it is done: `for attempt in range(3)`.

    One that polls asks again although all is well.
    """
    if isinstance(node, ast.For | ast.AsyncFor):
        shown = f"{ast.unparse(node.target)} {ast.unparse(node.iter)}"
    else:
        shown = ast.unparse(node.test) if isinstance(node, ast.While) else ""
    return bool(_RETRIES.search(shown)) and "poll" not in shown.lower()


def _imports(node: ast.expr) -> str:
    """`importlib.import_module("httpx")`, by whatever helper: the module that it gives, or none."""
    match node:
        case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]):
            return name if name_of(func) == "__import__" or "import_" in name_of(func) else ""
    return ""


def _set(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr | None, ast.expr | None]]:
    """What a statement sets: target, value, annotation."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield target, node.value, None
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                for one, value in zip(target.elts, node.value.elts, strict=False):
                    yield one, value, None
    elif isinstance(node, ast.AnnAssign):
        yield node.target, node.value, node.annotation
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield node.optional_vars, node.context_expr, None
