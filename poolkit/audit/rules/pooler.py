"""Settings that do not work behind a pooler which hands out a connection for each transaction."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from poolkit.audit.address import address_of
from poolkit.audit.finding import Violation, rule
from poolkit.audit.made import Made
from poolkit.audit.syntax import constant, is_none
from poolkit.audit.view import View

# PgBouncer's port and name, and what those who offer it call theirs.
_POOLER = re.compile(r":6432\b|pgbouncer|pgcat|supavisor|[.-]pooler\.", re.IGNORECASE)
# Start-up parameters that PgBouncer passes on; it refuses all others.
_PASSED = frozenset(
    {"application_name", "client_encoding", "datestyle", "timezone", "standard_conforming_strings"}
)


@rule(
    "behind-pooler",
    why=(
        "In transaction mode each statement may run on another server connection: one that was "
        "prepared under a name is not there, and start-up parameters are refused."
    ),
    cure=(
        "pool = await asyncpg.create_pool(dsn, statement_cache_size=0, max_size=14)\n"
        "pool = AsyncConnectionPool(dsn, kwargs={'prepare_threshold': None}, open=False)\n"
    ),
    notebook="05_database_budget.ipynb",
)
def behind_pooler(view: View) -> Iterator[Violation]:
    """Named statements or start-up parameters are used behind a pooler such as PgBouncer."""
    for made in view.made:
        if made.library.is_http or made.hides_arguments:
            continue
        if not _POOLER.search(_address(view, made)):
            continue
        if wrong := "; ".join(_wrong(view, made)):
            yield Violation(made.call, wrong)


def _address(view: View, made: Made) -> str:
    return address_of(view, made).key


def _wrong(view: View, made: Made) -> Iterator[str]:
    packages = made.library.packages
    options = {**_literal(made.keyword("connect_args")), **_literal(made.keyword("kwargs"))}
    for name in ("statement_cache_size", "server_settings"):
        if (value := made.keyword(name)) is not None:
            options[name] = value
    is_sqlalchemy = bool(made.library.recycle)
    address = _address(view, made)
    is_asyncpg = "asyncpg" in packages or (is_sqlalchemy and "+asyncpg" in address)
    is_psycopg = "psycopg_pool" in packages or (is_sqlalchemy and "+psycopg" in address)
    if is_asyncpg:
        wanted = ["statement_cache_size"]
        # The dialect keeps prepared statements of its own, by names that repeat.
        is_named = is_sqlalchemy and "prepared_statement_name_func" not in options
        if is_named and "prepared_statement_cache_size=0" not in address:
            wanted.append("prepared_statement_cache_size")
        for name in wanted:
            if constant(options.get(name)) != 0:
                yield f"{name} = 0 is not set: statements are prepared by name"
    if is_psycopg and not is_none(options.get("prepare_threshold")):
        yield "prepare_threshold = None is not set: statements are prepared by name"
    refused = [name for name in _literal(options.get("server_settings")) if name not in _PASSED]
    if refused:
        yield f"server_settings {refused[0]!r} is a start-up parameter, which it refuses"
    if isinstance(constant(options.get("options")), str):
        yield "options are start-up parameters, which it refuses"


def _literal(node: ast.expr | None) -> dict[str, ast.expr]:
    """A dict that is written out, or `dict(...)`; empty for everything else."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "dict":
        return {k.arg: k.value for k in node.keywords if k.arg is not None}
    if not isinstance(node, ast.Dict):
        return {}
    return {
        key.value: value
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }
