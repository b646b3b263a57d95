"""Numbers as people read them: the only place where seconds turn into milliseconds."""

from __future__ import annotations

import math

from poolkit.records import Interval

NONE = "–"


def number(value: float | None, digits: int = 3) -> str:
    """A number to `digits` significant figures, whole numbers in full, no exponent."""
    if value is None:
        return NONE
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(places, 6)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    whole, _, rest = text.partition(".")
    if len(whole) > 5:
        whole = f"{int(whole):,}".replace(",", "\u202f")
    return whole if not rest else f"{whole}.{rest}"


def milliseconds(seconds: float | None, digits: int = 2) -> str:
    """A time in ms with its unit; tiny times say so instead of pretending to be 0."""
    if seconds is None:
        return NONE
    if 0 < seconds < 5e-6:
        return "< 0.01 ms"
    return f"{number(round(seconds * 1000, 3), digits)} ms"


def rate(per_second: float | None) -> str:
    """A rate in calls/s with its unit."""
    return NONE if per_second is None else f"{number(per_second)} calls/s"


def short_rate(per_second: float | None) -> str:
    """A rate for a chart's label."""
    return NONE if per_second is None else f"{number(per_second)}/s"


def interval(values: Interval | None, digits: int = 3) -> str:
    """An interval as `low–high`; a dash where there is none."""
    if values is None:
        return NONE
    return f"{number(values[0], digits)}–{number(values[1], digits)}"


def share(value: float | None, digits: int = 0) -> str:
    """A share (0 to 1) as per cent; one that is not quite 100 % never reads as 100 %."""
    if value is None:
        return NONE
    percent = value * 100
    if 99 <= percent < 100 or 0 < percent < 1:
        text = f"{percent:.1f}"
        return {"100.0": "> 99.9", "0.0": "< 0.1"}.get(text, text) + " %"
    return f"{percent:.{digits}f} %"


def age(seconds: float) -> str:
    """A time span to say how old something is: `40 seconds`, `3 hours`, `16 days`; 0 or more."""
    for noun, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        # Two of a unit or more, so that rounding down loses less than half.
        if seconds >= 2 * length:
            return plural(int(seconds / length), noun)
    return plural(max(0, int(seconds)), "second")


def plural(count: int, noun: str) -> str:
    """`1 connection`, `2 connections`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("ry") else f"{count} {noun}s"


def listed(words: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
