"""Who calls a function: a web framework for each request, a program once, or nobody can say."""

from __future__ import annotations

import ast

from poolkit.audit.module import Function, Module

_ROUTES = frozenset(
    {"get", "post", "put", "patch", "delete", "head", "options", "route", "api_route", "websocket"}
)
# Names of functions that run once in the life of a program.
# fmt: off
_ONCE = (
    "main", "amain", "cli", "run", "lifespan", "startup", "on_startup", "setup", "configure",
    "init", "initialize", "bootstrap", "create_app", "make_app", "get_app", "build_app", "connect",
    "open", "start", "__init__", "__aenter__", "__enter__", "on_shutdown", "shutdown", "migrate",
    "upgrade", "downgrade",
)
_ONCE_PREFIXES = ("test_", "setup_", "init_", "start_", "startup_", "run_", "main_")
_ONCE_DECORATORS = (
    "fixture", "lru_cache", "cache", "cached", "cached_property", "command", "on_event",
)
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
            and any(_is_path(value) for value in [*decorator.args[:1], *_paths(decorator)])
        ):
            return True
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    if any(_is_request(module, argument.annotation) for argument in arguments):
        return not runs_once(module, function)
    return function.name in _dependencies(module) and not _has_decorator(function, _ONCE_DECORATORS)


def runs_once(module: Module, function: Function) -> bool:
    """Whether a program runs a function once: by its name, as a fixture, by `asyncio.run(f())`."""
    return (
        function.name.lstrip("_") in _ONCE
        or function.name in _ONCE
        or function.name.lstrip("_").startswith(_ONCE_PREFIXES)
        or _has_decorator(function, _ONCE_DECORATORS)
        or function.name in _run_by_module(module)
    )


def is_of_tests(path: str) -> bool:
    """Whether a file is a test, an example or a script, which may do what a service must not."""
    parts = path.replace("\\", "/").lower().split("/")
    return parts[-1].startswith(("test_", "conftest")) or bool(_NOT_SERVICE & {*parts[:-1]})


def _is_path(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and (node.value.startswith("/") or not node.value)
    )


def _paths(decorator: ast.Call) -> list[ast.expr]:
    return [k.value for k in decorator.keywords if k.arg == "path"]


def _is_request(module: Module, annotation: ast.expr | None) -> bool:
    name = module.qualified(annotation) if annotation is not None else None
    return (
        name is not None
        and name.partition(".")[0] in _WEB
        and name.rpartition(".")[2]
        in (
            "Request",
            "HttpRequest",
            "HTTPConnection",
            "WebSocket",
        )
    )


_WEB = frozenset({"aiohttp", "django", "fastapi", "sanic", "starlette", "litestar", "quart"})


def _has_decorator(function: Function, names: tuple[str, ...]) -> bool:
    for decorator in function.decorator_list:
        node = decorator.func if isinstance(decorator, ast.Call) else decorator
        last = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
        if last in names:
            return True
    return False


def _dependencies(module: Module) -> set[str]:
    """Functions that FastAPI calls for each request, because a handler depends on them."""
    return {
        call.args[0].id
        for call in module.calls
        if getattr(call.func, "id", getattr(call.func, "attr", "")) in ("Depends", "Security")
        and call.args
        and isinstance(call.args[0], ast.Name)
    }


def _run_by_module(module: Module) -> set[str]:
    """Functions that the module itself runs: `asyncio.run(f())`, or a call at its top level."""
    found = set()
    for call in module.calls:
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        if name in ("run", "run_until_complete", "run_sync", "start"):
            for argument in call.args:
                inner = argument.func if isinstance(argument, ast.Call) else argument
                found.add(getattr(inner, "id", getattr(inner, "attr", "")))
        if module.function_of(call) is None and isinstance(call.func, ast.Name):
            found.add(call.func.id)
    return found
