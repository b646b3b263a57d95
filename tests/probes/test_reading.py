"""What the ends of idle connections say: one timeout, none, or chance."""

from __future__ import annotations

import pytest

from poolkit.drivers.parameters.findings import AgeLimit, LineOutcome
from poolkit.probes.ladder import telling, witnesses
from poolkit.probes.reading import (
    BusyEnd,
    Silence,
    is_enough,
    is_one_moment,
    read_age,
    read_silences,
    without_age,
)

CAP = 75.0


def silences(*ends: tuple[float, LineOutcome]) -> list[Silence]:
    return [Silence(0.0, idle, outcome) for idle, outcome in ends]


@pytest.mark.parametrize(
    ("ends", "kind", "timeout", "earliest"),
    [
        # FINs tell it exactly, whatever the rungs are.
        ([(3.0, "alive"), (5.0, "closed"), (5.01, "closed"), (5.02, "closed")], "closed", 5.01, 5),
        # Only asking finds it: in the middle between the last that lived and the first that not.
        ([(4.0, "alive"), (5.0, "closed_on_use"), (6.0, "closed_on_use")], "closed_on_use", 4.5, 4),
        ([(4.0, "alive"), (5.0, "silent"), (6.0, "silent"), (7.0, "silent")], "silent", 4.5, 4),
        # The first rung already: somewhere from 0 on.
        ([(0.4, "closed_on_use"), (1.3, "closed_on_use")], "closed_on_use", 0.2, 0.1),
        # One lived well beyond the end of another.
        ([(1.0, "closed"), (4.0, "alive"), (2.0, "closed")], "random", None, 1.0),
        ([(1.0, "closed"), (3.0, "closed"), (2.0, "closed")], "random", None, 1.0),
        # Within the tolerance it is one timeout with a coarse clock.
        ([(20.0, "closed"), (20.9, "closed")], "closed", 20.45, 20.0),
        ([(75.0, "alive"), (3.0, "alive")], "longer", None, None),
        ([], "longer", None, None),
        # Gone at once, without a word: nothing is kept, and there is no timeout to stay below.
        ([(5e-5, "closed"), (6e-5, "closed"), (7e-5, "closed")], "not_kept", 0.0, None),
    ],
)
def test_the_ends_say_which_kind_it_is(
    ends: list[tuple[float, LineOutcome]],
    kind: str,
    timeout: float | None,
    earliest: float | None,
) -> None:
    """The kind, the estimate and the earliest close that must be expected."""
    limit = read_silences(silences(*ends), cap=CAP)
    assert limit.kind == kind
    assert limit.timeout == (None if timeout is None else pytest.approx(timeout))
    assert limit.earliest == (None if earliest is None else pytest.approx(earliest))
    assert limit.seen


@pytest.mark.parametrize(
    ("ends", "now", "enough"),
    [
        ([], 70.0, False),
        ([(5.0, "closed")] * 3, 5.1, False),  # a late witness has not had its turn
        ([(5.0, "closed")] * 3, 8.0, True),
        ([(5.0, "closed")], 8.0, False),  # one alone may be chance
        ([(5.0, "closed"), (2.0, "closed"), (3.0, "closed")], 8.0, False),
        ([(2.0, "closed"), (5.0, "closed")], 1.3 * 2.0 + 6.1, True),  # time is up
    ],
)
def test_the_search_ends_when_the_ends_agree(
    ends: list[tuple[float, LineOutcome]], now: float, enough: bool
) -> None:
    """Three that agree and the witnesses, or the time that is allowed."""
    assert is_enough(silences(*ends), now) is enough


@pytest.mark.parametrize("moment", [4.0, 20.0, 38.0, 50.0, 74.0])
def test_a_restart_is_not_a_timeout(moment: float) -> None:
    """Connections of different ages that end at one moment were ended by something else."""
    starts = (0.0, *witnesses(CAP, 39))
    together = [Silence(start, moment - start, "closed") for start in starts if start < moment]
    apart = [Silence(start, moment, "closed") for start in starts]
    assert is_one_moment(together)
    assert not is_one_moment(apart)


@pytest.mark.parametrize(("age", "kind"), [(5.2, "longer"), (None, "closed"), (20.0, "closed")])
def test_an_age_limit_is_not_an_idle_timeout(age: float | None, kind: str) -> None:
    """Where a connection in use ends at the same age, silence had no part in it."""
    limit = read_silences(silences(*[(5.0, "closed")] * 3), cap=CAP)
    found = AgeLimit(seconds=age, longer_than=0.0, seen="")
    assert without_age(limit, found).kind == kind


@pytest.mark.parametrize(
    ("end", "ends", "uses", "age"),
    [
        (BusyEnd(2.0, 5), [(2.0, "closed")], None, 2.0),
        (BusyEnd(2.0, 5), [(2.0, "closed")], 5, None),  # as many as it carries
        (BusyEnd(2.0, 5), [(2.0, "closed")], 6, 2.0),
        (BusyEnd(2.0, 5), [(9.0, "alive")], None, None),  # an idle one grew older
        (BusyEnd(2.0, 5), [(9.0, "closed")], None, None),
        (BusyEnd(2.0, 5), [(9.0, "closed_on_use")], None, 2.0),  # dead since nobody knows when
        (BusyEnd(2.0, 5), [], None, 2.0),
        (None, [(9.0, "alive")], None, None),
    ],
)
def test_a_number_of_requests_is_not_an_age(
    end: BusyEnd | None, ends: list[tuple[float, LineOutcome]], uses: int | None, age: float | None
) -> None:
    """Known from counting, or since idle connections, of one request each, grow older."""
    found = read_age(end, 1.6, silences(*ends), uses)
    assert found.seconds == age
    assert found.longer_than >= 1.6
    assert ("after 5 requests" in found.seen) is (end is not None)


def test_the_witness_that_is_waited_for_tells_the_two_apart() -> None:
    """Its start is further away than ends of one timeout may be, up to the longest cap."""
    for seconds in (1.0, 5.0, 33.0, 75.0, 1000.0, 3600.0):
        assert telling(seconds) > max(0.5, 0.05 * seconds)
        assert telling(seconds) < 0.3 * seconds + 5.0
