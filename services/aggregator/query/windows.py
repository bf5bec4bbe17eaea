"""Windows: the days that a question is about, from the date in the territory's zone (rules.md 2)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from contracts.catalogue import By, Grain
from contracts.periods import month_start, next_start, school_year_start
from services.aggregator.query.errors import TwoWindowsError, UnknownSchoolYearError, UnknownWindowError

WindowName = Literal["last-day", "current-month", "last-month", "current-year", "last-year"]
DEFAULT: WindowName = "current-year"
_SCHOOL_YEAR = re.compile(r"([0-9]{4})-([0-9]{4})", re.ASCII)
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Window:
    """Days `first_day` to `last_day`, both included, and the period (`grain`, `start`) whose sheet answers for them.

    `complete`: over at the territory's date; an open window ends today.
    """

    name: str
    grain: Grain
    start: date
    first_day: date
    last_day: date
    complete: bool

    @property
    def school_year(self) -> int:
        """The year in which the school year of its last day began."""
        return school_year_start(self.last_day).year

    @property
    def period_end(self) -> date:
        """Last day of the sheet's period, which for an open window is still to come."""
        return next_start(self.grain, self.start) - _ONE_DAY


def territory_date(now: datetime, zone: str) -> date:
    """The one date of a page: that of the territory's zone."""
    return now.astimezone(ZoneInfo(zone)).date()


def resolve(window: str | None, school_year: str | None, today: date) -> Window:
    """The window asked for by name or by school year; neither: the current year."""
    if window and school_year:
        raise TwoWindowsError
    return _of_school_year(school_year, today) if school_year else _of_name(window or DEFAULT, today)


def by_school_year(window: Window, today: date) -> Window:
    """What a page that shows school years reads when it is given a window: that of the window's last day."""
    start = school_year_start(window.last_day)
    return _cut_at_today("school_year", start, window.name, today)


def taken_by(by: By, window: str | None, school_year: str | None, today: date) -> Window:
    """The window asked for, as a table or page takes it."""
    found = resolve(window, school_year, today)
    match by:
        case "school-year":
            return by_school_year(found, today)
        case "past-days":
            return to_yesterday(found, today)
        case "window":
            return found


def to_yesterday(window: Window, today: date) -> Window:
    """The window as far as its days are over; on its first day, that day, of which nothing is known yet."""
    yesterday = max(window.first_day, today - _ONE_DAY)
    return replace(window, last_day=min(window.last_day, yesterday))


def before(window: Window, today: date) -> Window:
    """The school year before the one of a window by school year."""
    start = school_year_start(window.start - _ONE_DAY)
    return _cut_at_today("school_year", start, window.name, today)


def _of_name(name: str, today: date) -> Window:
    yesterday = today - _ONE_DAY
    match name:
        case "last-day":
            return Window(name, "day", yesterday, yesterday, yesterday, complete=True)
        case "current-month":
            return _cut_at_today("month", month_start(today), name, today)
        case "last-month":
            return _cut_at_today("month", month_start(month_start(today) - _ONE_DAY), name, today)
        case "current-year":
            return _cut_at_today("school_year", school_year_start(today), name, today)
        case "last-year":
            return _cut_at_today("school_year", school_year_start(school_year_start(today) - _ONE_DAY), name, today)
    raise UnknownWindowError(f"{name!r}: last-day, current-month, last-month, current-year or last-year is expected")


def _of_school_year(text: str, today: date) -> Window:
    match = _SCHOOL_YEAR.fullmatch(text)
    years = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 0 < years[0] <= school_year_start(today).year or years[1] != years[0] + 1:
        raise UnknownSchoolYearError(f"{text!r}")
    return _cut_at_today("school_year", date(years[0], 9, 1), f"school_year={text}", today)


def _cut_at_today(grain: Grain, start: date, name: str, today: date) -> Window:
    last = next_start(grain, start) - _ONE_DAY
    return Window(name, grain, start, start, min(last, today), complete=last < today)
