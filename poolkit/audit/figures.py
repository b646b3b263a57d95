"""The numbers that arguments stand for: through constants, settings classes and the environment.

Where callers, branches or a class and its constructor set several, the largest of them counts. A
number that hangs on anything else is None.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Mapping

from poolkit.audit.module import Module
from poolkit.audit.program import Defined, methods
from poolkit.audit.scopes import Binding, Scope, own
from poolkit.audit.syntax import Function, is_none, keyword, name_of
from poolkit.audit.values import Values

_STEPS = 16  # from name to name, at most
_CALLERS = 50  # of one function; whoever has more is a library's
_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
_CONVERTS = frozenset({"int", "float", "str", "cast", "abs", "round", "PositiveInt"})
_ENVIRONMENT = frozenset({"os.getenv", "os.environ.get"})
_DECLARES = frozenset({"Field", "field", "attrib", "ib", "Factory"})
# `config("SIZE", default=10)`, `env.int("SIZE", 10)`: readers of settings, by their last part.
_READS = frozenset({"config", "env", "int", "float", "str", "get", "getint", "getenv", "getfloat"})

Place = tuple[Module, ast.expr]  # an expression and where it stands


class Figures:
    """Reads numbers of a program; `arguments` of a call include those of `**SETTINGS`.

    State: what was read before, by expression or the first place that binds a name, and steps left.
    """

    def __init__(self, values: Values) -> None:
        self._values = values
        self._known: dict[tuple[ast.AST, int], float | None] = {}
        self._mappings: dict[tuple[ast.AST, int], dict[str, Place] | None] = {}

    def arguments(self, module: Module, call: ast.Call) -> dict[str, Place] | None:
        """The keyword arguments of a call, by name; None: some of them do not show."""
        if any(isinstance(argument, ast.Starred) for argument in call.args):
            return None
        pairs = [(None if k.arg is None else ast.Constant(k.arg), k.value) for k in call.keywords]
        return self._items(module, pairs, _STEPS)

    def argument(self, module: Module, call: ast.Call, name: str) -> ast.expr | None:
        """What a call passes by a name: itself, or in `**settings`, behind constants; or None."""
        written = keyword(call, name)
        place = None if written is None else (module, written)
        if place is None and any(k.arg is None for k in call.keywords):
            place = (self.arguments(module, call) or {}).get(name)
        return None if place is None else self._behind(*place)

    def _behind(self, module: Module, node: ast.expr) -> ast.expr:
        """The literal that a constant's name stands for, or the expression itself."""
        if isinstance(node, ast.Name):
            _, bindings = module.bound(node)
            if len(bindings) == 1 and bindings[0].how == "value":
                value = bindings[0].value
                if isinstance(value, ast.Constant):
                    return value
        return node

    def items(self, module: Module, node: ast.expr) -> dict[str, Place]:
        """The items of a dict that shows, by key; nothing of one that does not."""
        return self._mapping(module, node, _STEPS) or {}

    def number(self, module: Module, node: ast.expr | None, steps: int = _STEPS) -> float | None:
        """The number that an expression stands for, as the environment's default has it."""
        if node is None or steps <= 0:
            return None
        if (node, steps) not in self._known:
            self._known[node, steps] = self._read(module, node, steps)
        return self._known[node, steps]

    def _read(self, module: Module, node: ast.expr, steps: int) -> float | None:
        match node:
            case ast.Constant(value=value):
                return _number(value)
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                value = self.number(module, inner, steps - 1)
                return None if value is None else -value
            case ast.BinOp():
                return self._sum(module, node, steps - 1)
            case ast.IfExp(body=body, orelse=orelse):
                return self._most([(module, body), (module, orelse)], steps - 1)
            case ast.BoolOp(op=ast.Or(), values=options):
                return self._first(module, options, steps - 1)
            case ast.NamedExpr(value=inner):
                return self.number(module, inner, steps - 1)
            case ast.Call():
                return self._call(module, node, steps - 1)
            case ast.Name():
                scope, bindings = module.bound(node)
                return self._bound(module, scope, bindings, steps - 1)
            case ast.Attribute():
                return self._most(self._attribute(module, node, steps - 1), steps - 1)
            case ast.Subscript(value=owner, slice=ast.Constant(value=str(key))):
                found = self._mapping(module, owner, steps - 1) or {}
                return self.number(*found[key], steps - 1) if key in found else None
        return None

    def _most(self, places: Iterable[Place | None], steps: int) -> float | None:
        """The largest of several, where all of them are known."""
        read = [None if place is None else self.number(*place, steps) for place in places]
        known = [value for value in read if value is not None]
        return max(known) if known and len(known) == len(read) else None

    def _sum(self, module: Module, node: ast.BinOp, steps: int) -> float | None:
        left, right = (self.number(module, part, steps) for part in (node.left, node.right))
        if left is None or right is None or type(node.op) not in _OPERATORS:
            return None
        try:
            return _OPERATORS[type(node.op)](left, right)
        except (ZeroDivisionError, OverflowError):
            return None

    def _first(self, module: Module, options: list[ast.expr], steps: int) -> float | None:
        """`os.environ.get("X") or 10`: what counts where the environment says nothing."""
        for option in options:
            if is_none(option) or self._is_unset(module, option):
                continue
            value = self.number(module, option, steps)
            if value != 0:
                return value
        return None

    def _is_unset(self, module: Module, node: ast.expr) -> bool:
        """Whether it reads a variable of the environment that has no default."""
        if isinstance(node, ast.Call) and name_of(node.func) in _CONVERTS and node.args:
            return self._is_unset(module, node.args[0])
        is_read = isinstance(node, ast.Call) and module.qualified(node.func) in _ENVIRONMENT
        return is_read and _default(node) is None  # type: ignore[arg-type]

    def _call(self, module: Module, call: ast.Call, steps: int) -> float | None:
        name = name_of(call.func)
        if isinstance(call.func, ast.Name) and name in ("min", "max") and call.args:
            read = [self.number(module, one, steps) for one in call.args]
            known = [value for value in read if value is not None]
            # `min(32, os.cpu_count() + 4)` is 32 at most.
            if name == "min":
                return min(known, default=None)
            return max(known) if len(known) == len(read) else None
        if name in _DECLARES:
            return self._declared(module, call, steps)
        if name == "get" and isinstance(call.func, ast.Attribute) and call.args:
            found = self._mapping(module, call.func.value, steps)
            key = getattr(call.args[0], "value", None)
            if found is not None and key in found:
                return self.number(*found[key], steps)
        if name in _READS and len(call.args) + len(call.keywords) > 1:
            value = self.number(module, _default(call), steps)
            if value is not None:
                return value
        if name in _CONVERTS and call.args:
            return self.number(module, call.args[-1 if name == "cast" else 0], steps)
        found_function = self._values.function(module, call)
        if found_function is None or not isinstance(found_function[0].node, Function):
            return None
        other, function = found_function[0].module, found_function[0].node
        return self._most(_returned(other, function), steps)

    def _declared(self, module: Module, call: ast.Call, steps: int) -> float | None:
        """The default of a field of pydantic, dataclasses or attrs."""
        default = keyword(call, "default") or (call.args[0] if call.args else None)
        if default is None:
            factory = keyword(call, "default_factory")
            default = factory.body if isinstance(factory, ast.Lambda) else None
        return self.number(module, default, steps)

    # -- names -----------------------------------------------------------------------------------

    def _bound(
        self, module: Module, scope: Scope, bindings: list[Binding], steps: int
    ) -> float | None:
        key = (bindings[0].node if bindings else scope), steps
        if key not in self._known:
            read = [self._binding(module, scope, one, steps) for one in bindings]
            known = [value for value in read if value is not None]
            self._known[key] = max(known) if known and len(known) == len(read) else None
        return self._known[key]

    def _binding(self, module: Module, scope: Scope, one: Binding, steps: int) -> float | None:
        if one.how == "value":
            return self.number(module, one.value, steps)
        if one.how == "import":
            assert isinstance(one.node, ast.alias)
            found = self._values.program.imported(module, one.node)
            if found is None or not found[1]:
                return None
            return self._global(*found, steps)
        if one.how == "argument" and isinstance(scope, Function):
            assert isinstance(one.node, ast.arg)
            return self._most(self._passed(module, scope, one.node.arg, one.value), steps)
        return None

    def _global(self, module: Module, name: str, steps: int) -> float | None:
        if steps == 0:
            return None
        bindings = module.names(module.tree).get(name, [])
        return self._bound(module, module.tree, bindings, steps - 1)

    def _passed(
        self,
        module: Module,
        function: Function,
        name: str,
        default: ast.expr | None,
    ) -> list[Place | None]:
        """What the callers of a function pass for an argument; its default where none calls."""
        owner = module.parents.get(function)
        is_method = isinstance(owner, ast.ClassDef)
        called = function.name
        if isinstance(owner, ast.ClassDef) and called == "__init__":
            called = owner.name
        calls = self._values.program.calls_of.get(called, [])
        if len(calls) > _CALLERS:
            return [None]
        names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
        at = names.index(name) - is_method if name in names else len(names)
        fallback = None if default is None else (module, default)
        found: list[Place | None] = []
        for other, call in calls:
            written = keyword(call, name) or (call.args[at] if 0 <= at < len(call.args) else None)
            hides = any(k.arg is None for k in call.keywords)
            found.append((other, written) if written else None if hides else fallback)
        return found or [fallback]

    # -- attributes and mappings -----------------------------------------------------------------

    def _attribute(self, module: Module, node: ast.Attribute, steps: int) -> list[Place | None]:
        """What an attribute of a module, a class or an object is set to; nothing: not known."""
        imported = self._module_named(module, node.value)
        owner = self._values.of(module, node.value)
        if owner is not None and owner.role == "module":
            imported = owner.module
        if imported is not None:
            bindings = imported.names(imported.tree).get(node.attr, [])
            return [
                (imported, one.value) if one.how == "value" and one.value else None
                for one in bindings
            ]
        if owner is None or owner.role not in ("class", "instance") or owner.defined is None:
            return []
        written = self._constructed(module, node.value, node.attr, steps)
        return [written] if written is not None else self._member(owner.defined, node.attr)

    def _module_named(self, module: Module, node: ast.expr) -> Module | None:
        """The module of `import shop.settings`, under its whole name."""
        name = module.qualified(node)
        return self._values.program.named(name) if name else None

    def _constructed(self, module: Module, node: ast.expr, name: str, steps: int) -> Place | None:
        """`settings = Settings(pool_size=50)`: what the object is made with."""
        if isinstance(node, ast.Name) and steps > 0:
            _, bindings = module.bound(node)
            if len(bindings) != 1:
                return None
            binding = bindings[0]
            if binding.how == "import" and isinstance(binding.node, ast.alias):
                found = self._values.program.imported(module, binding.node)
                places = found[0].names(found[0].tree).get(found[1], []) if found else []
                if found is None or len(places) != 1:
                    return None
                module, binding = found[0], places[0]
            node = binding.value if binding.how == "value" and binding.value else node
        if not isinstance(node, ast.Call):
            return None
        written = keyword(node, name)
        return None if written is None else (module, written)

    def _member(self, defined: Defined, name: str, depth: int = 4) -> list[Place | None]:
        """What a class, or the bases of it in the program, set an attribute to."""
        module, node = defined.module, defined.node
        assert isinstance(node, ast.ClassDef)
        set_to = module.attributes(node).get(name)
        if set_to:
            return [None if value is None else (module, value) for value, _ in set_to]
        method = methods(node).get(name)
        if method is not None and any("property" in name_of(d) for d in method.decorator_list):
            return _returned(module, method)
        for base in node.bases if depth else ():
            above = self._values.of(module, base)
            if above is not None and above.role == "class" and above.defined is not None:
                found = self._member(above.defined, name, depth - 1)
                if found:
                    return found
        return []

    def _mapping(self, module: Module, node: ast.expr, steps: int) -> dict[str, Place] | None:
        """The items of a literal dict, under whatever name; None: not known."""
        if steps == 0:
            return None
        match node:
            case ast.Dict(keys=keys, values=values):
                return self._items(module, zip(keys, values, strict=True), steps - 1)
            case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords):
                pairs = [(k.arg and ast.Constant(k.arg), k.value) for k in keywords]
                return self._items(module, pairs, steps - 1)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                pair = [(None, left), (None, right)]
                return self._items(module, pair, steps - 1)
            case ast.Name():
                _, bindings = module.bound(node)
                return self._mapping_bound(module, bindings, steps - 1)
            case ast.Attribute():
                found = self._attribute(module, node, steps - 1)
                place = found[0] if len(found) == 1 else None
                return None if place is None else self._mapping(*place, steps - 1)
        return None

    def _mapping_bound(
        self, module: Module, bindings: list[Binding], steps: int
    ) -> dict[str, Place] | None:
        if len(bindings) != 1 or steps <= 0:
            return None
        binding = bindings[0]
        if binding.how == "import" and isinstance(binding.node, ast.alias):
            found = self._values.program.imported(module, binding.node)
            if found is None or not found[1]:
                return None
            places = found[0].names(found[0].tree).get(found[1], [])
            return self._mapping_bound(found[0], places, steps - 1)
        if binding.value is None or not isinstance(binding.node, ast.Name):
            return None
        if (binding.node, steps) not in self._mappings:
            items = self._mapping(module, binding.value, steps - 1)
            later = dict(_set_later(module, name_of(binding.node)))
            self._mappings[binding.node, steps] = None if items is None else items | later
        return self._mappings[binding.node, steps]

    def _items(
        self, module: Module, pairs: Iterable[tuple[ast.expr | str | None, ast.expr]], steps: int
    ) -> dict[str, Place] | None:
        found: dict[str, Place] = {}
        for key, value in pairs:
            if key is None:
                inner = self._mapping(module, value, steps)
                if inner is None:
                    return None
                found |= inner
            elif isinstance(key, ast.Constant) and isinstance(key.value, str):
                found[key.value] = (module, value)
            else:
                return None
        return found


def _set_later(module: Module, name: str) -> Iterable[tuple[str, Place]]:
    """`SETTINGS["pool_size"] = 20`: the items that a module sets of a dict it has made."""
    for key, value in module.items_set.get(name, ()):
        yield key, (module, value)


def _default(call: ast.Call) -> ast.expr | None:
    """The default of a call that reads a setting: `config("X", default=10)`, `getenv("X", 10)`."""
    named = keyword(call, "default") or keyword(call, "fallback")
    return named or (call.args[1] if len(call.args) > 1 else None)


def _returned(module: Module, function: Function) -> list[Place | None]:
    return [
        None if node.value is None else (module, node.value)
        for node in own(function)
        if isinstance(node, ast.Return)
    ]


def _number(value: object) -> float | None:
    """Of a literal, or of the text that the environment would hold."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
