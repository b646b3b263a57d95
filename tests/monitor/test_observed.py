"""What `poolkit observe` reads of a real service, from a real Prometheus that scrapes it."""

from __future__ import annotations

import time

import numpy as np
import pytest

from poolkit.errors import BadInput
from poolkit.observe.preset import load
from poolkit.observe.prometheus import Reader
from poolkit.targets.metrics import MetricsFrom
from tests.monitor.prometheus import Prometheus


def reader(prometheus: Prometheus, pool: str) -> Reader:
    asked = MetricsFrom(pool, prometheus=prometheus.url, job="service")
    return Reader(asked, lambda _what, _share: None, preset=load("poolkit"))


def test_states_and_releases_of_a_real_service(prometheus: Prometheus) -> None:
    """One caller on a pool of two: never more than one in use, and as many releases as asks."""
    deadline = time.monotonic() + 60.0
    while True:
        until = time.time()
        # A range that begins before the first sample: windows without figures do not count.
        windows = reader(prometheus, "orders-db").read(until - 300.0, until).whole()
        if windows.ends.size >= 1:
            break
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert (windows.fleet, windows.least_size, windows.most_size) == (1, 2.0, 2.0)
    assert windows.most_in_use == 1
    releases, asks = windows.releases.sum(), windows.asks.sum()
    assert releases == pytest.approx(asks, rel=0.1)
    assert 5.0 < windows.rates.mean() < 50.0
    assert np.allclose(windows.waits.counts[:, -1], windows.asks, rtol=0.2, atol=5.0)
    assert windows.holds.distribution().mean == pytest.approx(
        windows.in_use.mean() / windows.rates.mean(), rel=0.3
    )


def test_a_pool_that_is_not_there(prometheus: Prometheus) -> None:
    """A real Prometheus tells which pools there are, and that nothing was scraped so long ago."""
    until = time.time()
    with pytest.raises(BadInput, match="there are: orders-api, orders-db"):
        reader(prometheus, "orders").read(until - 300.0, until)
    with pytest.raises(BadInput, match="in that time"):
        reader(prometheus, "orders-db").read(until - 90_000.0, until - 86_400.0)
