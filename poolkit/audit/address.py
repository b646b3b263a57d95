"""What the source shows of a database's address: a server's, a file's, or nothing."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Literal

from poolkit.audit.module import Made, Module
from poolkit.audit.syntax import Function, arguments_of, bound, constant, keyword, name_of

_FILES = ("sqlite", "duckdb")
_NAMES = ("dsn", "url", "conninfo")  # of the argument that holds it
_STEPS = 8  # from name to name, at most


@dataclass(frozen=True)
class Address:
    """`key` is equal where two calls name the same database; `kind` is what answers there."""

    kind: Literal["server", "file", "unknown"]
    key: str


def address_of(module: Module, made: Made) -> Address:
    """The address that a pool or an engine is made with.

    Constants of the module, the beginning of an f-string, a variable of the environment and
    `URL.create` are followed. An async engine whose address does not show is taken for a server's:
    that is what they are made for.
    """
    call = made.call
    node = call.args[0] if call.args else next(filter(None, map(made.keyword, _NAMES)), None)
    if node is None:
        place = [ast.unparse(k.value) for k in call.keywords if k.arg in ("host", "port")]
        return Address("unknown", ":".join(place))
    found = _text(module, node, made.function, _STEPS)
    if found is not None and found.startswith(_FILES):
        return Address("file", found)
    if found is None:
        name = name_of(call.func) if isinstance(call.func, ast.Attribute) else ""
        is_server = (name or module.meaning(call.func)[1]) == "create_async_engine"
    else:
        is_server = found.startswith("$") or "://" in found
    # What only begins alike may be two databases.
    key = found if found is not None and _is_whole(node) else ast.unparse(node)
    return Address("server" if is_server else "unknown", key)


def _is_whole(node: ast.expr) -> bool:
    """Whether `_text` reads all of an expression, and not only its beginning."""
    return not any(
        isinstance(part, ast.JoinedStr | ast.BinOp)
        or (isinstance(part, ast.Attribute) and part.attr == "format")
        for part in ast.walk(node)
    )


def _text(
    module: Module, node: ast.expr | None, function: Function | None, steps: int
) -> str | None:
    """The beginning of an expression's text, `$NAME` for a variable; None: it does not show."""
    if node is None or steps == 0:
        return None
    inner: ast.expr | None = None
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr():
            return _joined(module, node, function, steps)
        case ast.FormattedValue(value=inner):
            pass
        case ast.BinOp(left=inner, op=ast.Add() | ast.Mod()):
            pass
        case ast.Name(id=name):
            inner, function = _value(module, name, function)
        case ast.Subscript() if module.qualified(node.value) == "os.environ":
            return _variable(node.slice)
        case ast.Call():
            return _called(module, node, function, steps)
    return _text(module, inner, function, steps - 1)


def _joined(
    module: Module, node: ast.JoinedStr, function: Function | None, steps: int
) -> str | None:
    """As much of an f-string as can be read from its beginning."""
    beginning = ""
    for part in node.values:
        text = _text(module, part, function, steps - 1)
        if text is None or text.startswith("$"):
            break
        beginning += text
    return beginning or None


def _called(module: Module, node: ast.Call, function: Function | None, steps: int) -> str | None:
    name = module.qualified(node.func)
    first = node.args[0] if node.args else None
    if name in ("os.getenv", "os.environ.get"):
        default = node.args[1] if len(node.args) > 1 else keyword(node, "default")
        if default is None:
            return _variable(first)
        return _text(module, default, function, steps - 1)
    if name.startswith("sqlalchemy.") and name.endswith("URL.create"):
        text = _text(module, first or keyword(node, "drivername"), function, steps - 1)
        return None if text is None else f"{text}://{ast.unparse(node)}"
    if name.startswith("sqlalchemy.") and name.endswith("make_url"):
        return _text(module, first, function, steps - 1)
    if isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _text(module, node.func.value, function, steps - 1)
    return None


def _variable(node: ast.expr | None) -> str | None:
    name = constant(node)
    return f"${name}" if isinstance(name, str) else None


def _value(
    module: Module, name: str, function: Function | None
) -> tuple[ast.expr | None, Function | None]:
    """The one value that a name is bound to, in its function or at the top; None: more, or none."""
    if function is not None:
        here = bound(ast.walk(function), {name})
        if name in arguments_of(function) or len(here) > 1:
            return None, None
        if here:
            return _assigned(module, here[0]), function
    top = bound(module.nodes, {name})
    return (_assigned(module, top[0]) if len(top) == 1 else None), None


def _assigned(module: Module, target: ast.Name) -> ast.expr | None:
    """What a plain assignment binds a name to; None for a loop, a `with` and the like."""
    parent = module.parents[target]
    return parent.value if isinstance(parent, ast.Assign | ast.AnnAssign) else None
