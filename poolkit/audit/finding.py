"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ast

    from poolkit.audit.module import Module


@dataclass(frozen=True)
class Settings:
    """What the source cannot tell, for the rules that need it; a rule without its figure is silent.

    `max_connections`: connections of the database that this service may open, 1 or more.
    `processes`: replicas times workers, each with pools of its own, 1 or more.
    `server_keepalive`: seconds for which the server keeps an idle connection (`poolkit probe`).
    """

    max_connections: int | None = None
    processes: int = 1
    server_keepalive: float | None = None


@dataclass(frozen=True)
class Seen:
    """One place in a module, and what is there."""

    node: ast.expr | ast.stmt
    message: str


@dataclass(frozen=True)
class Rule:
    """One anti-pattern: `what` is wrong, `why` it hurts, the `cure`, where to learn more."""

    name: str
    what: str
    why: str
    cure: str
    notebook: str
    find: Callable[[Module, Settings], Iterable[Seen]]


@dataclass(frozen=True)
class Finding:
    """An anti-pattern at a place: `line` and `column` (UTF-16 units) from 1, as editors count."""

    rule: str
    path: str
    line: int
    column: int
    message: str
    code: str


@dataclass(frozen=True)
class Skipped:
    """A file that could not be read as Python, and why."""

    path: str
    reason: str
