"""All modules of an audit together: what they import from each other, and who calls whom."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath

from poolkit.audit.libraries import BY_PACKAGE, CLOSES
from poolkit.audit.module import Module
from poolkit.audit.syntax import Function, name_of


@dataclass(frozen=True, slots=True)
class Defined:
    """A function or class, and the module that holds it."""

    module: Module
    node: Function | ast.ClassDef


class Program:
    """Modules that are read together; a name is looked up in those that it is imported from."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self.modules = tuple(modules)
        self._by_end: defaultdict[str, list[tuple[tuple[str, ...], Module]]] = defaultdict(list)
        for module in self.modules:
            parts = _parts(module.path)
            self._by_end[parts[-1]].append((parts, module))
        for module in self.modules:
            self._bring_all(module, set())

    def _bring_all(self, module: Module, seen: set[Module]) -> None:
        """Take over what `from x import *` brings of another module's imports."""
        if module in seen:
            return
        seen.add(module)
        for alias in _stars(module):
            statement = module.parents[alias]
            package = (getattr(statement, "module", None) or "").partition(".")[0]
            for name in BY_PACKAGE[package].exports if package in BY_PACKAGE else ():
                module.imported.setdefault(name, f"{package}.{name}")
        for other in self._starred(module):
            self._bring_all(other, seen)
            for name, meaning in other.imported.items():
                if is_public(other, name):
                    module.imported.setdefault(name, meaning)

    def _starred(self, module: Module) -> list[Module]:
        """The modules that `from x import *` brings all of, the last one first."""
        found = (self.imported(module, alias) for alias in _stars(module))
        return [one[0] for one in found if one is not None][::-1]

    def home(self, module: Module, name: str, depth: int = 4) -> Module:
        """The module that binds a global name: this one, or one that it brings all of."""
        if name in module.names(module.tree) or depth == 0:
            return module
        for other in self._starred(module):
            found = self.home(other, name, depth - 1)
            if name in found.names(found.tree) and is_public(other, name):
                return found
        return module

    def imported(self, module: Module, alias: ast.alias) -> tuple[Module, str] | None:
        """The module and the name in it that an import brings; an empty name: all of it."""
        statement = module.parents[alias]
        if isinstance(statement, ast.Import):
            found = self._module(tuple(alias.name.split(".")))
            # `import a.b` binds `a`; a file of ours may be called as the library that it wraps.
            is_whole = alias.asname or "." not in alias.name
            is_ours = is_whole and alias.name not in BY_PACKAGE
            return (found, "") if found is not None and is_ours else None
        assert isinstance(statement, ast.ImportFrom)
        parts = tuple(statement.module.split(".")) if statement.module else ()
        if statement.level:
            here = _parts(module.path)
            is_package = PurePath(module.path).name == "__init__.py"
            base = here[: len(here) - statement.level + is_package]
            parts = (*base, *parts)
        whole = self._module((*parts, alias.name), module)
        if whole is not None:
            return whole, ""
        found = self._module(parts, module)
        return None if found is None else (found, alias.name)

    def named(self, name: str) -> Module | None:
        """The module of a dotted name; None: none, or several."""
        return self._module(tuple(name.split(".")))

    def _module(self, parts: tuple[str, ...], nearest: Module | None = None) -> Module | None:
        """The one module whose path ends so; None: none, or several."""
        if not parts:
            return None
        found = [m for path, m in self._by_end.get(parts[-1], ()) if path[-len(parts) :] == parts]
        return found[0] if len(found) == 1 else None

    @cached_property
    def stored(self) -> dict[str, list[tuple[Module, ast.expr]]]:
        """What attributes of objects without a class of ours are set to, by the attribute's name.

        `app.state.pool = ...`, `with ... as app["pool"]`: an item is found by its key.
        """
        found: defaultdict[str, list[tuple[Module, ast.expr]]] = defaultdict(list)
        for module in self.modules:
            for node in module.nodes:
                for target, value in _stores(node):
                    name = place(target)
                    if name and name_of(getattr(target, "value", target)) != "self":
                        found[name].append((module, value))
        return found

    @cached_property
    def calls_of(self) -> dict[str, list[tuple[Module, ast.Call]]]:
        """Every call by the last part of what is called."""
        found: defaultdict[str, list[tuple[Module, ast.Call]]] = defaultdict(list)
        for module in self.modules:
            for call in module.calls:
                found[name_of(call.func)].append((module, call))
        return found

    @cached_property
    def closed(self) -> set[str]:
        """The attributes that are closed from outside of their object: `app.client.aclose()`."""
        return {
            node.value.attr
            for module in self.modules
            for node in module.nodes
            if isinstance(node, ast.Attribute) and node.attr in CLOSES
            if isinstance(node.value, ast.Attribute) and name_of(node.value.value) != "self"
        }

    @cached_property
    def subclasses(self) -> dict[str, list[Defined]]:
        """Every class by the last part of each of its bases."""
        found: defaultdict[str, list[Defined]] = defaultdict(list)
        for module in self.modules:
            for node in module.nodes:
                if isinstance(node, ast.ClassDef):
                    for base in node.bases:
                        found[name_of(base)].append(Defined(module, node))
        return found


def _stars(module: Module) -> list[ast.alias]:
    """What stands for all names in `from x import *`."""
    bindings = module.names(module.tree).get("*", ())
    return [one.node for one in bindings if isinstance(one.node, ast.alias)]


def is_public(module: Module, name: str) -> bool:
    """Whether `from module import *` brings a name."""
    for one in module.names(module.tree).get("__all__", ()):
        if isinstance(one.value, ast.List | ast.Tuple):
            return any(isinstance(e, ast.Constant) and e.value == name for e in one.value.elts)
    return not name.startswith("_")


def place(target: ast.expr) -> str:
    """The name of an attribute, or an item's key: `app.state.pool` and `app["pool"]`."""
    if isinstance(target, ast.Attribute):
        return target.attr
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        return f"[{target.slice.value!r}]"
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Name):
        return f"[{target.slice.id}]"
    return ""


def _stores(node: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    """Each target and what it is set to."""
    if isinstance(node, ast.Assign):
        return [(target, node.value) for target in node.targets]
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return [(node.target, node.value)]
    if isinstance(node, ast.withitem) and node.optional_vars is not None:
        return [(node.optional_vars, node.context_expr)]
    return []


def methods(node: ast.ClassDef) -> dict[str, Function]:
    """The functions in a class, by name."""
    return {one.name: one for one in node.body if isinstance(one, Function)}


def _parts(path: str) -> tuple[str, ...]:
    pure = PurePath(path).with_suffix("")
    parts = tuple(part for part in pure.parts if part not in ("/", "..", "."))
    return (parts[:-1] if parts[-1:] == ("__init__",) and len(parts) > 1 else parts) or ("",)
