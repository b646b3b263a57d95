"""The rules, by subject; RULES is their order in every output."""

from __future__ import annotations

from poolkit.audit.finding import Rule
from poolkit.audit.rules import budget, idle, lifetime, ssl_off, waiting

RULES: tuple[Rule, ...] = (
    lifetime.pool_per_call,
    lifetime.session_per_call,
    lifetime.never_closed,
    waiting.second_acquire,
    waiting.acquire_timeout,
    idle.stale,
    idle.keepalive,
    idle.httpx_keepalive,
    budget.budget,
    ssl_off.ssl_off,
)
