"""Code that makes a client of httpx2, the maintained fork of httpx, and the gate in front of it."""

from __future__ import annotations

from poolkit.records import Recommendation
from poolkit.review.codegen import http, httpx
from poolkit.targets import Target

IMPORTS = ("import httpx2",)
TYPE = "Httpx2Pool"
SUPPORT = httpx.SUPPORT.replace("httpx.", "httpx2.").replace(httpx.TYPE, TYPE)
CLIENT = httpx.client_of("httpx2", TYPE)


def render(name: str, recommendation: Recommendation, target: Target | None) -> list[str]:
    """The functions `NAME_client` and `NAME_pool`, and the URL they were measured with."""
    return http.render(CLIENT, name, recommendation, target)
