"""Certificates that nobody checks."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from poolkit.audit.finding import Rule, Seen, Settings
from poolkit.audit.makers import REQUESTS
from poolkit.audit.module import Module, constant, keyword


def _find(module: Module, settings: Settings) -> Iterator[Seen]:
    for call in module.calls:
        name = module.qualified(call.func) or ""
        library, _, last = name.partition(".")[0], "", name.rpartition(".")[2]
        if library == "aiohttp" and last == "TCPConnector":
            for key in ("ssl", "verify_ssl"):
                if constant(keyword(call, key)) is False:
                    yield Seen(call, f"{key}=False takes any certificate")
        elif library in ("httpx", "httpx2") and constant(keyword(call, "verify")) is False:
            yield Seen(call, "verify=False takes any certificate")
        elif _is_request_of_a_session(module, call) and constant(keyword(call, "ssl")) is False:
            yield Seen(call, "ssl=False takes any certificate")


def _is_request_of_a_session(module: Module, call: ast.Call) -> bool:
    return (
        isinstance(call.func, ast.Attribute)
        and call.func.attr in REQUESTS
        and module.kinds.get(ast.unparse(call.func.value)) == "aiohttp"
    )


RULE = Rule(
    name="ssl-off",
    what="Certificates are not checked.",
    why="Whoever stands between the service and the upstream can read and change every call.",
    cure=(
        'context = ssl.create_default_context(cafile="internal-ca.pem")\n'
        "connector = aiohttp.TCPConnector(ssl=context)\n"
    ),
    notebook="06_diagnose.ipynb",
    find=_find,
)
