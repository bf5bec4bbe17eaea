"""Windows follow the date in the territory's zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import NamedError
from services.aggregator.query.windows import by_school_year, resolve, territory_date

TODAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("window", "grain", "first", "last", "complete"),
    [
        ("last-day", "day", date(2026, 11, 19), date(2026, 11, 19), True),
        ("current-month", "month", date(2026, 11, 1), TODAY, False),
        ("last-month", "month", date(2026, 10, 1), date(2026, 10, 31), True),
        ("current-year", "school_year", date(2026, 9, 1), TODAY, False),
        ("last-year", "school_year", date(2025, 9, 1), date(2026, 8, 31), True),
        (None, "school_year", date(2026, 9, 1), TODAY, False),
    ],
)
def test_windows_by_name(window: str | None, grain: str, first: date, last: date, complete: bool):
    found = resolve(window, None, TODAY)
    assert (found.grain, found.start, found.first_day, found.last_day) == (grain, first, first, last)
    assert found.complete is complete
    assert found.name == (window or "current-year")


def test_school_years_are_cut_at_today():
    assert resolve(None, "2026-2027", TODAY).last_day == TODAY
    past = resolve(None, "2010-2011", TODAY)
    assert (past.first_day, past.last_day, past.complete) == (date(2010, 9, 1), date(2011, 8, 31), True)
    assert past.school_year == 2010


@pytest.mark.parametrize("text", ["2027-2028", "2025-2027", "2025", "2025-26", "٢٠٢٥-2026", "0000-0001", "2025-2026 "])
def test_school_years_that_are_none(text: str):
    with pytest.raises(NamedError) as error:
        resolve(None, text, TODAY)
    assert (error.value.status, error.value.code) == (422, "unknown_school_year")


def test_not_both_and_not_any():
    for window, year, code in (("last-day", "2025-2026", "two_windows"), ("yesterday", None, "unknown_window")):
        with pytest.raises(NamedError) as error:
            resolve(window, year, TODAY)
        assert (error.value.status, error.value.code) == (422, code)


def test_the_edge_of_the_school_year_is_the_territorys():
    half_past_midnight = datetime(2026, 8, 31, 22, 30, tzinfo=UTC)
    assert territory_date(half_past_midnight, "Europe/Paris") == date(2026, 9, 1)
    assert territory_date(half_past_midnight, "America/Martinique") == date(2026, 8, 31)
    assert resolve("last-year", None, date(2026, 9, 1)).last_day == date(2026, 8, 31)
    assert resolve("current-year", None, date(2026, 9, 1)).last_day == date(2026, 9, 1)


def test_pages_by_school_year_take_that_of_the_windows_last_day():
    september = date(2026, 9, 1)
    found = by_school_year(resolve("last-day", None, september), september)
    assert (found.name, found.first_day, found.last_day) == ("last-day", date(2025, 9, 1), date(2026, 8, 31))


@given(st.dates(date(2012, 1, 1), date(2060, 1, 1)))
def test_windows_fit_their_periods(today: date):
    last_month, current = resolve("last-month", None, today), resolve("current-month", None, today)
    assert last_month.last_day + timedelta(days=1) == current.first_day
    for name in ("last-day", "current-month", "last-month", "current-year", "last-year"):
        window = resolve(name, None, today)
        assert window.start == window.first_day <= window.last_day <= window.period_end
        assert window.complete == (window.last_day < today)
        assert window.complete == (window.last_day == window.period_end and window.last_day != today)
