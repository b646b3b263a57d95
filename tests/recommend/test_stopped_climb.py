"""The endpoint died during the climb: what had been measured by then is not denied."""

from poolkit.analysis.sizing import size
from poolkit.drivers.parameters.basis import Basis, hold_p99
from poolkit.records import Sweep
from poolkit.targets import Target
from tests.measure.test_approach import ASKED, QUICK, climbed


def test_a_climb_without_a_verification_has_a_hold_time() -> None:
    """20 ms on average were seen: the timeouts follow from that, not from nothing known."""
    sizing = size(Sweep(target="drawn", trials=tuple(climbed(QUICK))), ASKED)
    assert sizing.size is not None
    assert not sizing.points
    target = Target(name="drawn", driver="aiohttp", url="http://127.0.0.1:1/", target_rate=400)
    p99, where = hold_p99(Basis(target, sizing, sizing.size, None))
    assert p99 is not None
    assert 0.04 < p99 < 0.2
    assert "the mean predicted" in where
