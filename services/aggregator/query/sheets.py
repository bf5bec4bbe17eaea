"""Sheets as read from the store, and piles of them unpacked together. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import NamedTuple

import numpy as np

from contracts.catalogue import Grain
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

    def holds(self, sheet: Sheet) -> bool:
        return sheet.grain == self.grain and self.first <= sheet.start <= self.last


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
        np.add.at(counts, self.lines, self.counts)
        return counts

    def sum_of(self, codes: Iterable[int]) -> Counts:
        """For each line the sum of these cells."""
        return add_by_line(self.lines, self.counts[:, self.codes.places(codes)].sum(axis=1), self._size)
