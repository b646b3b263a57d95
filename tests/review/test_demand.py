"""A CSV of demand: what is read, and what is refused with its line, rule, value and remedy."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from poolkit.errors import BadInput
from poolkit.review.demand import read_demand, read_demands

WEEKS = "2026-W01,100\n2026-W02,110.5\n2026-W04,1.2e2\n"


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "demand.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        WEEKS,
        "week_or_date,rate\n" + WEEKS,
        "\ufeffWeek ; Rate (calls/s)\r\n" + WEEKS.replace(",", " ; ").replace("\n", "\r\n"),
        "week\tservice\trate\n" + WEEKS.replace(",", "\torders\t"),
        "\n" + WEEKS.replace("\n", "\n\n"),
        "2025-12-29,100\n2026-01-05,110.5\n2026-01-19,120",
        "day,rate\n2025-12-29T00:00:00+00:00,100\n20260105,110.5\n2026-01-19,120\n",
        '"week","rate"\n"2026W01","100"\n"2026W02","110.5"\n"2026W04","120"\n',
    ],
)
def test_weeks_are_read_however_they_are_written(tmp_path: Path, text: str) -> None:
    """A header or none, three marks, ISO weeks or first days, line ends of every kind."""
    found = read_demand(written(tmp_path, text))
    assert found.first_day == "2025-12-29"
    assert found.rates == (100, 110.5, None, 120)
    assert found.remarks == ("1 week without a peak: 2026-01-12",)
    assert found.source == "demand.csv"


def test_a_week_begins_on_the_day_of_the_first_row(tmp_path: Path) -> None:
    """Weeks of another country begin on a Sunday."""
    found = read_demand(written(tmp_path, "date,rate\n2026-01-04,1\n2026-01-11,2\n"))
    assert (found.first_day, found.rates) == ("2026-01-04", (1, 2))


def test_weeks_whose_clock_changes_are_whole(tmp_path: Path) -> None:
    """Midnight of a country with summer time; its Monday is the Monday of the file."""
    rows = ("2026-03-23T00:00:00+01:00,1", "2026-03-30T00:00:00+02:00,2")
    found = read_demand(written(tmp_path, "\n".join(rows)))
    assert (found.first_day, found.rates) == ("2026-03-23", (1, 2))


def test_a_finer_series_is_reduced_to_weekly_peaks(tmp_path: Path) -> None:
    """Rows that are hours apart, with nights in which nothing is served."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [(began + timedelta(hours=i), i % 24 * (1 + i // 240)) for i in range(24 * 25)]
    text = "time,rate\n" + "".join(f"{at.isoformat()},{rate}\n" for at, rate in rows)
    found = read_demand(written(tmp_path, text))
    assert (found.first_day, found.rates) == ("2026-01-05", (46, 46, 69))
    assert found.remarks == ("1 week at the ends not seen whole",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no rows"),
        ("week,rate\n", "has no rows"),
        ("week,rate\n2026-W01,100\n2026-W02,nan\n", "line 3: rate must be .* got nan"),
        ("week,rate\n2026-W01,\n", "line 2: rate must be .* got nothing"),
        ("week,rate\n2026-W01,-3\n", "line 2: .* 0 or more .*, got -3"),
        ("week,rate\n2026-W01,inf\n", "line 2: .* got inf"),
        ("week,rate\n2026-W01,2e12\n", "line 2: .* got 2e12"),
        ("2026-01-05T01:00,1\n2026-01-05T09:00,2\n2026-01-12,3\n2026-01-19,4", "each week once"),
        ("week,rate\n2026-W01,0\n", "line 2: .* more than 0, got 0"),
        ("week;rate\n2026-W01;412,5\n", "line 2: .* got 412,5"),
        ("week,rate\n2026-W01,1,234\n", "line 2: must have 2 columns, got 3"),
        ("week,rate\n2026-W01\n", "line 2: must have 2 columns, got 1"),
        ("week\n2026-W01\n", "line 2: rate must be .* got nothing"),
        ("week,rate\nW01,5\n", "line 2: must begin with an ISO week or date .* got W01"),
        ("week,rate\n2026-W60,5\n", "line 2: .* got 2026-W60"),
        ("date,rate\n01.02.2026,5\n", "line 2: .* got 01.02.2026"),
        ("date,rate\n9999-12-27,5\n", "line 2: .* got 9999-12-27"),
        ("date,rate\n1767225600,5\n", "line 2: .* got 1767225600"),
        (WEEKS + "2026-W04,5\n", "line 4: must be later than line 3, each week once, got 2026-W04"),
        (WEEKS + "2026-W03,5\n", "line 4: must be later than line 3.* got 2026-W03"),
        ("2026-W01,1\n2026-01-12,5\n", "weeks .* and dates stand in one column"),
        ("2026-01-05,1\n2026-01-13,5\n", "line 2: must be whole weeks after line 1.* got 8 days"),
        ("2025-W01,1\n2125-W01,5\n", "must span 1040 weeks or less, got 5219"),
        ("2026-W01,a\n2026-W02,b\n2026-W03,c\n2026-W04,d\n2026-W05,e\n", "and 2 more lines"),
        ("2026-01-05T00:00,1\n2026-01-05T01:00,2\n2026-01-05T02:00,2\n", "no week .* whole"),
        (b"week,rate\n\xff\xfe,5\n", "not text in UTF-8"),
        ('week,rate\n"2026-W01,5', "line 2: must begin with an ISO week"),
        ("week,rate\n2026-W01,\x1b[31m5\n", r"got .*\[31m5"),
    ],
)
def test_what_is_no_demand_is_refused(tmp_path: Path, text: str | bytes, said: str) -> None:
    """With what to do; control characters never reach the terminal."""
    with pytest.raises(BadInput, match=said) as error:
        read_demand(written(tmp_path, text))
    assert error.value.remedy
    assert "\x1b" not in str(error.value)
    assert "demand.csv" in error.value.cause


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    """A folder, or nothing at all."""
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(BadInput, match=r"cannot read|no such file"):
            read_demand(path)


def test_a_file_is_for_the_target_named_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or for the only one; a path may hold a = behind ./."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.csv").write_text(WEEKS)
    file = written(tmp_path, WEEKS)
    told = read_demand(file)
    assert read_demands([f"orders={file}"], ["users", "orders"]) == {"orders": told}
    assert read_demands([str(file)], ["orders"]) == {"orders": told}
    assert list(read_demands(["orders=./a=b.csv"], ["users", "orders"])) == ["orders"]
    assert list(read_demands(["./a=b.csv"], ["orders"])) == ["orders"]
    assert read_demands([], ["users", "orders"]) == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["demand.csv"], "--demand demand.csv does not say for which of orders and users it is"),
        (["order=demand.csv"], "--demand order=demand.csv: no target here is called order"),
        (["orders=demand.csv"] * 2, "--demand is given twice for orders"),
        (["orders=nowhere.csv"], "no such file: nowhere.csv"),
        (["orders="], "cannot read .: "),
        (["orders=prometheus"], "--demand orders=prometheus asks the Prometheus that targets.toml"),
    ],
)
def test_it_must_be_clear_for_which_target_a_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], said: str
) -> None:
    """Named with what is there."""
    monkeypatch.chdir(tmp_path)
    written(tmp_path, WEEKS)
    with pytest.raises(BadInput, match=f"^{re.escape(said)}"):
        read_demands(given, ["users", "orders"])
