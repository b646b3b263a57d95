"""What something is by its annotation: `Pool | None`, `Annotated[AsyncSession, Depends(f)]`."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Protocol

from poolkit.audit.libraries import BY_PACKAGE, DEPENDS, REMOTE, Library
from poolkit.audit.module import Module
from poolkit.audit.program import Program
from poolkit.audit.syntax import name_of
from poolkit.audit.value import Value

# What annotations wrap: AsyncIterator[AsyncSession], Annotated[..., Depends(f)].
_AROUND = frozenset(
    {"Annotated", "Optional", "Iterator", "AsyncIterator", "Generator", "AsyncGenerator", "Final"}
    | {"ClassVar", "AbstractAsyncContextManager", "AsyncContextManager", "Awaitable", "Coroutine"}
)


class Follows(Protocol):
    """What follows the names and calls in annotations."""

    program: Program

    def of(self, module: Module, node: ast.expr | None) -> Value | None:
        """What an expression stands for."""

    def depended(self, module: Module, call: ast.Call) -> Value | None:
        """What FastAPI passes for `Depends(function)`."""

    def library_of(self, found: Value) -> Library | None:
        """The library whose pool a class of the program extends."""


class Annotations:
    """Reads annotations with what follows names through the program."""

    def __init__(self, values: Follows) -> None:
        self._values = values

    def annotated(self, module: Module, node: ast.expr | None, name: str) -> Value | None:
        """What something of that name is by its annotation; pools of one name are taken for one."""
        if node is None:
            return None
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                node = ast.parse(node.value, mode="eval").body
            except (SyntaxError, ValueError):
                return None
        if isinstance(node, ast.BinOp):  # Pool | None
            return self.annotated(module, node.left, name) or self.annotated(
                module, node.right, name
            )
        if isinstance(node, ast.Subscript):
            return self._subscribed(module, node, name)
        package, last = module.meaning(node)
        library = BY_PACKAGE.get(package)
        if library is not None:
            key = f"?{library.packages[0]}:{name.rpartition('.')[2].lstrip('_')}"
            if last in library.types:
                return Value("pool", library, key)
            if last in library.sessions:
                return Value("session", library, "")
            if last in library.session_makers:
                return Value("sessions", library, key)
        if package in REMOTE:
            return Value("remote", key=package)
        if not isinstance(node, ast.Name | ast.Attribute) or node not in module.parents:
            return None
        found = self._values.of(module, node)
        if found is None or found.role != "class":
            # `Session = Annotated[AsyncSession, Depends(get_session)]`, under its name.
            return self._alias(module, node, name)
        extended = self._values.library_of(found)
        if extended is not None:
            return Value("pool", extended, f"?{extended.packages[0]}:{name}")
        return replace(found, role="instance")

    def _subscribed(self, module: Module, node: ast.Subscript, name: str) -> Value | None:
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        for extra in inner[1:] if name_of(node.value) == "Annotated" else ():
            if isinstance(extra, ast.Call) and name_of(extra.func) in DEPENDS:
                found = self._values.depended(module, extra)
                if found is not None:
                    return found
        if name_of(node.value) in _AROUND:
            return self.annotated(module, inner[0], name)
        return self.annotated(module, node.value, name)  # async_sessionmaker[AsyncSession]

    def _alias(self, module: Module, node: ast.expr, name: str) -> Value | None:
        if not isinstance(node, ast.Name):
            return None
        _, bindings = module.bound(node)
        for binding in bindings:
            if binding.how == "value" and isinstance(binding.value, ast.Subscript | ast.BinOp):
                return self.annotated(module, binding.value, name)
            if binding.how == "import" and isinstance(binding.node, ast.alias):
                found = self._values.program.imported(module, binding.node)
                for other in found[0].names(found[0].tree).get(found[1], ()) if found else ():
                    if found and isinstance(other.value, ast.Subscript):
                        return self.annotated(found[0], other.value, name)
        return None
