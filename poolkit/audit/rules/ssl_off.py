"""Certificates that are not checked."""

from __future__ import annotations

from collections.abc import Iterator

from poolkit.audit.finding import Violation, rule
from poolkit.audit.libraries import BY_PACKAGE, REQUESTS
from poolkit.audit.syntax import constant, keyword, name_of
from poolkit.audit.view import View


@rule(
    "ssl-off",
    why="Whoever stands between the service and the upstream can read and change every call.",
    cure=(
        'context = ssl.create_default_context(cafile="internal-ca.pem")\n'
        "connector = aiohttp.TCPConnector(ssl=context)\n"
    ),
    notebook="06_diagnose.ipynb",
)
def ssl_off(view: View) -> Iterator[Violation]:
    """Certificates are not checked."""
    for call in view.module.calls:
        package, name = view.module.meaning(call.func)
        keys: tuple[str, ...] = ()
        if (library := BY_PACKAGE.get(package)) is not None:
            keys = library.unverified.get(name, library.unverified.get("*", ()))
        elif name_of(call.func) in REQUESTS and (pool := view.pool_asked(call)) is not None:
            keys = pool.unverified_requests
        for key in keys:
            if constant(keyword(call, key)) is False:
                yield Violation(call, f"{key}=False takes any certificate")
