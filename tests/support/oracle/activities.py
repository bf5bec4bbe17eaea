"""Flows of the journal: sums per measure and level over the days of a window (rules.md 1, 2 and 3)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from tests.support.oracle.cells import Cell, without_value
from tests.support.oracle.days import days_between, midnight
from tests.support.oracle.journal import THEME
from tests.support.oracle.observed import Quality

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.oracle.counted import Counted
    from tests.support.oracle.days import Window
    from tests.support.oracle.journal import Activity

ByMeasure = dict[str, dict[str, dict[date, int]]]
"""Measure → level → local day → n."""


def by_measure(activities: Iterable[Activity]) -> ByMeasure:
    found: ByMeasure = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    for fact in activities:
        found[fact.measure][fact.level][fact.day] += fact.n
    return found


def flow(counted: Counted, measures: tuple[str, ...], window: Window, level: str | None = None) -> Cell:
    """Sum of the measures over the window, of one level or of all; they follow the journal, whatever counts connections.

    A day's report that is cut belongs to a day of which minutes are missing too: the day is `partial` by those already.
    """
    if not counted.establishment.open_in(window):
        return without_value("na")
    shown, late = _shown(counted, window) if THEME[measures[0]] == "social" else (window, False)
    quality = counted.activity_quality(shown) if shown else Quality("nd")
    if quality.state in ("nd", "na"):
        return without_value(quality.state)
    assert shown
    value = Fraction(sum(_added(counted.activities, measure, shown, level) for measure in measures))
    partial = late or quality.state == "partial"
    return Cell(value, "partial" if partial else None, quality.share if partial else None)


def _added(activities: ByMeasure, measure: str, window: Window, level: str | None) -> int:
    levels = activities.get(measure, {})
    chosen = levels.values() if level is None else [levels.get(level, {})]
    return sum(n for days in chosen for day, n in days.items() if window.first <= day <= window.last)


def _shown(counted: Counted, window: Window) -> tuple[Window | None, bool]:
    """What Social shows of a window, none before a first day of it is over; and whether a window that is over is not over here.

    Doubt: an open window is said once, not on each cell, also where an establishment still lives the last day shown. Minutes,
    hence `share`, are those of the days that are over.
    """
    establishment = counted.establishment
    last = window.last
    while last >= window.first and counted.now < midnight(last + timedelta(days=1), establishment.zone):
        last -= timedelta(days=1)
    begun = last >= max(window.first, establishment.opened or window.first)
    late = window.complete and any(map(establishment.open_on, days_between(last + timedelta(days=1), window.last)))
    return (replace(window, last=last) if begun else None), late
