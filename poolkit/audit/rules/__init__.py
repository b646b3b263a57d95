"""One rule a file; RULES is their order in every output."""

from __future__ import annotations

from poolkit.audit.finding import Rule
from poolkit.audit.rules import (
    acquire_timeout,
    budget,
    httpx_keepalive,
    keepalive,
    never_closed,
    pool_per_call,
    second_acquire,
    session_per_call,
    ssl_off,
    stale,
)

RULES: tuple[Rule, ...] = (
    pool_per_call.RULE,
    session_per_call.RULE,
    never_closed.RULE,
    second_acquire.RULE,
    acquire_timeout.RULE,
    stale.RULE,
    keepalive.RULE,
    httpx_keepalive.RULE,
    budget.RULE,
    ssl_off.RULE,
)
