"""Flows of the journal: sums per measure and level over the days of a window (rules.md 1, 2 and 3)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from tests.support.oracle.cells import Cell, without_value
from tests.support.oracle.days import midnight
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
    shown = _to_yesterday(counted, window) if THEME[measures[0]] == "social" else window
    if not counted.establishment.open_in(window):
        return without_value("na")
    quality = counted.activity_quality(shown) if shown else Quality("nd")
    if quality.state in ("nd", "na"):
        return without_value(quality.state)
    assert shown
    value = Fraction(sum(_added(counted.activities, measure, shown, level) for measure in measures))
    partial = quality.state == "partial"
    return Cell(value, quality.state, quality.share if partial else None)


def _added(activities: ByMeasure, measure: str, window: Window, level: str | None) -> int:
    levels = activities.get(measure, {})
    chosen = levels.values() if level is None else [levels.get(level, {})]
    return sum(n for days in chosen for day, n in days.items() if window.first <= day <= window.last)


def _to_yesterday(counted: Counted, window: Window) -> Window | None:
    """The part of a window whose local days are over; None before the first of them is.

    Doubt: minutes are then those of these days, so that `share` speaks of what is shown. The days before the
    establishment opened are none of its first ones.
    """
    last = window.last
    while last >= window.first and counted.now < midnight(last + timedelta(days=1), counted.establishment.zone):
        last -= timedelta(days=1)
    opened = counted.establishment.opened
    begun = last >= max(window.first, opened or window.first)
    return replace(window, last=last) if begun else None
