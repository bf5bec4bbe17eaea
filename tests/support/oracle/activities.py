"""Flows of the journal: sums per measure and level, per day (rules.md 1 and 3)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    from tests.support.oracle.counted import Counted


def by_day(counted: Counted) -> Counter[tuple[date, str, str]]:
    """(local day, measure, level) → n."""
    found: Counter[tuple[date, str, str]] = Counter()
    for fact in counted.journal.activities:
        found[fact.day, fact.measure, fact.level] += fact.n
    return found


def in_window(counted: Counted, measure: str, first: date, last: date) -> Counter[str]:
    """Level → n over the days `first` to `last`."""
    found: Counter[str] = Counter()
    for (day, counted_measure, level), n in by_day(counted).items():
        if counted_measure == measure and first <= day <= last:
            found[level] += n
    return found
