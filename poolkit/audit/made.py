"""A pool, session or client that a call makes, and what becomes of it in its function."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache

from poolkit.audit.lending import Lending, Use
from poolkit.audit.libraries import CLOSES, QUEUES, Library
from poolkit.audit.module import Module
from poolkit.audit.syntax import ENTERS, Function, hides_arguments, is_none, keyword, name_of


@dataclass(frozen=True, slots=True)
class _Inside:
    """What every question about a client needs of the block that makes it: the uses of each name;
    declared global or nonlocal; closed; entered through `closing` or the like, as written."""

    named: Mapping[str, Sequence[ast.Name]]
    elsewhere: Set[str]
    closed: Set[str]
    closings: Sequence[str]


@lru_cache(maxsize=64)  # a block that makes n clients is walked once, not n times
def _inside(block: ast.AST | None) -> _Inside:
    named: defaultdict[str, list[ast.Name]] = defaultdict(list)
    elsewhere: set[str] = set()
    closed: set[str] = set()
    closings: list[str] = []
    for node in () if block is None else ast.walk(block):
        match node:
            case ast.Name(id=name):
                named[name].append(node)
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                elsewhere.update(names)
            case ast.Attribute(value=value, attr=attr) if attr in CLOSES:
                closed.add(ast.unparse(value))
            case ast.withitem(context_expr=entered):
                shown = ast.unparse(entered)
                closed.add(shown)
                if "closing" in shown:
                    closings.append(shown)
    return _Inside(named, elsewhere, closed, closings)


class Made:
    """A call that makes a pool or session, and what becomes of it.

    `function` makes it, it is bound to `targets`, and `is_with`: a `with` closes it.
    """

    def __init__(self, lending: Lending, module: Module, call: ast.Call, library: Library) -> None:
        self.call = call
        self.library = library
        self.function = module.function_of(call)
        self.is_with = False
        self.targets: list[ast.expr] = []
        self._module = module
        self._block: ast.AST | None = self.function  # where its name means it
        self._lending = lending
        node: ast.AST = call
        named: list[ast.expr] = []
        is_entered = False  # an exit stack, or `closing`, closes it
        for outer in module.around(call):
            # await make(), (await make()), make() or None: still the same object.
            if isinstance(outer, ast.Await | ast.IfExp | ast.BoolOp):
                node = outer
                continue
            if isinstance(outer, ast.NamedExpr):  # with (client := make()):
                node, named = outer, [outer.target]
                continue
            if isinstance(outer, ast.Tuple):  # a, b = 1, make()
                continue
            if isinstance(outer, ast.Call) and name_of(outer.func) in ENTERS:
                node, is_entered = outer, True
                continue
            if isinstance(outer, ast.withitem) and outer.context_expr is node:
                self.is_with = True
                self._block = module.parents[outer]
                self.targets = [outer.optional_vars] if outer.optional_vars is not None else []
            elif isinstance(outer, ast.Assign):
                self.targets = _targets(outer, node)
            elif isinstance(outer, ast.AnnAssign):
                self.targets = [outer.target]
            break
        self._node = node
        self.targets = self.targets or named
        self.is_with = self.is_with or is_entered

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
    def chained(self) -> str:
        """`connect` of `create_engine(url).connect()`: used by the expression that makes it."""
        parent = self._module.parents[self._node]
        return parent.attr if isinstance(parent, ast.Attribute) else ""

    @property
    def hides_arguments(self) -> bool:
        """Whether `*args` or `**settings` may hold arguments that do not show."""
        return hides_arguments(self.call)

    @property
    def has_other_pool(self) -> bool:
        """Whether an argument brings its pool, so that the library's defaults say nothing."""
        written = (self.keyword(name) for name in self.library.other_pool)
        return any(
            node is not None and not is_none(node) and name_of(node) not in QUEUES
            for node in written
        )

    def reads(self) -> list[ast.Name]:
        """Where its function, and what is defined inside it, reads the local variable."""
        return self._reads(self.local)

    def _reads(self, name: str | None) -> list[ast.Name]:
        # The same name in a function inside is another variable where that binds it.
        return [
            node
            for node in _inside(self._block).named.get(name or "", ())
            if isinstance(node.ctx, ast.Load) and self._module.bound(node)[0] is self.function
        ]

    def attributes(self) -> list[ast.Attribute]:
        """The attributes and methods of the local variable that are read there."""
        parents = (self._module.parents[node] for node in self.reads())
        return [parent for parent in parents if isinstance(parent, ast.Attribute)]

    def asked(self, words: Collection[str]) -> list[ast.Call]:
        """Where one of its methods of these names is called; `getattr(it, method)(...)` is one."""
        parents = self._module.parents
        found = []
        for node in self.reads():
            parent = parents[node]
            named = isinstance(parent, ast.Attribute) and parent.attr in words
            if named or _is_getattr(parent, node):
                outer = parents[parent]
                if isinstance(outer, ast.Call) and outer.func is parent:
                    found.append(outer)
        return found

    def lent(self) -> list[tuple[ast.Call, Use]]:
        """The calls that it is handed to and that only work with it."""
        found = (self._lent(node) for node in self.reads() if self._session_call(node) is None)
        return [one for one in found if one is not None]

    def _lent(self, node: ast.expr) -> tuple[ast.Call, Use] | None:
        handed = self._lending.handed_to(self._module, node)
        return None if handed is None or handed[1] is Use.KEPT else handed

    def is_lent_unnamed(self) -> bool:
        """`read_sql(query, create_engine(url))`: handed, without a name, to what works with it."""
        if isinstance(self._module.parents[self._node], ast.keyword | ast.Call):
            assert isinstance(self._node, ast.expr)
            session = self._session_call(self._node)
            if session is not None:
                return isinstance(self._module.parents[session], ast.withitem)
            return self._lent(self._node) is not None
        return False

    def gives_sessions(self) -> bool:
        """Whether sessions are made on it, each of which takes a connection."""
        return any(self._session_call(node) is not None for node in self.reads())

    def escapes(self) -> bool:
        """Whether the local is returned, stored, passed on or captured: others may own it then."""
        return self._escapes(self.local)

    def is_given(self) -> bool:
        """Whether the function gives it to whoever calls or enters it, and to nobody else."""
        gives = ast.Return | ast.Yield
        if self.local is None:
            return not self.targets and isinstance(self._module.parents[self._node], gives)
        if self.local in _inside(self._block).elsewhere:
            return False
        out = [self._module.parents[node] for node in self.reads() if self._goes_out(node)]
        return bool(out) and all(isinstance(parent, gives) for parent in out)

    def _escapes(self, name: str | None) -> bool:
        is_elsewhere = name in _inside(self._block).elsewhere
        return is_elsewhere or any(self._goes_out(node) for node in self._reads(name))

    def is_closed(self) -> bool:
        """Whether the function closes its local variable, or hands the closing on."""
        name = self.local
        if name is None:
            return False
        inside = _inside(self._block)
        return not inside.closed.isdisjoint((name, f"{name}.sync_engine")) or any(
            name in shown for shown in inside.closings
        )

    def _goes_out(self, node: ast.Name) -> bool:
        parents = self._module.parents
        parent = parents[node]
        made = self._session_call(node)
        if made is not None:
            return self._is_handed_out(made)
        # pool.acquire(), `with pool`, `if pool`: only used. All else could hand the object on.
        is_only_used = (
            (isinstance(parent, ast.Attribute) and not self._is_lent(parent))
            or (isinstance(parent, ast.withitem) and parent.context_expr is node)
            or isinstance(parent, ast.Compare | ast.Await | ast.If | ast.UnaryOp | ast.Assert)
            or _is_getattr(parent, node)
            or self._lent(node) is not None
        )
        if not is_only_used:
            return True
        inner = next(o for o in self._module.around(node) if isinstance(o, Function | ast.Lambda))
        return inner is not self.function and not self._is_only_called(inner)

    def _is_only_called(self, inner: ast.AST) -> bool:
        """Whether a function inside is called and awaited there, and never handed on."""
        if not isinstance(inner, Function):
            return False
        parents = self._module.parents
        named = _inside(self._block).named.get(inner.name, ())
        called = [parents[node] for node in named if isinstance(parents[node], ast.Call)]
        return len(called) == len(named) > 0 and all(
            isinstance(call, ast.Call)
            and name_of(call.func) == inner.name
            and isinstance(parents[call], ast.Await | ast.Return | ast.Assign)
            for call in called
        )

    def _is_lent(self, asked: ast.Attribute) -> bool:
        """Whether a connection that is asked for is returned: the pool lives on with it."""
        parents = self._module.parents
        call: ast.AST = parents[asked]
        if asked.attr not in self.library.acquires or not isinstance(call, ast.Call):
            return False
        holder = parents[call]
        if isinstance(holder, ast.Await):
            holder = parents[holder]
        if isinstance(holder, ast.Assign) and isinstance(holder.targets[0], ast.Name):
            named = self._reads(holder.targets[0].id)
            return any(isinstance(parents[node], ast.Return | ast.Yield) for node in named)
        return isinstance(holder, ast.Return)

    def _session_call(self, node: ast.expr) -> ast.Call | None:
        """`AsyncSession(engine)`, `sessionmaker(engine)`: the call that an engine is given to."""
        parent = self._module.parents[node]
        if isinstance(parent, ast.keyword):
            parent = self._module.parents[parent]
        if not isinstance(parent, ast.Call) or parent.func is node:
            return None
        package, name = self._module.meaning(parent.func)
        is_session = name in self.library.sessions | self.library.session_makers
        return parent if package in self.library.packages and is_session else None

    def _is_handed_out(self, made: ast.Call) -> bool:
        """Whether sessions on it, or what makes them, go further than this function."""
        parent = self._module.parents[made]
        if isinstance(parent, ast.Call) and parent.func is made:  # sessionmaker(engine)()
            return self._is_handed_out(parent)
        if isinstance(parent, ast.withitem | ast.Attribute):
            return False
        if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name):
            name = parent.targets[0].id
            if self._module.meaning(made.func)[1] in self.library.session_makers:
                return any(self._is_returned(node) for node in self._reads(name))
            return any(
                isinstance(self._module.parents[node], ast.Return) for node in self._reads(name)
            )
        return True

    def _is_returned(self, node: ast.Name) -> bool:
        """Whether a factory of sessions is anything but called."""
        parent = self._module.parents[node]
        if isinstance(parent, ast.Call) and parent.func is node:
            return isinstance(self._module.parents[parent], ast.Return)
        return not isinstance(parent, ast.Attribute)


def _targets(node: ast.Assign, value: ast.AST) -> list[ast.expr]:
    """What an assignment binds a value to: `a, b = 1, make()` binds it to `b`."""
    if node.value is value:
        return node.targets
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = zip(target.elts, node.value.elts, strict=False)
            return [one for one, part in pairs if part is value]
    return []


def _is_getattr(parent: ast.AST, node: ast.Name) -> bool:
    return (
        isinstance(parent, ast.Call)
        and name_of(parent.func) == "getattr"
        and bool(parent.args)
        and parent.args[0] is node
    )
