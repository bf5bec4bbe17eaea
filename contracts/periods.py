"""Local periods: hours, days, months and school years in an establishment's zone, as UTC instants.

A period is where things happened, in local time (rules.md 2): a day has 23 to 25 hours, hours may start at half past, a school
year starts on 1 September everywhere.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from contracts.catalogue import Grain

SCHOOL_YEAR_MONTH = 9
"""School years start on 1 September everywhere, overseas too: a decision, told on the definition cards."""


class BadStartError(ValueError):
    """A period's start is not what its grain asks for."""

    code = "bad_start"


def local_midnight(day: date, zone: str) -> datetime:
    """The UTC instant at which a local day starts (the first one where midnight is lived twice)."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def school_year_start(day: date) -> date:
    """1 September of the school year that holds `day`."""
    return date(day.year if day.month >= SCHOOL_YEAR_MONTH else day.year - 1, SCHOOL_YEAR_MONTH, 1)


def month_start(day: date) -> date:
    return day.replace(day=1)


def period_start(grain: Grain, day: date) -> date:
    """First day of the day, month or school year that holds `day`."""
    if grain == "day":
        return day
    return month_start(day) if grain == "month" else school_year_start(day)


def next_start(grain: Grain, start: date) -> date:
    """First day after the period that starts on `start`."""
    if grain == "day":
        return start + timedelta(days=1)
    if grain == "month":
        return month_start(start + timedelta(days=31))
    return start.replace(year=start.year + 1)


@lru_cache(maxsize=16384)
def bounds(grain: Grain, start: date, zone: str) -> tuple[datetime, datetime]:
    """UTC instants at which a local day, month or school year starts and ends."""
    return local_midnight(start, zone), local_midnight(next_start(grain, start), zone)


def hours_of_day(day: date, zone: str) -> list[datetime]:
    """UTC instants at which the 23 to 25 local hours of a day start; the index is that of `minutes` cells."""
    start, end = bounds("day", day, zone)
    return [start + timedelta(hours=index) for index in range(-(-int((end - start).total_seconds()) // 3600))]


def parse_hour(text: str) -> datetime:
    """Start of an hour report as an aware datetime; written `2026-10-25T02:00+01:00`, of all that ISO 8601 allows."""
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        raise BadStartError(f"{text!r} is not a local hour with its offset") from None
    if start.tzinfo is None or start.minute or text != start.isoformat(timespec="minutes"):
        raise BadStartError(f"{text!r} is not a local hour with its offset")
    return start


def format_hour(start: datetime, zone: str) -> str:
    """A UTC hour start as the wire writes it."""
    return start.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes")


def parse_start(grain: Grain, text: str) -> date:
    """Start of a day, month or school-year report; `BadStartError` unless it is the first day of its period."""
    try:
        start = date.fromisoformat(text)
    except ValueError:
        raise BadStartError(f"{text!r} is not a date") from None
    if text != start.isoformat() or start != period_start(grain, start):
        raise BadStartError(f"{text!r} does not start a {grain}")
    return start
