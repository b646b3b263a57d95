"""Who calls a function: a web framework for each request, a program once, or it does not show."""

from __future__ import annotations

import ast

from poolkit.audit.module import Module
from poolkit.audit.syntax import Function, constant, keyword, name_of

_ROUTES = frozenset(
    {"get", "post", "put", "patch", "delete", "head", "options", "route", "api_route", "websocket"}
)
_WEB = frozenset({"aiohttp", "django", "fastapi", "sanic", "starlette", "litestar", "quart"})
_REQUESTS = frozenset({"Request", "HttpRequest", "HTTPConnection", "WebSocket"})
# Names of functions that run once in the life of a program.
# fmt: off
_ONCE = {
    "main", "amain", "cli", "run", "lifespan", "startup", "on_startup", "setup", "configure",
    "init", "initialize", "bootstrap", "create_app", "make_app", "get_app", "build_app", "connect",
    "open", "start", "__init__", "__aenter__", "__enter__", "on_shutdown", "shutdown", "migrate",
    "upgrade", "downgrade",
}
_ONCE_PREFIXES = ("test_", "setup_", "init_", "start_", "startup_", "run_", "main_")
_ONCE_DECORATORS = {
    "fixture", "lru_cache", "cache", "cached", "cached_property", "command", "on_event",
}
_NOT_SERVICE = {
    "tests", "test", "testing", "examples", "example", "scripts", "docs", "benchmarks",
}
# fmt: on


def is_handler(module: Module, function: Function) -> bool:
    """Whether a web framework calls this function for each request.

    A decorator that names a route (`@app.get("/orders")`), an argument that is annotated as a
    request, or `Depends(function)` in the same module.
    """
    for decorator in function.decorator_list:
        if (
            isinstance(decorator, ast.Call)
            and isinstance(decorator.func, ast.Attribute)
            and decorator.func.attr in _ROUTES
            and any(map(_is_path, (*decorator.args[:1], keyword(decorator, "path"))))
        ):
            return True
    arguments = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    for argument in arguments:
        if argument.annotation is not None:
            package, name = module.meaning(argument.annotation)
            if package in _WEB and name in _REQUESTS:
                return not runs_once(module, function)
    return function.name in _dependencies(module) and not _is_decorated_once(function)


def runs_once(module: Module, function: Function) -> bool:
    """Whether a program runs a function once: by its name, as a fixture, by `asyncio.run(f())`."""
    bare = function.name.lstrip("_")
    return (
        bool({bare, function.name} & _ONCE)
        or bare.startswith(_ONCE_PREFIXES)
        or _is_decorated_once(function)
        or function.name in _run_by_module(module)
    )


def is_of_tests(path: str) -> bool:
    """Whether a file is a test, an example or a script, which may do what a service must not."""
    *folders, file = path.replace("\\", "/").lower().split("/")
    return file.startswith(("test_", "conftest")) or bool(_NOT_SERVICE & {*folders})


def _is_path(node: ast.expr | None) -> bool:
    text = constant(node)
    return isinstance(text, str) and (text.startswith("/") or not text)


def _is_decorated_once(function: Function) -> bool:
    return any(
        name_of(decorator.func if isinstance(decorator, ast.Call) else decorator)
        in _ONCE_DECORATORS
        for decorator in function.decorator_list
    )


def _dependencies(module: Module) -> set[str]:
    """Functions that FastAPI calls for each request, because a handler depends on them."""
    return {
        call.args[0].id
        for call in module.calls
        if name_of(call.func) in ("Depends", "Security")
        and call.args
        and isinstance(call.args[0], ast.Name)
    }


def _run_by_module(module: Module) -> set[str]:
    """Functions that the module itself runs: `asyncio.run(f())`, or a call at its top level."""
    found = set()
    for call in module.calls:
        if name_of(call.func) in ("run", "run_until_complete", "run_sync", "start"):
            for argument in call.args:
                found.add(name_of(argument.func if isinstance(argument, ast.Call) else argument))
        if isinstance(call.func, ast.Name) and module.function_of(call) is None:
            found.add(call.func.id)
    return found
