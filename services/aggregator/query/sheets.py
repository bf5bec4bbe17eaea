"""Sheets as read from the store, and piles of them unpacked together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import NamedTuple

import numpy as np

from contracts.catalogue import CATALOGUE, Grain
from contracts.packed import unpack
from contracts.periods import next_start, period_start
from services.aggregator.query.lines import Roll
from services.aggregator.query.matrix import Codes, Counts, Indexes, dense
from services.aggregator.query.states import Flags


class Batch(NamedTuple):
    """The sheets of one period as stored: whose each is, its packed cells, its bit per family that a `cut` report touches.

    One object a period, not one a sheet: a month of days of a thousand establishments is read in one go.
    """

    grain: Grain
    start: date
    uais: Sequence[str]
    cells: Sequence[bytes]
    cut_families: Sequence[int]
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


_FAMILY_BITS = np.zeros(1 << 16, np.int64)
"""For each of the 65,536 codes the bit of its family."""
_FAMILY_BITS[list(CATALOGUE.cells)] = [1 << CATALOGUE.families[cell.family].number for cell in CATALOGUE.cells.values()]


class Pile:
    """Sheets of the lines of a roll, unpacked together; `lines` and `days` say whose and of when each is."""

    def __init__(self, roll: Roll, batches: Sequence[Batch], codes: Codes) -> None:
        sizes = [len(batch.uais) for batch in batches]
        self.codes = codes
        self.lines = np.array([roll.place[uai] for batch in batches for uai in batch.uais], np.int64)
        self.days = np.repeat(np.array([batch.start.toordinal() for batch in batches], np.int64), sizes)
        self.cut_families = np.array([cut for batch in batches for cut in batch.cut_families], np.int64)
        self._packed = [cells for batch in batches for cells in batch.cells]
        self.counts = dense(self._packed, codes)
        self.as_of = max((batch.as_of for batch in batches), default=None)
        self._size = len(roll)

    def __len__(self) -> int:
        """How many sheets."""
        return len(self.lines)

    def by_line(self) -> Counts:
        """One row per line, the sum of its sheets."""
        counts = np.zeros((self._size, len(self.codes)))
        if len(np.unique(self.days)) > 1:
            np.add.at(counts, self.lines, self.counts)
        else:  # one sheet a line, and no sum to make
            counts[self.lines] = self.counts
        return counts

    def families(self, asked: Flags) -> Indexes:
        """For each line, a bit per family that any cell of its sheets is of; looked up where asked only."""
        families = np.zeros(self._size, np.int64)
        for place in np.flatnonzero(asked[self.lines]).tolist():
            codes, _ = unpack(self._packed[place])
            families[self.lines[place]] |= np.bitwise_or.reduce(_FAMILY_BITS[codes], initial=0)
        return families

    def sum_of(self, codes: Iterable[int]) -> Counts:
        """For each line the sum of these cells."""
        return add_by_line(self.lines, self.counts[:, self.codes.places(codes)].sum(axis=1), self._size)


class Piles:
    """The sheets read for one question; each span is unpacked once, however many windows share it."""

    def __init__(self, roll: Roll, batches: Sequence[Batch], codes: Codes) -> None:
        self._roll = roll
        self._codes = codes
        self._batches = batches
        self._piles: dict[Span | None, Pile] = {None: Pile(roll, (), codes)}

    def of(self, span: Span | None) -> Pile:
        """The sheets of a span; none for no span."""
        if span not in self._piles:
            assert span
            held = [batch for batch in self._batches if span.holds(batch.grain, batch.start)]
            self._piles[span] = Pile(self._roll, held, self._codes)
        return self._piles[span]
