"""One module as the rules read it: its imports resolved, its pools, and what becomes of each."""

from __future__ import annotations

import ast
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property

from poolkit.audit.libraries import BY_PACKAGE, CLOSES, Library
from poolkit.audit.scopes import SCOPES, Binding, Names, Scope, names_of
from poolkit.audit.syntax import Function, hides_arguments, keyword, name_of

_LOOPS = ast.For | ast.AsyncFor | ast.While
_OWN = ("self", "cls")
_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Module:
    """A parsed source with what several rules ask of it."""

    def __init__(self, text: str, path: str = "<source>") -> None:
        self.path = path
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
                found.add(body)
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
        return found

    @cached_property
    def made(self) -> list[Made]:
        """Every pool, engine, session and client that the module makes."""
        found = ((call, *self.meaning(call.func)) for call in self.calls)
        return [
            Made(self, call, BY_PACKAGE[package])
            for call, package, name in found
            if package in BY_PACKAGE and name in BY_PACKAGE[package].makers
        ]

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

    def is_in_loop(self, node: ast.AST) -> bool:
        """Whether a node runs again and again within its function."""
        inner = node
        for outer in self.around(node):
            if isinstance(outer, Function | ast.Lambda):
                return False
            if isinstance(outer, _COMPREHENSIONS):
                return True
            if isinstance(outer, _LOOPS) and inner in self._bodies:
                return True
            inner = outer
        return False


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


class Made:
    """A call that makes a pool or session, and what becomes of it.

    `function` makes it, it is bound to `targets`, and `is_with`: a `with` closes it.
    """

    def __init__(self, module: Module, call: ast.Call, library: Library) -> None:
        self.call = call
        self.library = library
        self.function = module.function_of(call)
        self.is_with = False
        self.targets: list[ast.expr] = []
        self._module = module
        node: ast.AST = call
        for outer in module.around(call):
            # await make(), (await make()), make() or None: still the same object.
            if isinstance(outer, ast.Await | ast.IfExp | ast.BoolOp):
                node = outer
                continue
            if isinstance(outer, ast.withitem) and outer.context_expr is node:
                self.is_with = True
                self.targets = [outer.optional_vars] if outer.optional_vars is not None else []
            elif isinstance(outer, ast.Assign):
                self.targets = outer.targets
            elif isinstance(outer, ast.AnnAssign | ast.NamedExpr):
                self.targets = [outer.target]
            break

    @property
    def name(self) -> str | None:
        """`pool`, `self._pool`, `app.state.engine`: the one name it goes by, or None."""
        return ast.unparse(self.targets[0]) if len(self.targets) == 1 else None

    @property
    def local(self) -> str | None:
        """Its name when it is a plain local variable of a function, else None."""
        is_local = self.function is not None and len(self.targets) == 1
        target = self.targets[0] if is_local else None
        return target.id if isinstance(target, ast.Name) else None

    def keyword(self, name: str) -> ast.expr | None:
        """The argument of that name, or None when it is not written."""
        return keyword(self.call, name)

    @property
    def hides_arguments(self) -> bool:
        """Whether `*args` or `**settings` may hold arguments that do not show."""
        return hides_arguments(self.call)

    @property
    def has_other_pool(self) -> bool:
        """Whether an argument brings its pool, so that the library's defaults say nothing."""
        return any(self.keyword(name) is not None for name in self.library.other_pool)

    def reads(self) -> list[ast.Name]:
        """Where its function, and what is defined inside it, reads the local variable."""
        return [
            node
            for node in self._in_function()
            if isinstance(node, ast.Name)
            and node.id == self.local
            and isinstance(node.ctx, ast.Load)
        ]

    def attributes(self) -> list[ast.Attribute]:
        """The attributes and methods of the local variable that are read there."""
        parents = (self._module.parents[node] for node in self.reads())
        return [parent for parent in parents if isinstance(parent, ast.Attribute)]

    def escapes(self) -> bool:
        """Whether the local is returned, stored, passed on or captured: others may own it then."""
        return any(
            isinstance(node, ast.Global | ast.Nonlocal) and self.local in node.names
            for node in self._in_function()
        ) or any(self._goes_out(node) for node in self.reads())

    def is_closed(self) -> bool:
        """Whether the function closes its local variable, or hands the closing on."""
        name = self.local
        if name is None:
            return False
        for node in self._in_function():
            if isinstance(node, ast.Attribute) and node.attr in CLOSES:
                if ast.unparse(node.value) in (name, f"{name}.sync_engine"):
                    return True
            elif isinstance(node, ast.withitem):
                shown = ast.unparse(node.context_expr)
                if shown == name or (name in shown and "closing" in shown):
                    return True
        return False

    def _in_function(self) -> Iterator[ast.AST]:
        return iter(()) if self.function is None else ast.walk(self.function)

    def _goes_out(self, node: ast.Name) -> bool:
        parent = self._module.parents[node]
        # pool.acquire(), `with pool`, `if pool`: only used. All else could hand the object on.
        is_only_used = (
            isinstance(parent, ast.Attribute)
            or (isinstance(parent, ast.withitem) and parent.context_expr is node)
            or isinstance(parent, ast.Compare | ast.Await | ast.If | ast.UnaryOp | ast.Assert)
        )
        if not is_only_used:
            return True
        inner = next(o for o in self._module.around(node) if isinstance(o, Function | ast.Lambda))
        return inner is not self.function
