"""What the history of a target comes to, in words: its figures, what changed and why, its steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from poolkit.records import Interval
from poolkit.review.compare import Difference
from poolkit.review.trend import QUANTITIES, Figure, Reviewed, Stepped, Trend, Why
from poolkit.show import outlook, words
from poolkit.units import NONE, interval, milliseconds, number, plural, rate, share

NAMES = {
    "headroom": "headroom",
    "hold_time.at_recommended": "hold time",
    "verification.wait_p99": "p99 wait",
}
HEADROOM = "headroom: how far what is reachable lies above the rate asked"


def name(quantity: str) -> str:
    """A quantity of `QUANTITIES`, in words."""
    return NAMES.get(quantity) or words.QUANTITIES.get(quantity, quantity)


def figure(quantity: str, value: Figure | None, *, bare: bool = False) -> str:
    """A figure with its unit and its interval, or without that where `bare`."""
    if value is None:
        return NONE
    text = _amount(quantity, value.value)
    if bare or value.interval95 is None or quantity == "recommended_size":
        return text
    return f"{text} ({_ends(quantity, value.interval95)})"


def _amount(quantity: str, value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or NONE
    match QUANTITIES[quantity]:
        case "s":
            return milliseconds(value, 3)
        case "calls/s":
            return rate(value)
        case "connections":
            return number(round(value))  # a level over several reviews is a mean of sizes
    return share(value)


def _ends(quantity: str, ends: Interval) -> str:
    """The ends without the unit, which stands before them."""
    if QUANTITIES[quantity] == "":
        return f"{100 * ends[0]:.0f}–{100 * ends[1]:.0f}"
    times = 1000.0 if QUANTITIES[quantity] == "s" else 1.0
    return interval((ends[0] * times, ends[1] * times))


def changed(review: Reviewed) -> str:
    """What was not as in the review before: by more than noise, why, and a caution where due."""
    said = [
        f"{name(d.quantity)} {_by(d)}"
        for d in review.differences
        if words.is_beyond_noise(d) and d.quantity in QUANTITIES and d.quantity != "target_rate"
    ]
    said += reasons(review.why)
    if review.caution:
        said.insert(0, f"not comparable: {review.caution}")
    return "; ".join(said) or NONE


def _by(difference: Difference) -> str:
    """By how much a figure moved; a size in connections, the others as a share."""
    before, after = difference.before, difference.after
    if difference.unit == "connections" or not (
        isinstance(before, int | float) and isinstance(after, int | float) and before
    ):
        ends = (_amount(difference.quantity, value) for value in (before, after))
        return " → ".join(ends)
    return f"{100 * (after / before - 1):+.0f} %"


def reasons(why: Sequence[Why]) -> list[str]:
    """Those of a kind together, the kind first."""
    kinds = dict.fromkeys(one.kind for one in why)
    return [f"{kind}: {', '.join(one.said for one in why if one.kind == kind)}" for kind in kinds]


def step(found: Stepped) -> str:
    """A step in a sentence without its full stop: what, from which review on, and why."""
    return " ".join(_step(found))


def _step(found: Stepped) -> tuple[str, str]:
    """What moved; then since when and why, which steps of one review share."""
    before, after = (figure(found.quantity, level) for level in (found.before, found.after))
    seen = f"{plural(found.reviews, 'review')} bear it out"
    why = "; ".join(reasons(found.why)) or "no change that the records know of came with it"
    moved = f"{name(found.quantity)} {before} → {after}"
    return moved, f"from {found.measured[:10]} on, {seen}; {why}"


def step_in_short(found: Stepped) -> str:
    """By how much, for a label in a chart."""
    if found.unit == "connections":
        return f"{round(found.after.value) - round(found.before.value):+d}"
    if found.before.value == 0 or found.unit == "":
        return f"{100 * (found.after.value - found.before.value):+.0f} points"
    return f"{100 * (found.after.value / found.before.value - 1):+.0f} %"


def from_to(trend: Trend) -> str:
    """First and latest figures, for who cannot see the chart."""
    first, last = trend.reviews[0], trend.reviews[-1]
    parts = [
        f"{name(quantity)} {figure(quantity, first.figures.get(quantity), bare=True)}, then "
        f"{figure(quantity, last.figures.get(quantity), bare=True)}"
        for quantity in QUANTITIES
        if quantity in first.figures or quantity in last.figures
    ]
    return f"{plural(len(trend.reviews), 'review')}: {', '.join(parts)}"


def said(trend: Trend) -> Iterator[str]:
    """The steps of a target, or why none is said, in sentences without full stops."""
    together: dict[str, list[str]] = {}
    for one in trend.steps:
        moved, rest = _step(one)
        together.setdefault(rest, []).append(moved)
    yield from (f"{', '.join(moved)} {rest}" for rest, moved in together.items())
    if trend.too_few:
        yield trend.too_few
    elif not trend.steps:
        yield f"no step that lasts in {plural(trend.comparable, 'comparable review')}"


def ahead(trend: Trend) -> Iterator[str]:
    """When the size of a target runs out, where that was asked, in sentences without full stops."""
    if trend.outlook is not None:
        found = outlook.sentences(trend.outlook, of_many=True)
        yield from (line.removesuffix(".") for line in found)
    elif trend.no_outlook:
        yield f"cannot say when the size runs out: {trend.no_outlook}"
