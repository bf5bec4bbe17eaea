"""An establishment's local calendar: from an instant to the periods that hold it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from contracts.catalogue import Grain
from contracts.periods import bounds, local_midnight, month_start, school_year_start

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

QUARTER = 900
"""Seconds; every zone's hours and days start on a quarter of an hour, so one look-up serves all instants of a quarter."""
HOUR_KEEPING = timedelta(days=90)
"""The platform refuses older hours; they are not counted by hour any more."""


@dataclass(frozen=True, order=True)
class Period:
    """One family in one period. `held`: what small profiles add to a month that is not over, kept apart until it is."""

    family: str
    grain: Grain
    start: str
    held: bool = False


@dataclass(frozen=True)
class LocalDay:
    """A local day with its month and school year, and the UTC timestamps at which they end."""

    day: date
    zone: str
    month: date = field(init=False)
    year: date = field(init=False)
    ends: dict[Grain, float] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "month", month_start(self.day))
        object.__setattr__(self, "year", school_year_start(self.day))
        grains: tuple[Grain, ...] = ("day", "month", "school_year")
        ends = {grain: bounds(grain, self.start(grain), self.zone)[1].timestamp() for grain in grains}
        object.__setattr__(self, "ends", ends)

    def start(self, grain: Grain) -> date:
        """First day of the period of `grain` that holds this day."""
        if grain == "month":
            return self.month
        return self.year if grain == "school_year" else self.day

    def period(self, family: str, grain: Grain, *, held: bool = False) -> Period:
        """The period of `grain` that holds this day."""
        return Period(family, grain, self.start(grain).isoformat(), held)


def day_of(at: float, zone: ZoneInfo) -> date:
    """Local day of a UTC timestamp."""
    return datetime.fromtimestamp(at, zone).date()


def hour_of(at: float, zone: ZoneInfo) -> str:
    """Local hour of a UTC timestamp as reports write it, `2026-10-25T02:00+01:00`."""
    local = datetime.fromtimestamp(at, zone)
    start = local.astimezone(UTC) - timedelta(
        minutes=local.minute, seconds=local.second, microseconds=local.microsecond
    )
    return start.astimezone(zone).isoformat(timespec="minutes")


def oldest_day(today: date) -> date:
    """1 September of the previous school year: lines before are too old."""
    year = school_year_start(today)
    return year.replace(year=year.year - 1)


def oldest_accepted(today: date, zone: str) -> float:
    """UTC timestamp at which that day starts."""
    return local_midnight(oldest_day(today), zone).timestamp()
