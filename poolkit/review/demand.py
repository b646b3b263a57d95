"""Demand so far: from the target's Prometheus, or a CSV of weekly peaks or of a finer series.

    week,rate                date,calls/s            time,rate
    2026-W01,412.5           2026-01-05,412.5        2026-01-05T00:00:00Z,88.1
    2026-W02,430             2026-01-12,430          2026-01-05T00:01:00Z,90.4

A date is the first day of its week where the rows are whole weeks apart; rows that are nearer to
each other are a finer series. Weeks that are left out are gaps. Rates are of the whole service.
"""

from __future__ import annotations

import csv
import io
import re
import statistics
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from poolkit import files
from poolkit.analysis.weekly import MOST_WEEKS, WeeklyPeaks, weekly_peaks
from poolkit.errors import BadInput
from poolkit.observe.demand import WEEKS, read_peaks
from poolkit.redact import printable
from poolkit.targets.production import HIGHEST_RATE
from poolkit.targets.target import NAME
from poolkit.units import listed, plural

FORM = "write two columns, `week,rate`: an ISO week (2026-W07) or date and calls/s"
PROMETHEUS = "prometheus"  # in place of a file
SHOWN = 3  # mistakes that are written out, and gaps
WEEK = timedelta(weeks=1)
_ISO_WEEK = re.compile(r"(\d{4})-?W(\d\d)")
Row = tuple[int, datetime, float]  # line of the file, moment with its time zone, calls/s


def read_demand(path: Path) -> WeeklyPeaks:
    """The weekly peaks that a CSV file tells.

    Columns are set apart by commas, semicolons or tabs. A first line of names may stand or not;
    where it has a name that begins with `rate`, that column counts, else the second.

    Raises:
        BadInput: the file cannot be read, or what stands in it is no demand, with each line.
    """
    rows, is_weeks = _rows(path)
    gaps = [(after[1] - before[1]) / WEEK for before, after in pairwise(rows)]
    if not is_weeks and gaps and statistics.median(gaps) < 0.5:
        moments = [moment.timestamp() for _, moment, _ in rows]
        try:
            return weekly_peaks(moments, [rate for *_, rate in rows], f"the series in {path.name}")
        except ValueError as error:
            raise BadInput(f"{path}: {error}", "give a longer series, or weekly peaks") from None
    return _of_weeks(path, rows)


def read_demands(
    given: Sequence[str],
    targets: Sequence[str],
    file: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, WeeklyPeaks]:
    """The demand of each of the targets for which a `TARGET=FILE` is given.

    FILE alone will do for the only target. In its place `prometheus` stands for the one that the
    target names.

    Args:
        file: the targets.toml.
        say: told what takes a while.

    Raises:
        BadInput: it is not clear for which target a file is, or what it tells is no demand.
    """
    found: dict[str, WeeklyPeaks] = {}
    known = listed(sorted(targets))
    for text in given:
        name, mark, source = text.partition("=")
        if not (mark and NAME.fullmatch(name)):
            if len(targets) != 1:
                raise BadInput(
                    f"--demand {text} does not say for which of {known} it is",
                    "write --demand TARGET=FILE, once for each target",
                )
            name, source = targets[0], text
        if name not in targets:
            remedy = f"there is {known}; a path with = in it begins with ./"
            raise BadInput(f"--demand {text}: no target here is called {name}", remedy)
        if name in found:
            raise BadInput(f"--demand is given twice for {name}", "give each target one file")
        if source != PROMETHEUS:
            found[name] = read_demand(Path(source))
            continue
        if file is None:
            raise BadInput(
                f"--demand {text} asks the Prometheus that targets.toml names for {name}",
                "say where it is: --targets FILE; a file that is called so is ./prometheus",
            )
        say(f"reading the demand of {name} from its Prometheus: {WEEKS} weeks")
        found[name] = read_peaks(file, name)
    return found


def _rows(path: Path) -> tuple[list[Row], bool]:
    """Every row, and whether they are ISO weeks; BadInput where any is none."""
    lines = _lines(path)
    column = _rate_column(lines[0][1]) if lines else 1
    width = len(lines[0][1]) if lines else 0
    if lines and _number(lines[0][1][column : column + 1]) is None and not _is_moment(lines[0][1]):
        lines = lines[1:]
    if not lines:
        raise BadInput(f"{path} has no rows", FORM)
    rows: list[Row] = []
    wrong: list[str] = []
    forms = set()
    for line, cells in lines:
        try:
            moment, is_week = _moment(cells[0].strip())
            forms.add(is_week)
            if len(cells) != width:
                raise ValueError(f"must have {plural(width, 'column')}, got {len(cells)}")
            rate = _rate(cells, column)
            if rows and moment <= rows[-1][1]:
                before = f"later than line {rows[-1][0]}"
                raise ValueError(f"must be {before}, each week once, got {cells[0].strip()}")
        except ValueError as error:
            wrong.append(f"line {line}: {error}")
            continue
        rows.append((line, moment, rate))
    if len(forms) > 1 and not wrong:
        wrong.append("weeks (2026-W07) and dates stand in one column")
    if wrong:
        _refuse(path, wrong)
    return rows, True in forms


def _refuse(path: Path, wrong: Sequence[str]) -> None:
    more = f"; and {plural(len(wrong) - SHOWN, 'more line')}" if len(wrong) > SHOWN else ""
    raise BadInput(
        f"{path}: {'; '.join(wrong[:SHOWN])}{more}",
        "correct these lines, in order of time (UTC, where no zone stands); leave a week out where "
        "its peak is not known",
    )


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """The number and the cells of each line that is not empty."""
    try:
        text = files.content(path).decode("utf-8-sig")
    except FileNotFoundError:
        raise BadInput(f"no such file: {path}", FORM) from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not text in UTF-8 (byte {error.start})", FORM) from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", "name a CSV file") from None
    head = text[: text.find("\n")] if "\n" in text else text
    mark = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
    try:
        return [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise BadInput(f"{path}, line {reader.line_num}: {error}", FORM) from None


def _rate_column(cells: Sequence[str]) -> int:
    names = [cell.strip().lower() for cell in cells]
    return next((i for i, name in enumerate(names) if i and name.startswith("rate")), 1)


def _rate(cells: Sequence[str], column: int) -> float:
    """Calls/s; ValueError names the rule."""
    rate = _number(cells[column : column + 1])
    if rate is None or not 0 <= rate <= HIGHEST_RATE:
        said = printable("".join(cells[column : column + 1]).strip())[:40]
        bounds = f"0 or more and at most {HIGHEST_RATE:g}"
        raise ValueError(f"rate must be a number of calls/s, {bounds}, got {said or 'nothing'}")
    return rate


def _number(cells: Sequence[str]) -> float | None:
    try:
        return float(cells[0])
    except (ValueError, IndexError):
        return None


def _is_moment(cells: Sequence[str]) -> bool:
    try:
        _moment(cells[0].strip())
    except ValueError:
        return False
    return True


def _moment(text: str) -> tuple[datetime, bool]:
    """The beginning of an ISO week (True) or a date or moment, of UTC where no zone is written.

    ValueError names the rule.
    """
    try:
        if found := _ISO_WEEK.fullmatch(text):
            monday = date.fromisocalendar(int(found[1]), int(found[2]), 1)
            moment = datetime(monday.year, monday.month, monday.day, tzinfo=UTC)
        else:
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if not 1970 <= moment.year < 2200:
            raise ValueError
    except ValueError:
        said = printable(text)[:40] or "nothing"
        raise ValueError(f"must begin with an ISO week or date (1970 on), got {said}") from None
    return moment, found is not None


def _of_weeks(path: Path, rows: Sequence[Row]) -> WeeklyPeaks:
    """A peak a row, whole weeks apart."""
    # Days as they are written: between two weeks a clock may have changed.
    first = rows[0][1].date()
    weeks: dict[int, float] = {}
    wrong = []
    for line, moment, rate in rows:
        days = (moment.date() - first).days
        if days % 7 or days // 7 in weeks:
            wrong.append(
                f"line {line}: must be whole weeks after line {rows[0][0]}, each week once, "
                f"got {days} days"
            )
        elif not rate:
            wrong.append(f"line {line}: the peak of a week must be more than 0, got 0")
        weeks[days // 7] = rate
    if wrong:
        _refuse(path, wrong)
    last = max(weeks)
    if last >= MOST_WEEKS:
        raise BadInput(
            f"{path}: must span {MOST_WEEKS} weeks or less, got {last + 1}, from "
            f"{first:%Y-%m-%d} to {rows[-1][1]:%Y-%m-%d}",
            "look for a mistyped year, or leave out what is older",
        )
    missing = [first + week * WEEK for week in range(last + 1) if week not in weeks]
    remarks = []
    if missing:
        more = ", ..." if len(missing) > SHOWN else ""
        first_ones = ", ".join(f"{day:%Y-%m-%d}" for day in missing[:SHOWN])
        remarks = [f"{plural(len(missing), 'week')} without a peak: {first_ones}{more}"]
    return WeeklyPeaks(
        first_day=first.isoformat(),
        rates=tuple(weeks.get(week) for week in range(last + 1)),
        source=path.name,
        remarks=tuple(remarks),
    )
