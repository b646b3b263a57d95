"""How many connections a trial may have open when one session serves several hosts."""

from __future__ import annotations

import pytest

from poolkit.measure.generating import most_connections
from poolkit.measure.sweep import TrialPlan
from poolkit.targets import Target

URLS = ("http://127.0.0.1:1/a", "http://127.0.0.1:1/b", "http://127.0.0.1:2/")


@pytest.mark.parametrize(
    ("urls", "max_size", "most"),
    [
        (URLS[:2], 64, 8),  # one host: its limit
        (URLS, 64, 16),  # idle connections to the other host come on top of the limit
        (URLS, 12, 12),  # ... but never beyond max_size
        (URLS, 8, 8),
    ],
)
def test_idle_connections_to_other_hosts_are_no_breach(
    urls: tuple[str, ...], max_size: int, most: int
) -> None:
    """aiohttp's `limit` counts the connections in use; the cap of the target holds all the same."""
    target = Target(name="t", driver="aiohttp", urls=urls, target_rate=1.0, max_size=max_size)
    plan = TrialPlan("ramp", 8, 0.0, 1.0, "a test", callers=1)
    assert most_connections(target, plan) == most
