"""How long each grain is kept, and how far ahead of the clock a report may start. Pure: the instant is an argument."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from contracts.periods import school_year_start

HOURS_KEPT = timedelta(days=90)
DAY_REPORTS_YEARS = 1
"""Day reports are kept for the current school year and this many before it."""
MONTH_REPORTS_YEARS = 10
"""Month reports are kept for the current school year and this many before it."""
FIRST_SCHOOL_YEAR = date(2010, 9, 1)
"""Statistics begin here (rules.md 6): school-year reports may be imported since then, and these and their sheets have no limit."""
AHEAD = timedelta(hours=25)
"""Agents set aside what is more than 24 h ahead; one hour more for their clock against ours (rules.md 3)."""
PARKED_KEPT = timedelta(days=35)
"""As long as Kafka keeps the messages themselves."""
ENDED_KEPT = timedelta(days=60)
"""After the end of its last convention, all of an establishment is purged."""


class Horizon(NamedTuple):
    """What may be reported at one instant in one zone. Days are ordinals, instants UTC seconds.

    `floors[grain]`: first day still accepted; `last_day`, `last_instant`: the latest start accepted; `today`, `now`: past them, skewed.
    """

    floors: tuple[int, int, int, int]
    today: int
    last_day: int
    now: float
    last_instant: float


@lru_cache(maxsize=512)
def horizon(now: datetime, zone: str) -> Horizon:
    """The horizon at `now` (aware) in `zone`."""
    today = now.astimezone(ZoneInfo(zone)).date()
    year = school_year_start(today)
    floors = (
        today - HOURS_KEPT,
        _years_before(year, DAY_REPORTS_YEARS),
        _years_before(year, MONTH_REPORTS_YEARS),
        FIRST_SCHOOL_YEAR,
    )
    hour, day, month, school_year = (floor.toordinal() for floor in floors)
    return Horizon(
        (hour, day, month, school_year),
        today.toordinal(),
        (now + AHEAD).astimezone(ZoneInfo(zone)).date().toordinal(),
        now.timestamp(),
        (now + AHEAD).timestamp(),
    )


def _years_before(day: date, years: int) -> date:
    return day.replace(year=day.year - years)
