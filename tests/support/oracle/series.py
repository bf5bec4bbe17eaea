"""Suivi journalier and Suivi heure par heure (rules.md 10)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from tests.support.oracle.cells import Cell, total, without_value
from tests.support.oracle.days import Window, days_between, hours_of, midnight
from tests.support.oracle.observed import HOUR, quality_of_hours

if TYPE_CHECKING:
    from datetime import datetime

    from tests.support.oracle.counted import Counted

HOURS = range(24)


def daily(counted: list[Counted], today: date) -> dict[date, tuple[Cell, Cell]]:
    return {day: _day(counted, day, today) for day in days_between(today - timedelta(days=28), today)}


def _day(counted: list[Counted], day: date, today: date) -> tuple[Cell, Cell]:
    window = Window("day", day, day, "day", complete=day < today)
    connections = total([each.connections("total.all", window, granted_only=True) for each in counted])
    people = total([each.people("total.net", window) for each in counted])
    return (_unfinished(connections), _unfinished(people)) if day == today else (connections, people)


def _unfinished(cell: Cell) -> Cell:
    """Today is `partial` by definition."""
    return cell if cell.value is None else replace(cell, state="partial")


def hourly(counted: list[Counted], today: date) -> dict[tuple[date, int], Cell]:
    days = days_between(today - timedelta(days=21), today - timedelta(days=1))
    by_hour = [_connections_by_hour(each) for each in counted]
    return {
        (day, label): total([_hour(each, facts, day, label) for each, facts in zip(counted, by_hour, strict=True)])
        for day in days
        for label in HOURS
    }


def _connections_by_hour(counted: Counted) -> dict[tuple[date, int], int]:
    """Small profiles have no hour."""
    found: dict[tuple[date, int], int] = {}
    for fact in counted.journal.connections:
        if fact.profile not in counted.small_profiles:
            key = fact.day, fact.at.astimezone(counted.establishment.zone).hour
            found[key] = found.get(key, 0) + 1
    return found


def _hour(counted: Counted, facts: dict[tuple[date, int], int], day: date, label: int) -> Cell:
    """One local label of one day: two hours on the night it is lived twice, `na` on the night it is skipped."""
    establishment = counted.establishment
    hours = [hour for hour in hours_of(day, establishment.zone) if hour.astimezone(establishment.zone).hour == label]
    if not hours or not establishment.open_on(day):
        return without_value("na")
    quality = quality_of_hours(counted.minutes, hours, counted.now, tolerance=0)
    if quality.state == "nd":
        return without_value("nd")
    partial = quality.state == "partial" or _still_running(counted.now, day, hours, counted)
    value = Fraction(facts.get((day, label), 0))
    presumed = "estimated" if counted.establishment.presumed and value else None
    return Cell(value, "partial" if partial else presumed, quality.share if partial else None)


def _still_running(now: datetime, day: date, hours: list[datetime], counted: Counted) -> bool:
    """Over at the territory's date, not yet here.

    Doubt: the rule speaks of the window; an hour that has ended within an unfinished local day is taken as whole.
    """
    return now < min(hours[-1] + HOUR, midnight(day + timedelta(days=1), counted.establishment.zone))
