"""What the source shows of a database's address: a server's, a file's, or nothing."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Literal

from poolkit.audit.made import Made
from poolkit.audit.module import Module
from poolkit.audit.syntax import constant, keyword
from poolkit.audit.view import View

_FILES = ("sqlite", "duckdb")
_NAMES = ("dsn", "url", "conninfo")  # of the argument that holds it
_STEPS = 8  # from name to name, at most


@dataclass(frozen=True)
class Address:
    """`key` is equal where two calls name the same database; `kind` is what answers there."""

    kind: Literal["server", "file", "unknown"]
    key: str


def address_of(view: View, made: Made) -> Address:
    """The address that a pool or an engine is made with.

    Constants of the module, attributes of its classes, the beginning of an f-string, a variable of
    the environment and `URL.create` are followed. An engine whose address does not show is taken
    for a server's, unless it is made in a branch about files: that is what engines are made for.
    """
    call = made.call
    node = call.args[0] if call.args else next(filter(None, map(made.keyword, _NAMES)), None)
    if node is None:
        place = [ast.unparse(k.value) for k in call.keywords if k.arg in ("host", "port")]
        return Address("unknown", ":".join(place))
    found = _text(view, node, _STEPS)
    if found is not None and found.startswith(_FILES):
        return Address("file", found)
    if found is None and _is_in_branch_of_files(view.module, call):
        return Address("file", ast.unparse(node))
    if found is None:
        texts = _texts(view, node, _STEPS)
        files = [text is not None and text.startswith(_FILES) for text in texts]
        if any(files):
            return Address("file" if all(files) else "unknown", ast.unparse(node))
    is_server = made.library.recycle if found is None else found.startswith("$") or "://" in found
    # What only begins alike may be two databases.
    key = found if found is not None and _is_whole(node) else ast.unparse(node)
    return Address("server" if is_server else "unknown", key)


def _texts(view: View, node: ast.expr | None, steps: int) -> list[str | None]:
    """The text of each branch of an expression, and of each value that a name is bound to."""
    parts: list[ast.expr | None] = []
    match node:
        case ast.IfExp(body=body, orelse=orelse):
            parts = [body, orelse]
        case ast.BoolOp(values=values):
            parts = [*values]
        case ast.Name():
            parts = [one.value for one in view.module.bound_before(node)]
    if not parts or steps == 0:
        return [_text(view, node, steps)]
    return [text for part in parts for text in _texts(view, part, steps - 1)]


def _is_in_branch_of_files(module: Module, call: ast.Call) -> bool:
    """Whether it is made where something was found to be SQLite's, or in a class for it."""
    inner: ast.AST = call
    owner = module.class_of(call)
    if owner is not None and any(word in owner.name.lower() for word in _FILES):
        return True
    for outer in module.around(call):
        test = getattr(outer, "test", None) if isinstance(outer, ast.If | ast.IfExp) else None
        body = getattr(outer, "body", None)
        is_body = inner is body or (isinstance(body, list) and inner in body)
        if test is None or not is_body or isinstance(test, ast.UnaryOp):
            shown = ""
        else:
            shown = ast.unparse(test).lower()
        if any(word in shown for word in _FILES):
            return True
        inner = outer
    return False


def _is_whole(node: ast.expr) -> bool:
    """Whether `_text` reads all of an expression, and not only its beginning."""
    return not any(
        isinstance(part, ast.JoinedStr | ast.BinOp)
        or (isinstance(part, ast.Attribute) and part.attr == "format")
        for part in ast.walk(node)
    )


def _text(view: View, node: ast.expr | None, steps: int) -> str | None:
    """The beginning of an expression's text, `$NAME` for a variable; None: it does not show."""
    if node is None or steps == 0:
        return None
    inner: ast.expr | None = None
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr():
            return _joined(view, node, steps)
        case ast.FormattedValue(value=inner):
            pass
        case ast.BinOp(left=inner, op=ast.Add() | ast.Mod()):
            pass
        case ast.Name():
            inner = _value(view, node)
        case ast.Attribute():
            inner = _attribute(view, node)
        case ast.Subscript() if view.module.qualified(node.value) == "os.environ":
            return _variable(node.slice)
        case ast.Call():
            return _called(view, node, steps)
    return _text(view, inner, steps - 1)


def _joined(view: View, node: ast.JoinedStr, steps: int) -> str | None:
    """As much of an f-string as can be read from its beginning."""
    beginning = ""
    for part in node.values:
        text = _text(view, part, steps - 1)
        if text is None or text.startswith("$"):
            break
        beginning += text
    return beginning or None


def _called(view: View, node: ast.Call, steps: int) -> str | None:
    name = view.module.qualified(node.func)
    first = node.args[0] if node.args else None
    if name in ("os.getenv", "os.environ.get"):
        default = node.args[1] if len(node.args) > 1 else keyword(node, "default")
        if default is None:
            return _variable(first)
        return _text(view, default, steps - 1)
    if name.startswith("sqlalchemy.") and name.endswith("URL.create"):
        text = _text(view, first or keyword(node, "drivername"), steps - 1)
        return None if text is None else f"{text}://{ast.unparse(node)}"
    if name.startswith("sqlalchemy.") and name.endswith("make_url"):
        return _text(view, first, steps - 1)
    if isinstance(node.func, ast.Name) and node.func.id == "str":
        return _text(view, first, steps - 1)
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("format", "replace"):
        return _text(view, node.func.value, steps - 1)
    # `url = with_driver(url)` is of the same database.
    target = getattr(view.module.parents.get(node), "targets", [None])[0]
    if isinstance(first, ast.Name) and first.id == getattr(target, "id", ""):
        return _text(view, first, steps - 1)
    return None


def _variable(node: ast.expr | None) -> str | None:
    name = constant(node)
    return f"${name}" if isinstance(name, str) else None


def _value(view: View, name: ast.Name) -> ast.expr | None:
    """The one value that a name is bound to, in its function or around; None: more, or none."""
    bindings = view.module.bound_before(name)
    return bindings[0].value if len(bindings) == 1 and bindings[0].how == "value" else None


def _attribute(view: View, node: ast.Attribute) -> ast.expr | None:
    """The one value that a class of this module gives an attribute: a setting's default."""
    owner = view.values.of(view.module, node.value)
    if owner is None or owner.defined is None or owner.defined.module is not view.module:
        return None
    if not isinstance(owner.defined.node, ast.ClassDef):
        return None
    set_to = view.module.attributes(owner.defined.node).get(node.attr, [])
    return set_to[0][0] if len(set_to) == 1 else None
