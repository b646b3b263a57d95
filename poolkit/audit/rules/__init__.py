"""The rules, by subject; RULES is their order in every output."""

from __future__ import annotations

from poolkit.audit.finding import Rule
from poolkit.audit.rules import (
    budget,
    held,
    idle,
    lifetime,
    pooler,
    release,
    ssl_off,
    start,
    waiting,
)

RULES: tuple[Rule, ...] = (
    lifetime.pool_per_call,
    lifetime.session_per_call,
    lifetime.never_closed,
    waiting.second_acquire,
    waiting.acquire_timeout,
    held.held_across_call,
    held.held_while_streaming,
    held.session_in_background,
    held.cleanup_skipped,
    release.not_released,
    release.response_unread,
    release.pool_made_twice,
    start.opens_in_constructor,
    start.pool_across_loops,
    pooler.behind_pooler,
    idle.stale,
    idle.keepalive,
    idle.httpx_keepalive,
    budget.budget,
    ssl_off.ssl_off,
)
