"""Local dates and the windows of the pages (rules.md 2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

WINDOWS = ("last-day", "current-month", "last-month", "current-year", "last-year")


@dataclass(frozen=True)
class SchoolYear:
    first: date

    @property
    def last(self) -> date:
        return self.first.replace(year=self.first.year + 1) - timedelta(days=1)

    @property
    def label(self) -> str:
        """`2026-2027`."""
        return f"{self.first.year}-{self.first.year + 1}"

    @property
    def previous(self) -> SchoolYear:
        return SchoolYear(self.first.replace(year=self.first.year - 1))


@dataclass(frozen=True)
class Window:
    """Days `first` to `last` included; `grain` is that of the people's sets that answer it."""

    name: str
    first: date
    last: date
    grain: str
    complete: bool

    @property
    def period(self) -> tuple[date, date]:
        """The whole period, of which an open window is the beginning: first day, and first day after."""
        if self.grain == "day":
            return self.first, self.first + timedelta(days=1)
        if self.grain == "month":
            return self.first, next_month(self.first)
        return self.first, school_year(self.first).last + timedelta(days=1)


@cache
def school_year(day: date) -> SchoolYear:
    return SchoolYear(date(day.year if day.month >= 9 else day.year - 1, 9, 1))


def next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


@cache
def hours_of(day: date, zone: ZoneInfo) -> list[datetime]:
    """The 23, 24 or 25 hours of a local day, each as the UTC instant at which it starts."""
    start, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
    return [start + timedelta(hours=index) for index in range(round((end - start) / timedelta(hours=1)))]


def days_between(first: date, last: date) -> list[date]:
    return [first + timedelta(days=index) for index in range((last - first).days + 1)]


def window_of(today: date, *, window: str | None = None, year: str | None = None) -> Window:
    """The dates of a window on the territory's date `today`; neither given: the current year."""
    if year is not None:
        chosen = SchoolYear(date(int(year[:4]), 9, 1))
        return Window(year, chosen.first, min(chosen.last, today), "school_year", chosen.last < today)
    current = school_year(today)
    if window == "last-day":
        yesterday = today - timedelta(days=1)
        return Window(window, yesterday, yesterday, "day", complete=True)
    if window == "current-month":
        return Window(window, today.replace(day=1), today, "month", complete=False)
    if window == "last-month":
        last = today.replace(day=1) - timedelta(days=1)
        return Window(window, last.replace(day=1), last, "month", complete=True)
    if window == "last-year":
        return Window(window, current.previous.first, current.previous.last, "school_year", complete=True)
    return Window("current-year", current.first, today, "school_year", complete=False)
