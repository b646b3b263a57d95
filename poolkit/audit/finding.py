"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
    `server_keepalive`, `db_idle`: seconds for which the HTTP server and the database keep an idle
    connection (`poolkit probe`).
    """

    max_connections: int | None = None
    processes: int = 1
    server_keepalive: float | None = None
    db_idle: float | None = None


@dataclass(frozen=True)
class Seen:
    """One place in a module, and what is there."""

    node: ast.expr | ast.stmt
    message: str


@dataclass(frozen=True)
class Claim:
    """Something in one module that only counts together with others of the same program.

    `shared` is equal where two are about the same thing, `instead` where only one of two comes to
    be, as in the branches of an `if`; `amount` is what each adds.
    """

    node: ast.expr | ast.stmt
    shared: str
    instead: str
    amount: float


@dataclass(frozen=True)
class Rule:
    """One anti-pattern: `what` is wrong, `why` it hurts, the `cure`, where to learn more.

    `find` looks at one module. A rule about a whole program has `claims` and `judge` instead: what
    each module adds, and a message (None: nothing is wrong) for each claim of all of them.
    """

    name: str
    what: str
    why: str
    cure: str
    notebook: str
    find: Callable[[Module, Settings], Iterable[Seen]] | None = None
    claims: Callable[[Module, Settings], Iterable[Claim]] | None = None
    judge: Callable[[Sequence[Claim], Settings], Sequence[str | None]] | None = None


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
