"""One module as the rules see it: names resolved through its imports, parents, pools, sessions."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from functools import cached_property

from poolkit.audit.makers import Maker, maker_of

type_of_function = (ast.FunctionDef, ast.AsyncFunctionDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Made:
    """A call that makes a pool or session, and what it is bound to."""

    def __init__(self, module: Module, call: ast.Call, maker: Maker) -> None:
        self.call = call
        self.maker = maker
        self.function = module.function_of(call)
        self.is_with, self.targets = _use(module, call)

    @property
    def kept_as(self) -> str | None:
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
        """Whether `*args` or `**settings` may hold arguments that are not seen."""
        return hides_arguments(self.call)


class Module:
    """A parsed source with what several rules ask of it."""

    def __init__(self, text: str, path: str = "<source>") -> None:
        self.path = path
        self.text = text
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape is the business of its author
            self.tree = ast.parse(text)
        # As the parser counts them: a form feed or U+2028 ends no line there.
        self.lines = re.split(r"\r\n|\r|\n", text)

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The node around each node."""
        found: dict[ast.AST, ast.AST] = {}
        for node in self.nodes:
            for child in ast.iter_child_nodes(node):
                found[child] = node
        return found

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node, in the order of the tree."""
        return list(ast.walk(self.tree))

    @cached_property
    def functions(self) -> list[Function]:
        """Every function and method."""
        return [node for node in self.nodes if isinstance(node, type_of_function)]

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
        found = []
        for call in self.calls:
            name = self.qualified(call.func)
            maker = maker_of(name) if name else None
            if maker is not None:
                found.append(Made(self, call, maker))
        return found

    @cached_property
    def kinds(self) -> dict[str, str]:
        """Driver of what a name holds, by assignment or annotation; two drivers make it unknown."""
        found: dict[str, set[str]] = {}
        for made in self.made:
            for target in made.targets:
                found.setdefault(ast.unparse(target), set()).add(made.maker.driver)
        for node in self.nodes:
            pairs: list[tuple[str, ast.expr]] = []
            if isinstance(node, ast.arg) and node.annotation is not None:
                pairs = [(node.arg, node.annotation)]
            elif isinstance(node, ast.AnnAssign):
                pairs = [(ast.unparse(node.target), node.annotation)]
            for text, annotation in pairs:
                driver = self._annotated(annotation)
                if driver is not None:
                    found.setdefault(text, set()).add(driver)
        return {text: next(iter(drivers)) for text, drivers in found.items() if len(drivers) == 1}

    def _annotated(self, annotation: ast.expr) -> str | None:
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            try:
                annotation = ast.parse(annotation.value, mode="eval").body
            except SyntaxError:
                return None
        if isinstance(annotation, ast.BinOp):  # Pool | None
            return self._annotated(annotation.left) or self._annotated(annotation.right)
        if isinstance(annotation, ast.Subscript):
            return self._annotated(annotation.slice)
        name = self.qualified(annotation)
        return _ANNOTATIONS.get(name) if name else None

    def qualified(self, node: ast.expr) -> str | None:
        """The dotted name that an expression stands for through the imports, or None."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.imported:
            return None
        return ".".join([self.imported[node.id], *reversed(parts)])

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
            if isinstance(outer, type_of_function) and inner in outer.body:
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
            if isinstance(outer, (*type_of_function, ast.Lambda)):
                return False
            if isinstance(outer, _LOOPS) and inner in outer.body:
                return True
            if isinstance(outer, _COMPREHENSIONS):
                return True
            inner = outer
        return False


_ANNOTATIONS = {
    "asyncpg.Pool": "asyncpg",
    "asyncpg.pool.Pool": "asyncpg",
    "psycopg_pool.AsyncConnectionPool": "psycopg",
    "psycopg_pool.ConnectionPool": "psycopg",
    "sqlalchemy.ext.asyncio.AsyncEngine": "sqlalchemy",
    "sqlalchemy.engine.Engine": "sqlalchemy",
    "sqlalchemy.Engine": "sqlalchemy",
    "aiohttp.ClientSession": "aiohttp",
    "httpx.AsyncClient": "httpx",
    "httpx2.AsyncClient": "httpx",
}


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The argument that a call passes by that name, or None."""
    return next((k.value for k in call.keywords if k.arg == name), None)


def hides_arguments(call: ast.Call) -> bool:
    """Whether a call passes `*args` or `**settings`, which may hold anything."""
    return any(k.arg is None for k in call.keywords) or any(
        isinstance(argument, ast.Starred) for argument in call.args
    )


def constant(node: ast.expr | None) -> object:
    """The value of a literal, negative numbers and `60 * 5` included; None for everything else.

    A literal `None` is told by `is_none`.
    """
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = constant(node.operand)
        return -value if isinstance(value, int | float) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        left, right = constant(node.left), constant(node.right)
        if isinstance(left, int | float) and isinstance(right, int | float):
            return left * right
    return None


def number(node: ast.expr | None) -> float | None:
    """The number that a literal is, or None."""
    value = constant(node)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None  # type: ignore[arg-type]


def is_none(node: ast.expr | None) -> bool:
    """Whether a literal `None` is written there."""
    return isinstance(node, ast.Constant) and node.value is None


def _use(module: Module, call: ast.Call) -> tuple[bool, list[ast.expr]]:
    """Whether a `with` closes what a call makes, and the targets that it is bound to."""
    node: ast.AST = call
    for outer in module.around(call):
        # await make(), (await make()), make() or None: still the same object.
        if isinstance(outer, ast.Await | ast.IfExp | ast.BoolOp):
            node = outer
            continue
        if isinstance(outer, ast.withitem) and outer.context_expr is node:
            return True, [outer.optional_vars] if outer.optional_vars is not None else []
        if isinstance(outer, ast.Assign):
            return False, list(outer.targets)
        if isinstance(outer, ast.AnnAssign | ast.NamedExpr):
            return False, [outer.target]
        break
    return False, []
