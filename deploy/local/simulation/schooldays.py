"""What kind of day it is for a school: lessons, Wednesday, week-end, holidays, summer. Real dates, from `holidays`."""

from __future__ import annotations

from datetime import date
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container


class Kind(IntEnum):
    """Kinds of days, in the order of the columns of `habits.RHYTHM`."""

    LESSONS = 0
    WEDNESDAY = 1
    SATURDAY = 2
    SUNDAY = 3
    HOLIDAY = 4
    HOLIDAY_REST = 5
    SUMMER = 6


LESSON_KINDS = (Kind.LESSONS, Kind.WEDNESDAY)

_SUMMER = ((7, 6), (8, 31))
"""Summer where the package knows no school holidays (it stops in 2028): about the dates of the years before."""

_WEEK = (Kind.LESSONS, Kind.LESSONS, Kind.WEDNESDAY, Kind.LESSONS, Kind.LESSONS, Kind.SATURDAY, Kind.SUNDAY)


@lru_cache(maxsize=4096)
def kind_of(day: date, school_zone: str) -> Kind:
    """Kind of a day in a zone of school holidays, `A`, `B` or `C`; '' where no package knows them: summer only.

    A public holiday in term time lives like a Sunday.
    """
    if _is_summer(day, school_zone):
        return Kind.SUMMER
    ordinary = Kind.SUNDAY if day in _public_holidays(day.year) else _WEEK[day.weekday()]
    if day in _school_holidays(day.year, school_zone):
        return Kind.HOLIDAY if ordinary in LESSON_KINDS else Kind.HOLIDAY_REST
    return ordinary


def _is_summer(day: date, school_zone: str) -> bool:
    if _SUMMER[0] <= (day.month, day.day) <= _SUMMER[1]:
        return True
    return day.month in (7, 9) and day in _school_holidays(day.year, school_zone)


@lru_cache(maxsize=64)
def _school_holidays(year: int, school_zone: str) -> Container[date]:
    import holidays  # slow to import: only when a day is asked for

    if not school_zone:
        return frozenset()
    return frozenset(holidays.country_holidays("FR", subdiv=f"Zone {school_zone}", categories=("school",), years=year))


@lru_cache(maxsize=64)
def _public_holidays(year: int) -> Container[date]:
    import holidays

    return frozenset(holidays.country_holidays("FR", years=year))
