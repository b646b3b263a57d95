"""How long a connection is kept, from what a probe found: safely below its end, with the reason."""

from __future__ import annotations

import math
from dataclasses import dataclass

from poolkit.drivers.parameters.basis import row
from poolkit.drivers.parameters.findings import AgeLimit, Findings
from poolkit.drivers.table import keeps
from poolkit.records import Parameter

# A timer that is late, a reply on its way: what must fit between our close and the server's.
MARGIN = 1.0  # s
MARGIN_SHARE = 0.1
SHORTEST = 0.1  # s; a connection that is kept for less is as good as not kept


@dataclass(frozen=True, slots=True)
class Keep:
    """The driver's setting that ends an idle connection before the server does.

    Attributes:
        default: s, the value where no end was seen.
        counts_from_dial: whether it ends connections in use as well, by their age.
    """

    driver: str
    name: str
    default: float
    counts_from_dial: bool = False

    @classmethod
    def of(cls, driver: str) -> Keep:
        """The setting with its default in the table of drivers."""
        return cls(driver, *keeps(driver))

    def probed(self, found: Findings) -> Parameter | None:
        """The value that a probe's findings lead to; None: they say nothing, or none is safe."""
        if found.idle is None or found.idle.kind == "not_kept":
            return None
        if found.end is None:
            return self._usual(found.idle.longer_than, found.idle.seen)
        return self._below(found) if is_keepable(found.end) else None

    def below_age(self, age: AgeLimit) -> Parameter:
        """One that counts from the dial keeps clear of the age; the others know idle times only."""
        assert age.seconds is not None
        value = below(age.seconds)
        if self.counts_from_dial:
            because = f"{age.seen}; less than that: it counts from the dial, as the server does"
        else:
            value = min(self.default, value)
            because = (
                f"{age.seen}; at least no idle one is kept that long, but {self.driver} has no "
                "setting for the age of those in use"
            )
        return measured(self.name, value, because)

    def _below(self, found: Findings) -> Parameter:
        """Below whichever comes first: the silence or the age that ends a connection."""
        limit, age = found.idle, found.age
        assert limit is not None
        end = limit.earliest
        if age is not None and age.seconds is not None and (end is None or age.seconds < end):
            return self.below_age(age)
        assert end is not None
        if limit.kind == "random":
            reason = "below the earliest, which helps but does not cure"
        else:
            reason = "less than that, so that no call is on its way then"
        because = f"{limit.seen}; {reason}{found.proven}"
        if self.counts_from_dial:
            because += "; it counts from the dial, so it replaces connections in use as well"
        return measured(self.name, below(end), because)

    def _usual(self, longer_than: float, seen: str) -> Parameter:
        because = f"the usual value; {seen}"
        if self.default >= longer_than:
            because += (
                f", which leaves open what comes before {self.default:g} s: "
                f"probe with --cap {self.default * 1.1:.0f} to know"
            )
        return row(self.name, float(self.default), "s", because, "library")


def below(seconds: float) -> float:
    """A value safely below an end after `seconds` s: 1 s or 10 % less, at least half of it."""
    seconds = float(f"{seconds:.2g}")  # 1.997 s measured are 2 s configured
    value = max(seconds / 2, min((1 - MARGIN_SHARE) * seconds, seconds - MARGIN))
    exponent = math.floor(math.log10(value)) - 1
    steps = math.floor(round(value / 10**exponent, 9))
    return float(round(steps * 10**exponent, 12))


def is_keepable(end: float) -> bool:
    """Whether a value below an end after `end` s is worth setting at all."""
    return end > 0 and below(end) >= SHORTEST


def measured(name: str, value: float, because: str) -> Parameter:
    """A time (s) that a probe's findings decide."""
    return row(name, value, "s", because, "measured")


def switch(name: str, value: bool, because: str) -> Parameter:
    """Something that a probe's findings turn on or off."""
    return row(name, value, "", because, "measured")
