"""The periods of a flush, numbered, each with the coarser one that it is folded into. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import lru_cache

import numpy as np

from contracts.catalogue import GRAINS
from contracts.periods import next_start, period_start
from services.aggregator.cells import Ints
from services.aggregator.reports import Period

HOUR, DAY, MONTH, SCHOOL_YEAR = range(len(GRAINS))
NOWHERE = -1


@lru_cache(maxsize=65536)
def start_at(grain: int, day: int) -> int:
    """Ordinal of the first day of the period of `grain` that holds the day of ordinal `day`."""
    return period_start(GRAINS[grain], date.fromordinal(day)).toordinal()


@lru_cache(maxsize=65536)
def end_of(grain: int, start: int) -> int:
    """Ordinal of the first day after the period."""
    return next_start(GRAINS[grain], date.fromordinal(start)).toordinal()


class Periods:
    """Numbers from 0; a day brings its month, a month its school year, so that every sheet a report reaches is here."""

    def __init__(self, periods: Iterable[Period] = ()) -> None:
        self._numbers: dict[Period, int] = {}
        self._above: list[int] = []
        self.add(periods)

    def __len__(self) -> int:
        return len(self._above)

    def add(self, periods: Iterable[Period]) -> Ints:
        """The numbers of these periods; those that are new get one, and so do the coarser ones above them."""
        return np.array([self.number(period) for period in periods], np.int64)

    def number(self, period: Period) -> int:
        known = self._numbers.get(period)
        if known is not None:
            return known
        above = self.number(_above(period)) if HOUR < period.grain < SCHOOL_YEAR else NOWHERE
        self._numbers[period] = number = len(self._above)
        self._above.append(above)
        return number

    @property
    def known(self) -> list[Period]:
        """All of them, by number."""
        return list(self._numbers)

    @property
    def above(self) -> Ints:
        """By number, the number of the coarser period; NOWHERE above school years and hours."""
        return np.array(self._above, np.int64)

    @property
    def grains(self) -> Ints:
        return np.array([period.grain for period in self._numbers], np.int64)

    @property
    def starts(self) -> Ints:
        return np.array([period.start for period in self._numbers], np.int64)


def _above(period: Period) -> Period:
    return Period(period.uai, period.grain + 1, start_at(period.grain + 1, period.start))
