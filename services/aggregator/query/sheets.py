"""Sheets as read from the store, and piles of them unpacked together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from itertools import chain
from typing import NamedTuple

import numpy as np

from contracts.catalogue import Grain
from contracts.periods import next_start, period_start
from services.aggregator.query.lines import Roll
from services.aggregator.query.matrix import Codes, Counts, Indexes, dense


class Sheet(NamedTuple):
    """One sheet as stored: packed cells, one bit per family that a `cut` report touches."""

    uai: str
    grain: Grain
    start: date
    cells: bytes
    cut_families: int
    as_of: datetime


class Span(NamedTuple):
    """Sheets of one grain that start in [first, last]."""

    grain: Grain
    first: date
    last: date

    def holds(self, grain: Grain, start: date) -> bool:
        return grain == self.grain and self.first <= start <= self.last

    @property
    def periods(self) -> Iterator[tuple[Grain, date]]:
        """Each period of the span: its grain and first day."""
        start = period_start(self.grain, self.first)
        while start <= self.last:
            if start >= self.first:
                yield self.grain, start
            start = next_start(self.grain, start)

    @classmethod
    def of_period(cls, grain: Grain, start: date) -> Span:
        """The one period that starts there."""
        return cls(grain, start, start)


class Moment(NamedTuple):
    """When a question is asked: the instant, and the date in the territory's zone."""

    now: datetime
    today: date


def add_by_line(lines: Indexes, counts: Counts, size: int) -> Counts:
    """For each of `size` lines the sum of the counts that are its own."""
    return np.bincount(lines, counts, size).astype(np.float64)


class Pile:
    """Sheets of the lines of a roll, unpacked together; `lines` and `days` say whose and of when each is."""

    def __init__(self, roll: Roll, sheets: Iterable[Sheet], codes: Codes) -> None:
        self.sheets = tuple(sheets)
        self.codes = codes
        self.lines = np.array([roll.place[sheet.uai] for sheet in self.sheets], np.int64)
        self.days = np.array([sheet.start.toordinal() for sheet in self.sheets], np.int64)
        self.counts = dense([sheet.cells for sheet in self.sheets], codes)
        self._size = len(roll)

    def by_line(self) -> Counts:
        """One row per line, the sum of its sheets."""
        counts = np.zeros((self._size, len(self.codes)))
        if len(np.unique(self.days)) > 1:
            np.add.at(counts, self.lines, self.counts)
        else:  # one sheet a line, and no sum to make
            counts[self.lines] = self.counts
        return counts

    def sum_of(self, codes: Iterable[int]) -> Counts:
        """For each line the sum of these cells."""
        return add_by_line(self.lines, self.counts[:, self.codes.places(codes)].sum(axis=1), self._size)


class Piles:
    """The sheets read for one question; each span is unpacked once, however many windows share it."""

    def __init__(self, roll: Roll, sheets: Iterable[Sheet], codes: Codes) -> None:
        self._roll = roll
        self._codes = codes
        self._by_period: dict[tuple[Grain, date], list[Sheet]] = {}
        for sheet in sheets:
            self._by_period.setdefault((sheet.grain, sheet.start), []).append(sheet)
        self._piles: dict[Span | None, Pile] = {None: Pile(roll, (), codes)}

    def of(self, span: Span | None) -> Pile:
        """The sheets of a span; none for no span."""
        if span not in self._piles:
            assert span
            periods = [sheets for (grain, start), sheets in self._by_period.items() if span.holds(grain, start)]
            self._piles[span] = Pile(self._roll, chain.from_iterable(periods), self._codes)
        return self._piles[span]
