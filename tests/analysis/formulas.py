"""Formulas of textbooks that the queue over a curve is held against."""

from __future__ import annotations

import numpy as np


def erlang_c(servers: int, offered_load: float) -> float:
    """P(a call waits) with Poisson arrivals and `servers` exponential servers (Erlang 1917).

    `offered_load` a = lambda * S in erlangs. By the stable recursion for Erlang B,
    B(n) = a B(n-1) / (n + a B(n-1)), and C = B / (1 - (1 - B) a / n). 1 where a >= servers.
    """
    if servers < 1:
        raise ValueError(f"servers must be 1 or more, got {servers}")
    if offered_load < 0:
        raise ValueError(f"offered_load must be 0 or more, got {offered_load}")
    if offered_load >= servers:
        return 1.0
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = offered_load * blocked / (n + offered_load * blocked)
    return blocked / (1.0 - (1.0 - blocked) * offered_load / servers)


def finite_source(servers: int, callers: int, think: float, hold: float) -> float:
    """P(a call waits) when `callers` callers think `think` s, then hold a server for `hold` s.

    The machine-repair model with exponential times (Engset 1918, with queueing): a caller that
    calls sees the system as the other callers leave it (arrival theorem, Sevcik and Mitrani 1981).
    """
    if servers < 1 or callers < 1:
        raise ValueError(f"servers and callers must be 1 or more, got {servers} and {callers}")
    if think < 0 or hold <= 0:
        raise ValueError(f"think must be 0 or more and hold above 0, got {think} and {hold}")
    if callers <= servers:
        return 0.0
    if think == 0:
        return 1.0
    others = callers - 1
    steps = np.arange(others)
    ratios = (others - steps) * (hold / think) / np.minimum(steps + 1, servers)
    logs = np.concatenate(([0.0], np.cumsum(np.log(ratios))))
    shares = np.exp(logs - logs.max())
    return float(shares[servers:].sum() / shares.sum())
