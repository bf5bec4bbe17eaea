"""Local periods on the nights that clocks change, at half past, and at the edges of school years."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from contracts import periods


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (date(2026, 3, 29), "Europe/Paris", 23),
        (date(2026, 10, 25), "Europe/Paris", 25),
        (date(2026, 10, 25), "Pacific/Marquesas", 24),
        (date(2026, 3, 8), "America/Miquelon", 23),
    ],
)
def test_a_day_has_the_hours_that_were_lived(day, zone, hours):
    assert len(periods.hours_of_day(day, zone)) == hours


def test_the_marquesas_start_at_half_past():
    start, end = periods.bounds("day", date(2026, 11, 20), "Pacific/Marquesas")
    assert (start, end) == (datetime(2026, 11, 20, 9, 30, tzinfo=UTC), datetime(2026, 11, 21, 9, 30, tzinfo=UTC))
    assert periods.format_hour(start, "Pacific/Marquesas") == "2026-11-20T00:00-09:30"


def test_the_two_two_o_clocks_of_october_stay_apart():
    texts = [
        periods.format_hour(hour, "Europe/Paris") for hour in periods.hours_of_day(date(2026, 10, 25), "Europe/Paris")
    ]
    assert texts[2:4] == ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"]
    assert len({periods.parse_hour(text) for text in texts}) == 25


@pytest.mark.parametrize(
    ("day", "start"), [(date(2026, 8, 31), date(2025, 9, 1)), (date(2026, 9, 1), date(2026, 9, 1))]
)
def test_the_school_year_starts_on_1_september(day, start):
    assert periods.school_year_start(day) == start
    assert periods.next_start("school_year", start).year == start.year + 1


@pytest.mark.parametrize(("grain", "text"), [("month", "2026-11-20"), ("day", "2026-11-31"), ("day", "2026-W10-1")])
def test_a_start_that_starts_nothing_is_refused(grain, text):
    with pytest.raises(periods.BadStartError):
        periods.parse_start(grain, text)
