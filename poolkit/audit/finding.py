"""What a rule is, and what it finds."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from poolkit.audit.view import Settings, View


@dataclass(frozen=True)
class Claim:
    """What only counts together with others of the same program.

    `shared` is equal where two are about the same thing, `instead` where only one of two comes to
    be, as in the branches of an `if`; `amount` is what each adds.
    """

    shared: str
    instead: str
    amount: float


@dataclass(frozen=True)
class Unread:
    """What a rule had to know and the source does not show, such as a size from a database: no
    finding, but no reader may take silence for a sum."""

    what: str


@dataclass(frozen=True)
class Violation:
    """A place in a module, and what is wrong there: the message, a claim that a rule judges, or
    that it could not be read."""

    node: ast.expr | ast.stmt
    message: str | Claim | Unread


Find = Callable[[View], Iterable[Violation]]
Judge = Callable[[Sequence[Claim], Settings], Sequence[str | None]]


@dataclass(frozen=True)
class Rule:
    """One anti-pattern: `what` is wrong, `why` it hurts, the `cure`, where to learn more.

    Other libraries than the one that `cure` is written for have theirs in `cures.CURES`.

    `find` reads one module. A rule about a whole program finds claims, and `judge` gives each claim
    of all modules its message (None: nothing is wrong).
    """

    name: str
    what: str
    why: str
    cure: str
    notebook: str
    find: Find
    judge: Judge | None = None


def rule(
    name: str, *, why: str, cure: str, notebook: str, judge: Judge | None = None
) -> Callable[[Find], Rule]:
    """Makes a rule of the function that finds its violations; the docstring is what is wrong."""

    def make(find: Find) -> Rule:
        return Rule(name, " ".join((find.__doc__ or "").split()), why, cure, notebook, find, judge)

    return make


@dataclass(frozen=True)
class Finding:
    """An anti-pattern at a place: `line` and `column` (UTF-16 units) from 1, as editors count.

    `library` is the package that it is about, empty where that does not show.
    """

    rule: str
    path: str
    line: int
    column: int
    message: str
    code: str
    library: str = ""


@dataclass(frozen=True)
class Skipped:
    """A file that could not be read as Python, and why; `needs`: the Python that can, as "3.12"."""

    path: str
    reason: str
    needs: str = ""
