"""Reports as columns: thousands of them in a dozen arrays, so that numpy and not Python goes through them. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.aggregator.cells import Cells, Ints

Bools = NDArray[np.bool_]


class Period(NamedTuple):
    """An establishment's hour-reports of a UTC day (grain 0), day, month or school year; `start`: ordinal of its first day.

    What one row holds: the bundle of all its reports, and (but for hours) the sheet that they are folded into.
    """

    uai: str
    grain: int
    start: int


class Reports(NamedTuple):
    """Parallel arrays, one entry a report; then the cells of all, one report after the other.

    `periods`: index in a list of `Period`; `quarters`: of an hour, quarters of an hour since its UTC midnight, else 0;
    `agents`: their numbers; `as_of`: newest Kafka append time in ms; `sizes`: how many cells.
    """

    periods: Ints
    families: Ints
    quarters: Ints
    agents: Ints
    restatements: Ints
    cuts: Bools
    as_of: Ints
    sizes: Ints
    codes: Ints
    counts: Ints

    @property
    def n(self) -> int:
        """How many reports."""
        return self.periods.size

    def where(self, mask: Bools) -> Reports:
        """The reports under `mask`, with their cells."""
        if mask.all():
            return self
        kept = np.repeat(mask, self.sizes)
        return Reports._make((*(column[mask] for column in self[:8]), self.codes[kept], self.counts[kept]))

    def moved(self, places: Ints) -> Reports:
        """The same reports, period p becoming period places[p]."""
        return self._replace(periods=places[self.periods])

    def sums(self) -> Ints:
        """The sum of each report's counts."""
        running = np.append(0, np.cumsum(self.counts))
        ends = np.cumsum(self.sizes)
        sums: Ints = running[ends] - running[ends - self.sizes]
        return sums

    def in_order(self) -> Reports:
        """The same reports by period, then as they came."""
        order = np.argsort(self.periods, kind="stable")
        starts = (np.cumsum(self.sizes) - self.sizes)[order]
        sizes = self.sizes[order]
        begins = np.cumsum(sizes) - sizes
        places = np.repeat(starts - begins, sizes) + np.arange(self.codes.size)
        return Reports._make((*(column[order] for column in self[:8]), self.codes[places], self.counts[places]))

    def cells(self, rows: Ints) -> Cells:
        """All cells, those of report r in row rows[r]."""
        return Cells(np.repeat(rows, self.sizes), self.codes, self.counts)


def join(*heaps: Reports) -> Reports:
    """All the reports of several heaps, one heap after the other."""
    return Reports._make(np.concatenate(columns) for columns in zip(*heaps, strict=True))


_NONE = np.empty(0, np.int64)
NO_REPORTS = Reports._make((*[_NONE] * 5, np.empty(0, np.bool_), *[_NONE] * 4))


def families_of(reports: Reports, n: int) -> list[int]:
    """For each of the periods 0 to n - 1, the families that are reported in it: bit f for family number f."""
    bits = np.zeros(n, np.int64)
    np.bitwise_or.at(bits, reports.periods, np.int64(1) << reports.families)
    families: list[int] = bits.tolist()
    return families
