"""One module as the rules read it: its imports resolved, its pools, and what becomes of each."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from functools import cached_property

from poolkit.audit.libraries import BY_PACKAGE, CLOSES, Library
from poolkit.audit.syntax import Function, hides_arguments, keyword

_LOOPS = ast.For | ast.AsyncFor | ast.While
_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Module:
    """A parsed source with what several rules ask of it."""

    def __init__(self, text: str, path: str = "<source>") -> None:
        self.path = path
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

    @cached_property
    def pools(self) -> dict[str, Library]:
        """Library of what a name holds, by assignment or annotation; of two of them it is none."""
        found: dict[str, set[Library]] = {}
        for made in self.made:
            for target in made.targets:
                found.setdefault(ast.unparse(target), set()).add(made.library)
        for node in self.nodes:
            if isinstance(node, ast.arg) and node.annotation is not None:
                text, library = node.arg, self._annotated(node.annotation)
            elif isinstance(node, ast.AnnAssign):
                text, library = ast.unparse(node.target), self._annotated(node.annotation)
            else:
                continue
            if library is not None:
                found.setdefault(text, set()).add(library)
        return {text: libraries.pop() for text, libraries in found.items() if len(libraries) == 1}

    def pool_asked(self, call: ast.Call) -> Library | None:
        """The library of the pool that a call is a method of."""
        if not self.pools or not isinstance(call.func, ast.Attribute):
            return None
        return self.pools.get(ast.unparse(call.func.value))

    def _annotated(self, annotation: ast.expr) -> Library | None:
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            try:
                annotation = ast.parse(annotation.value, mode="eval").body
            except SyntaxError:
                return None
        if isinstance(annotation, ast.BinOp):  # Pool | None
            return self._annotated(annotation.left) or self._annotated(annotation.right)
        if isinstance(annotation, ast.Subscript):
            return self._annotated(annotation.slice)
        package, name = self.meaning(annotation)
        library = BY_PACKAGE.get(package)
        return library if library is not None and name in library.types else None

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
            if isinstance(outer, Function) and inner in outer.body:
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
            if isinstance(outer, _LOOPS) and inner in outer.body:
                return True
            inner = outer
        return False


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
