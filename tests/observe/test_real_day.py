"""The whole chain on real parts: a service lives a day, a Prometheus scrapes it, observe reads it.

How long a busy machine takes is its own, so sizes are only held to what no machine changes; the
figures are `make bench ARGS=production_day`.
"""

from __future__ import annotations

import time
from pathlib import Path

from poolkit.lab.running import Lab
from poolkit.lab.service.day import Day
from poolkit.observe.run import observe
from poolkit.targets import load_targets
from tests.monitor.living import LivingService, whole_day
from tests.monitor.prometheus import Prometheus

NAME, SIZE = "lab-http", 12
DAY = Day(15.0, peak=120.0)  # 3 of the 12 connections busy at noon
IDLE = 1.0  # s


def test_a_day_of_a_real_service_tells_its_size_or_that_it_cannot(tmp_path: Path) -> None:
    """Counts are those of the load, and the target got nothing but the load."""
    file = tmp_path / "targets.toml"
    with (
        Lab((NAME,)) as lab,
        LivingService(IDLE) as service,
        Prometheus(service.address) as prometheus,
    ):
        text = lab.targets_toml().replace("target_rate = 600.0", f"target_rate = {DAY.peak}")
        where = f'production = {{ prometheus = "{prometheus.url}", pool = "{NAME}" }}\n'
        file.write_text(text + where, encoding="utf-8")
        target = load_targets(file)[NAME]
        assert target.target_rate == DAY.peak
        prometheus.wait_scraped()
        began = time.time()
        calls = whole_day(service.live(target, SIZE, DAY, seed=3)).outcomes
        found = observe(target, time.time() - began, lambda _event: None)
        stats = lab.upstream(NAME).stats()
    assert stats["served"] == calls["ok"] == calls.total()
    assert stats["connections_opened"] <= SIZE
    told = found.recommendation.production
    assert told is not None
    assert told.window <= 2.0
    assert (told.pools, told.size_now) == (1, SIZE)
    assert told.windows * told.window >= 0.5 * DAY.seconds
    assert 0.5 * calls.total() <= told.today.calls <= 1.05 * calls.total()
    assert 0.7 * DAY.peak <= told.peak_rate <= 1.5 * DAY.peak
    assert told.most_in_use <= SIZE
    size = found.recommendation.recommended_size
    if size is None:
        assert "cannot say" in found.sizing.because
        assert found.exit_code == 4
    else:
        # No machine serves calls of 25 ms faster: 3 connections are busy on average.
        assert 3 < size <= SIZE
        assert found.exit_code in (0, 1)
