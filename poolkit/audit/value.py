"""What the rules know of an expression: its kind, its library, the pool that it belongs to."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from poolkit.audit.libraries import Library
from poolkit.audit.module import Module
from poolkit.audit.program import Defined

Role = Literal[
    "pool", "maker", "sessions", "session", "remote", "module", "class", "instance", "function"
]


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression stands for.

    Args:
        role: "pool": an engine, a pool, an HTTP client or session; "maker": what makes one when it
            is called; "sessions": what makes sessions on a pool; "session": a session or
            connection, which holds one of the pool's; "remote": a client of a model or a cloud.
            The others are of the program itself.
        key: which pool it is or belongs to; equal where two stand for the same one.
        defined: of a class, an instance or a function.
        call: that made the pool, where it shows.
        owner: of a method, the instance or class that it was asked of.
    """

    role: Role
    library: Library | None = None
    key: str = ""
    defined: Defined | None = None
    call: ast.Call | None = None
    owner: Value | None = None
    module: Module | None = None


Arguments = Mapping[tuple[ast.AST, str], Value]  # what a call passes, by function and name
NO_ARGUMENTS: Arguments = {}
