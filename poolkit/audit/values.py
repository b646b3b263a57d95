"""What an expression stands for, as far as pools go: followed through names, attributes and calls.

A value that cannot be told for sure is None, and the rules are silent about it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from poolkit.audit.annotations import Annotations
from poolkit.audit.libraries import BY_PACKAGE, DEPENDS, REMOTE, Library
from poolkit.audit.module import Module
from poolkit.audit.program import Defined, Program, methods, place
from poolkit.audit.scopes import Binding, Scope, own
from poolkit.audit.syntax import HANDS_ON, Function, is_none, keyword, name_of, pairs
from poolkit.audit.value import NO_ARGUMENTS, Arguments, Role, Value

# Bases that know nothing of what a class of the program keeps.
_BARE = frozenset({"ABC", "Generic", "Protocol", "object"})
_DEEPEST = 12  # steps from name to name

_DECLARES = frozenset({"field", "Field", "PrivateAttr", "attrib", "ib"})


class Values:
    """Follows expressions through a program.

    State: what is known, and the depth of the search that runs.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._annotations = Annotations(self)
        self._known: dict[object, Value | None] = {}
        self._open: set[object] = set()
        self._results: dict[ast.AST, list[ast.expr]] = {}

    def of(
        self, module: Module, node: ast.expr | None, given: Arguments = NO_ARGUMENTS
    ) -> Value | None:
        """What an expression of a module stands for; `given`: what the call under way passes."""
        if node is None:
            return None
        return self._once(node, lambda: self._of(module, node, given), is_general=not given)

    def _once(
        self, key: object, search: Callable[[], Value | None], *, is_general: bool
    ) -> Value | None:
        """The result of a search, which is made once where it does not hang on a call's arguments.

        None within itself, and where it goes too deep.
        """
        if is_general and key in self._known:
            return self._known[key]
        if key in self._open or len(self._open) > _DEEPEST:
            return None
        self._open.add(key)
        try:
            found = search()
        finally:
            self._open.discard(key)
        # A search within another one may have been cut short; what is shared costs too much twice.
        if is_general and (found is not None or not self._open or isinstance(key, tuple)):
            self._known[key] = found
        return found

    def pool(
        self, module: Module, node: ast.expr | None, given: Arguments = NO_ARGUMENTS
    ) -> Value | None:
        """The pool that an expression stands for."""
        found = self.of(module, node, given)
        return found if found is not None and found.role == "pool" else None

    def pool_asked(
        self, module: Module, call: ast.Call, given: Arguments = NO_ARGUMENTS
    ) -> Value | None:
        """The pool that a call is a method of."""
        func = call.func
        return self.pool(module, func.value, given) if isinstance(func, ast.Attribute) else None

    def taken(self, module: Module, node: ast.AST, given: Arguments = NO_ARGUMENTS) -> Value | None:
        """The session or connection that an expression takes from its pool when it is entered."""
        if isinstance(node, ast.Await):
            node = node.value
        if not isinstance(node, ast.Call):
            return None
        found = self.of(module, node, given)
        return found if found is not None and found.role == "session" else None

    def function(
        self, module: Module, call: ast.Call, given: Arguments = NO_ARGUMENTS
    ) -> tuple[Defined, Arguments] | None:
        """The function of the program that a call runs, and what it passes."""
        found = self.of(module, call.func, given)
        if found is None or found.defined is None or found.role not in ("function", "class"):
            return None
        node = found.defined.node
        if isinstance(node, ast.ClassDef):
            start = methods(node).get("__init__")
            if start is None:
                return None
            owner: Value | None = replace(found, role="instance")
            return Defined(found.defined.module, start), self._passed(
                module, call, start, owner, given
            )
        return found.defined, self._passed(module, call, node, found.owner, given)

    # -- expressions ---------------------------------------------------------------------------

    def _of(self, module: Module, node: ast.expr, given: Arguments) -> Value | None:
        match node:
            case ast.Await(value=inner) | ast.NamedExpr(value=inner) | ast.Starred(value=inner):
                return self.of(module, inner, given)
            case ast.IfExp(body=body, orelse=orelse):
                return self.of(module, body, given) or self.of(module, orelse, given)
            case ast.BoolOp(values=values):
                return next(filter(None, (self.of(module, one, given) for one in values)), None)
            case ast.Name() | ast.Attribute() if (library := _of_maker(module, node)) is not None:
                return Value("maker", library)
            case ast.Lambda(body=ast.Call() as body):
                found = self.of(module, body, given)
                is_made = found is not None and found.call is body
                return Value("maker", found.library) if found and is_made else None
            case ast.Name():
                return self._name(module, node, given)
            case ast.Attribute():
                return self._attribute(module, node, given)
            case ast.Subscript():
                return self._stored(place(node))
            case ast.Call():
                return self._call(module, node, given)
        return None

    def _name(self, module: Module, node: ast.Name, given: Arguments) -> Value | None:
        scope, bindings = module.bound(node)
        if not bindings:
            return self._global(module, node.id)
        if (scope, node.id) in given:
            return given[scope, node.id]
        return self._once(
            (scope, node.id),
            lambda: self._bound(module, scope, node.id, bindings, given),
            is_general=not given,
        )

    def _bound(
        self,
        module: Module,
        scope: Scope,
        name: str,
        bindings: list[Binding],
        given: Arguments,
    ) -> Value | None:
        found = [self._binding(module, scope, one, given) for one in bindings if not _is_none(one)]
        values = [value for value in found if value is not None]
        if not values:  # `_pool: Pool | None = None`, which is set from elsewhere
            found = [self._declared(module, one) for one in bindings if _is_none(one)]
            values = [value for value in found if value is not None]
        if not values or any(_kind(value) != _kind(values[0]) for value in values):
            return None
        if len({value.key for value in values}) > 1:  # one of them, whichever it is
            where = getattr(scope, "name", "")
            return replace(values[0], key=f"{module.path}:{where}:{name}", call=None)
        return values[0]

    def _binding(
        self, module: Module, scope: Scope, binding: Binding, given: Arguments
    ) -> Value | None:
        node = binding.node
        match binding.how:
            case "value" | "entered":
                return self.of(module, binding.value, given) or self._declared(module, binding)
            case "definition":
                assert isinstance(node, Function | ast.ClassDef)
                role: Role = "class" if isinstance(node, ast.ClassDef) else "function"
                return Value(role, defined=Defined(module, node))
            case "import":
                assert isinstance(node, ast.alias)
                return self._imported(module, node)
            case "argument":
                assert isinstance(node, ast.arg)
                return self.argument(module, scope, node, binding.value)
        return None

    def _declared(self, module: Module, binding: Binding) -> Value | None:
        """What a name is by the annotation of the statement that binds it."""
        parent = module.parents.get(binding.node)
        if not isinstance(parent, ast.AnnAssign):
            return None
        return self.annotated(module, parent.annotation, ast.unparse(parent.target))

    def argument(
        self, module: Module, scope: Scope, node: ast.arg, default: ast.expr | None
    ) -> Value | None:
        """What an argument of a function is: by what FastAPI fills it with, or its annotation."""
        if isinstance(scope, Function) and self._is_first_of_method(module, scope, node):
            owner = module.class_of(scope)
            assert owner is not None
            is_class = "classmethod" in map(name_of, scope.decorator_list)
            return Value("class" if is_class else "instance", defined=Defined(module, owner))
        if isinstance(default, ast.Call) and name_of(default.func) in DEPENDS:
            found = self.depended(module, default)
            if found is not None:
                return found
        return self.annotated(module, node.annotation, node.arg)

    def _is_first_of_method(self, module: Module, scope: Function, node: ast.arg) -> bool:
        arguments = (*scope.args.posonlyargs, *scope.args.args)
        return (
            bool(arguments)
            and arguments[0] is node
            and isinstance(module.parents.get(scope), ast.ClassDef)
            and "staticmethod" not in map(name_of, scope.decorator_list)
        )

    def depended(self, module: Module, call: ast.Call) -> Value | None:
        """What FastAPI passes for `Depends(function)`."""
        found = self.of(module, call.args[0]) if call.args else None
        if found is None or found.role != "function" or found.defined is None:
            return None
        return self._returned(found.defined, NO_ARGUMENTS)

    def _imported(self, module: Module, alias: ast.alias) -> Value | None:
        found = self.program.imported(module, alias)
        if found is None:
            return None
        other, name = found
        return Value("module", module=other) if not name else self._global(other, name)

    def _global(self, module: Module, name: str) -> Value | None:
        module = self.program.home(module, name)
        bindings = module.names(module.tree).get(name, [])
        return self._once(
            (module.tree, name),
            lambda: self._bound(module, module.tree, name, bindings, NO_ARGUMENTS),
            is_general=True,
        )

    def _attribute(self, module: Module, node: ast.Attribute, given: Arguments) -> Value | None:
        owner = self.of(module, node.value, given)
        if owner is None:
            return self._stored(node.attr)
        if owner.role == "module" and owner.module is not None:
            return self._global(owner.module, node.attr)
        if owner.role in ("class", "instance") and owner.defined is not None:
            defined = owner.defined
            # Where the object came from tells nothing of its class's attributes.
            return self._once(
                (defined.node, node.attr, owner.role),
                lambda: self._member(owner, defined, node.attr),
                is_general=True,
            )
        if node.attr == "sync_engine" or owner.role == "remote":
            return owner
        return None

    def _member(self, owner: Value, defined: Defined, name: str, depth: int = 4) -> Value | None:
        """An attribute or method of a class, or of its bases in the program."""
        module, node = defined.module, defined.node
        assert isinstance(node, ast.ClassDef)
        if (method := methods(node).get(name)) is not None:
            decorators = {*map(name_of, method.decorator_list)}
            itself = None if "staticmethod" in decorators else owner
            bound = Value("function", defined=Defined(module, method), owner=itself)
            is_property = {"property", "cached_property"} & decorators
            return self._returned(bound.defined, self._self(bound)) if is_property else bound
        places = module.attributes(node).get(name, ())
        found = [
            self.of(module, value, {}) or self.annotated(module, annotation, name)
            for value, annotation in places
            if value is None or not is_none(value)
        ]
        values = [value for value in found if value is not None]
        if not values:
            found = [self.annotated(module, annotation, name) for _, annotation in places]
            values = [value for value in found if value is not None]
        if values and all(_kind(value) == _kind(values[0]) for value in values):
            if len({value.key for value in values}) > 1:
                return replace(values[0], key=f"{node.name}.{name}", call=None)
            return values[0]
        for base in node.bases if depth else ():
            above = self.of(module, base)
            if above is not None and above.role == "class" and above.defined is not None:
                member = self._member(owner, above.defined, name, depth - 1)
                if member is not None:
                    return member
        return None

    def _self(self, method: Value) -> Arguments:
        assert method.defined is not None
        node = method.defined.node
        assert isinstance(node, Function)
        first = (*node.args.posonlyargs, *node.args.args)[:1]
        return {(node, first[0].arg): method.owner} if first and method.owner is not None else {}

    def _stored(self, name: str) -> Value | None:
        """What the program keeps under such an attribute or key, if it is one kind of thing."""
        places = self.program.stored.get(name, ())
        if not places:
            return None
        return self._once(("", name), lambda: self._kept(name, places), is_general=True)

    def _kept(self, name: str, places: Sequence[tuple[Module, ast.expr]]) -> Value | None:
        values = [self.of(other, value) for other, value in places if not is_none(value)]
        # A client of another service goes by names that are too common: `.c`, `.model`.
        known = [value for value in values if value is not None and value.role != "remote"]
        if not known or any(_kind(value) != _kind(known[0]) for value in known):
            return None
        return known[0] if len({v.key for v in known}) == 1 else replace(known[0], key=f".{name}")

    # -- calls ---------------------------------------------------------------------------------

    def _call(self, module: Module, call: ast.Call, given: Arguments) -> Value | None:
        package, name = module.meaning(call.func)
        library = BY_PACKAGE.get(package)
        if library is not None:
            if name in library.makers:
                return Value("pool", library, _place(module, call), call=call)
            if name in library.session_makers:
                return self._on_pool("sessions", module, call, library, given)
            if name in library.sessions:
                return self._on_pool("session", module, call, library, given)
        if package in REMOTE:
            return Value("remote", key=package)
        if name_of(call.func) in HANDS_ON and call.args:
            return self.of(module, call.args[0], given)
        if name_of(call.func) == "cast" and len(call.args) == 2:
            return self.of(module, call.args[1], given) or self.annotated(
                module, call.args[0], ast.unparse(call.func)
            )
        if module.qualified(call.func) == "functools.partial" and call.args:
            found = self.of(module, call.args[0], given)
            is_maker = found is not None and found.role in ("maker", "sessions")
            return found if is_maker else None
        if name_of(call.func) in _DECLARES:
            factory = keyword(call, "default_factory") or keyword(call, "default")
            found = self.of(module, factory, given)
            if found is None or found.role != "maker":
                return found
            return Value("pool", found.library, _place(module, call), call=call)
        if name_of(call.func) in DEPENDS:
            return self.depended(module, call)
        asked = self._asked(module, call, given)
        if asked is not None:
            return asked
        found = self.of(module, call.func, given)
        if found is not None and found.role == "maker":
            return Value("pool", found.library, _place(module, call), call=call)
        if found is None or found.defined is None:
            return None if found is None or found.role != "sessions" else self._session(found)
        if found.role == "class":
            return self._made(module, call, found)
        if found.role != "function":
            return None
        node = found.defined.node
        assert isinstance(node, Function)
        return self._returned(found.defined, self._passed(module, call, node, found.owner, given))

    def _asked(self, module: Module, call: ast.Call, given: Arguments) -> Value | None:
        """A session or connection that a method of a pool or of a factory hands out."""
        if not isinstance(call.func, ast.Attribute):
            return None
        owner = self.of(module, call.func.value, given)
        if owner is None or owner.library is None:
            return None
        if owner.role == "pool" and call.func.attr in owner.library.acquires:
            return self._session(owner)
        if owner.role == "sessions" and call.func.attr == "begin":
            return self._session(owner)
        return None

    def _session(self, owner: Value) -> Value:
        return replace(owner, role="session", call=None)

    def _on_pool(
        self, role: Role, module: Module, call: ast.Call, library: Library, given: Arguments
    ) -> Value:
        """A session, or what makes some, on the engine that it is given."""
        engine = keyword(call, "bind") or (call.args[0] if call.args else None)
        found = self.of(module, engine, given)
        # scoped_session(sessionmaker(engine)); without an engine: of a pool that does not show.
        key = found.key if found is not None else _place(module, call)
        return Value(role, library, key)

    def _made(self, module: Module, call: ast.Call, found: Value) -> Value:
        """An object of a class of the program; of a subclass of a client, a client."""
        library = self.library_of(found)
        if library is not None:
            return Value("pool", library, _place(module, call), call=call, defined=found.defined)
        return replace(found, role="instance")

    def family(self, module: Module, node: ast.ClassDef) -> set[Module] | None:
        """The modules of a class, its bases and its subclasses; None: some base does not show."""
        found = {module}
        waiting = [Defined(module, node)]
        seen: set[ast.AST] = set()
        while waiting:
            one = waiting.pop()
            assert isinstance(one.node, ast.ClassDef)
            if one.node in seen:
                continue
            seen.add(one.node)
            found.add(one.module)
            for base in one.node.bases:
                written = base.value if isinstance(base, ast.Subscript) else base
                above = self.of(one.module, written)
                if above is not None and above.role == "class" and above.defined is not None:
                    waiting.append(above.defined)
                elif name_of(written) not in _BARE:
                    return None
            if one.node is node:
                waiting += self.program.subclasses.get(node.name, ())
        return found

    def library_of(self, found: Value, depth: int = 4) -> Library | None:
        """The library whose pool a class of the program extends."""
        assert found.defined is not None
        node, module = found.defined.node, found.defined.module
        for base in node.bases if isinstance(node, ast.ClassDef) and depth else ():
            package, name = module.meaning(base)
            library = BY_PACKAGE.get(package)
            if library is not None and name in library.makers:
                return library
            above = self.of(module, base)
            if above is not None and above.role == "class" and above is not found:
                return self.library_of(above, depth - 1)
        return None

    def _passed(
        self,
        module: Module,
        call: ast.Call,
        function: Function,
        owner: Value | None,
        given: Arguments,
    ) -> Arguments:
        """What a call passes to a function, as far as it is known."""
        passed: dict[tuple[ast.AST, str], Value] = {}
        if owner is not None:
            first = (*function.args.posonlyargs, *function.args.args)[:1]
            passed |= {(function, one.arg): owner for one in first}
        for name, argument in pairs(call, function, is_bound=owner is not None):
            value = self.of(module, argument, given)
            if value is not None:
                passed[function, name] = value
        return passed

    def _returned(self, defined: Defined | None, given: Arguments) -> Value | None:
        """What a function returns, or yields once: to a `with`, or to who depends on it."""
        assert defined is not None
        node = defined.node
        assert isinstance(node, Function)
        if node not in self._results:
            self._results[node] = [*_results(node)]
        for value in self._results[node]:
            found = self.of(defined.module, value, given)
            if found is not None:
                return found
        return self.annotated(defined.module, node.returns, node.name)

    def annotated(self, module: Module, node: ast.expr | None, name: str) -> Value | None:
        """What something of that name is by its annotation."""
        return self._annotations.annotated(module, node, name)


def _of_maker(module: Module, node: ast.expr) -> Library | None:
    """The library whose maker of pools goes by a name: `make = httpx.AsyncClient`."""
    package, name = module.meaning(node)
    library = BY_PACKAGE.get(package)
    return library if library is not None and name in library.makers else None


def _is_none(binding: Binding) -> bool:
    return binding.how == "value" and (binding.value is None or is_none(binding.value))


def _kind(value: Value) -> tuple[Role, Library | None, ast.AST | None]:
    return value.role, value.library, None if value.defined is None else value.defined.node


def _place(module: Module, call: ast.Call) -> str:
    return f"{module.path}:{call.lineno}:{call.col_offset}"


def _results(node: Function) -> Iterator[ast.expr]:
    """What a function yields, and then what it returns."""
    inside = [*own(node)]
    for kind in (ast.Yield, ast.Return):
        for one in inside:
            if isinstance(one, kind) and one.value is not None and not is_none(one.value):
                yield one.value
