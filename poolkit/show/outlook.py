"""An outlook in words: when the size runs out, how sure that is, and what it does not know."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from poolkit.analysis.forecast import Forecast, TooShort
from poolkit.analysis.outlook import Crossing, Outlook
from poolkit.show.words import pool_phrase, sentence
from poolkit.units import listed, number, plural, rate, share

# As `make bench ARGS=forecast` has it: of 100 series each, 52 weeks known and 13 ahead.
MISSES = (
    "The line goes on from the last eight weeks with the slope of the last year. It knows of no "
    "season, no launch and no growth that stops from now on: of made series of that kind the "
    "interval held 77 % a quarter ahead, 55 to 60 % half a year ahead, and of a season 45 %"
)
TOLERATED = 0.1  # by which the back-test may fall short before the dates are called too narrow


def day_of(outlook: Outlook, week: int) -> date:
    """The first day of the `week`-th week after the last one known."""
    first = date.fromisoformat(outlook.demand.first_day[:10])
    return first + timedelta(weeks=len(outlook.demand.rates) - 1 + week)


def valid_until(outlook: Outlook) -> date | None:
    """The last day for which the size will do, wherever in its interval the demand is.

    None: not for a week, or that cannot be said.
    """
    if not outlook.valid_weeks:
        return None
    return day_of(outlook, outlook.valid_weeks + 1) - timedelta(days=1)


def valid(outlooks: Mapping[str, Outlook]) -> str:
    """Until when the sizes will do, in sentences: the soonest day; empty without an outlook."""
    days = {name: valid_until(one) for name, one in outlooks.items()}
    over = [name for name, one in outlooks.items() if one.size_out.first == 1]
    unknown = [name for name, day in days.items() if day is None and name not in over]
    said = []
    if over:
        said.append(f"Demand outgrows {_sizes_of(over)} next week, as forecast at its upper end")
    if known := {name: day for name, day in days.items() if day is not None}:
        soonest = min(known.values())
        names = [name for name, day in known.items() if day == soonest]
        which = "" if len(names) == len(days) > 1 else f": {_sizes_of(names)}"
        beyond = all(outlooks[name].size_out.first is None for name in names)
        more = ", which is as far as can be told" if beyond else " may run out then"
        said.append(f"Valid until {_day(soonest)}{which or ': sizes'}{more}")
    if unknown:
        said.append(f"Until when cannot be said of {listed(unknown)}")
    return " ".join(map(sentence, said))


def _sizes_of(names: list[str]) -> str:
    return f"the {'size' if len(names) == 1 else 'sizes'} of {listed(names)}"


def finding(outlook: Outlook) -> str:
    """When the size runs out, as a sentence without a full stop."""
    if isinstance(outlook.forecast, TooShort):
        return f"Too short to say when the size runs out: {outlook.forecast.because}"
    phrase = pool_phrase(outlook.pool_size, outlook.pools)
    size = f"The size ({phrase})"
    if outlook.size_out.first == outlook.size_out.last == 1:
        carries = "carries" if phrase == "1 connection" else "carry"
        return f"{phrase} no longer {carries} the demand that is expected next week"
    if outlook.size_out.first is not None:
        return f"{size} runs out {when(outlook, outlook.size_out)}"
    if outlook.unknown_from == 1:
        return f"Cannot say when the size runs out: the curve does not reach {phrase}"
    if outlook.unknown_from is not None:
        told = plural(outlook.unknown_from - 1, "week")
        return f"{size} does not run out within the {told} that the curve can tell"
    until = _day(day_of(outlook, outlook.horizon + 1) - timedelta(days=1))
    told = plural(outlook.horizon, "week")
    return f"{size} does not run out within the {told} that can be told (until {until})"


def runs_out(outlook: Outlook) -> str:
    """When the size runs out, for a cell of a table."""
    if isinstance(outlook.forecast, TooShort):
        return "too short to say"
    if outlook.size_out.first == outlook.size_out.last == 1:
        return "next week"
    if outlook.unknown_from == 1 and outlook.size_out.first is None:
        return "cannot say"
    told = outlook.horizon if outlook.unknown_from is None else outlook.unknown_from - 1
    return when(outlook, outlook.size_out) or f"not within {plural(told, 'week')}"


def upstream(outlook: Outlook) -> str:
    """When no size will do any more, as a sentence without a full stop; empty: nothing to say."""
    limit, out = outlook.limit, outlook.reach_out
    unknown = [week for week, one in enumerate(outlook.upper, 1) if one.kind == "unknown"]
    if limit is None and unknown:
        day = _day(day_of(outlook, unknown[0]))
        because = outlook.upper[unknown[0] - 1].because
        return f"From the week of {day} on, at the upper end of the demand: {because}"
    if limit is None:
        return ""
    what = "The upstream runs" if limit.kind == "upstream" else "The connections allowed run"
    reach = "" if outlook.reach is None else f" at {rate(outlook.reach)}"
    if out.first == out.last == 1:
        return f"{what} out{reach}, which demand is beyond: {limit.because}"
    return f"{what} out{reach}, {when(outlook, out)}: {limit.because}"


def demand(outlook: Outlook) -> str:
    """What demand is expected at the end of what can be told, as a sentence without a full stop."""
    found = outlook.forecast
    if isinstance(found, TooShort):
        return ""
    low, middle, high = (number(rates[-1]) for rates in (found.lower, found.middle, found.upper))
    day = _day(day_of(outlook, found.horizon))
    return f"Weekly peak in the week of {day}: {middle} calls/s ({low} to {high})"


def how_sure(found: Forecast) -> str:
    """What the interval has earned, as a sentence without a full stop."""
    said = (
        f"Forecasts made in the same way from {plural(found.origins, 'earlier week')} held "
        f"{share(found.coverage)} of the {found.judged} peaks that followed, and "
        f"{share(found.nominal)} were meant"
    )
    if found.coverage < found.nominal - TOLERATED:
        return f"{said}: demand is less regular than a line, the interval is too narrow"
    return said


def sentences(outlook: Outlook, *, of_many: bool = False) -> list[str]:
    """All that an outlook says, the finding first.

    `of_many`: without what is so of every forecast (`MISSES`), which is then said once.
    """
    found, known = outlook.forecast, outlook.demand
    said = [finding(outlook)]
    if isinstance(found, Forecast):
        said += [upstream(outlook), demand(outlook), how_sure(found)]
        said += [] if of_many else [MISSES]
    said += known.remarks
    return [sentence(words) for words in said if words]


def when(outlook: Outlook, out: Crossing) -> str:
    """`in March (February to June)`, as far as can be told; empty: not within what can."""
    if out.first is None:
        return ""
    first = _month(day_of(outlook, out.first), outlook)
    within = f"within {plural(outlook.horizon, 'week')}"
    if out.middle is None:
        return f"in {first} at the earliest, as expected not {within}"
    middle = _month(day_of(outlook, out.middle), outlook)
    if out.last is None:
        earliest = "" if first == middle else f"{first} at the earliest, "
        return f"in {middle} ({earliest}perhaps not {within})"
    last = _month(day_of(outlook, out.last), outlook)
    if first == last:
        return f"in {middle}"
    if last == middle:
        return f"in {middle} ({first} at the earliest)"
    return (
        f"in {middle} ({last} at the latest)"
        if first == middle
        else (f"in {middle} ({first} to {last})")
    )


def _month(day: date, outlook: Outlook) -> str:
    """`March`, with its year where that is not the one of the last week known."""
    same = day.year == day_of(outlook, 0).year
    return f"{day:%B}" if same else f"{day:%B %Y}"


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
