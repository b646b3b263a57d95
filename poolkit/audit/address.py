"""What the source shows of a database's address: a server's, a file's, or nothing."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Literal

from poolkit.audit.module import Function, Made, Module, constant, keyword

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
    `URL.create` are followed. An async engine whose address is not seen is taken for a server's:
    that is what they are made for.
    """
    call = made.call
    node = call.args[0] if call.args else next(filter(None, map(made.keyword, _NAMES)), None)
    if node is None:
        place = [ast.unparse(k.value) for k in call.keywords if k.arg in ("host", "port")]
        return Address("unknown", ":".join(place))
    found = _text(module, node, made.function, _STEPS)
    if found is None:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        name = name or (module.qualified(call.func) or "").rpartition(".")[2]
        is_server = name == "create_async_engine"
        return Address("server" if is_server else "unknown", ast.unparse(node))
    if found.startswith(_FILES):
        return Address("file", found)
    is_server = found.startswith("$") or "://" in found
    # What only begins alike may be two databases.
    key = found if _is_whole(node) else ast.unparse(node)
    return Address("server" if is_server else "unknown", key)


def _is_whole(node: ast.expr) -> bool:
    """Whether `_text` reads all of an expression, and not only its beginning."""
    return not any(
        isinstance(part, ast.JoinedStr | ast.BinOp)
        or (isinstance(part, ast.Attribute) and part.attr == "format")
        for part in ast.walk(node)
    )


def _text(module: Module, node: ast.expr, function: Function | None, steps: int) -> str | None:
    """The beginning of an expression's text, `$NAME` for a variable; None: not seen."""
    if steps == 0:
        return None
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return _joined(module, node, function, steps)
    if isinstance(node, ast.FormattedValue):
        return _text(module, node.value, function, steps - 1)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        return _text(module, node.left, function, steps - 1)
    if isinstance(node, ast.Name):
        value, scope = _value(module, node.id, function)
        return None if value is None else _text(module, value, scope, steps - 1)
    if isinstance(node, ast.Subscript) and module.qualified(node.value) == "os.environ":
        return _variable(node.slice)
    if isinstance(node, ast.Call):
        return _called(module, node, function, steps)
    return None


def _joined(
    module: Module, node: ast.JoinedStr, function: Function | None, steps: int
) -> str | None:
    """As much of an f-string as can be read from its beginning."""
    said = ""
    for part in node.values:
        text = _text(module, part, function, steps - 1)
        if text is None or text.startswith("$"):
            break
        said += text
    return said or None


def _called(module: Module, node: ast.Call, function: Function | None, steps: int) -> str | None:
    name = module.qualified(node.func) or ""
    if name in ("os.getenv", "os.environ.get"):
        default = node.args[1] if len(node.args) > 1 else keyword(node, "default")
        if default is None:
            return _variable(node.args[0]) if node.args else None
        return _text(module, default, function, steps - 1)
    if name.startswith("sqlalchemy.") and name.endswith("URL.create"):
        driver = node.args[0] if node.args else keyword(node, "drivername")
        text = None if driver is None else _text(module, driver, function, steps - 1)
        return None if text is None else f"{text}://{ast.unparse(node)}"
    if name.startswith("sqlalchemy.") and name.endswith("make_url") and node.args:
        return _text(module, node.args[0], function, steps - 1)
    if isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _text(module, node.func.value, function, steps - 1)
    return None


def _variable(node: ast.expr) -> str | None:
    name = constant(node)
    return f"${name}" if isinstance(name, str) else None


def _value(
    module: Module, name: str, function: Function | None
) -> tuple[ast.expr | None, Function | None]:
    """The one value that a name is bound to, in its function or at the top; None: more, or none."""
    if function is not None:
        given = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
        bound = _bound(list(ast.walk(function)), name)
        if name in given or len(bound) > 1:
            return None, None
        if bound:
            return bound[0], function
    top = _bound(module.nodes, name)
    return (top[0], None) if len(top) == 1 else (None, None)


def _bound(nodes: list[ast.AST], name: str) -> list[ast.expr | None]:
    """What a name is bound to in these nodes; None for each binding that is no plain assignment."""
    plain: dict[ast.AST, ast.expr | None] = {}
    for node in nodes:
        if isinstance(node, ast.Assign):
            plain |= {t: node.value for t in node.targets if isinstance(t, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            plain[node.target] = node.value
    return [
        plain.get(node)
        for node in nodes
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
    ]
