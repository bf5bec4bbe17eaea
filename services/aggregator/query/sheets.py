"""Sheets as read from the store, and piles of them unpacked together. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.catalogue import CATALOGUE, Grain
from contracts.packed import unpack
from contracts.periods import next_start, period_start
from services.aggregator.query.lines import Roll
from services.aggregator.query.matrix import Codes, Counts, Indexes, dense
from services.aggregator.query.states import Flags

Period = tuple[Grain, date]
"""A grain and the first day."""


class Mark(NamedTuple):
    """What PostgreSQL's snapshot held when a period was read, as it writes it, and its horizon: all older transactions had ended."""

    snapshot: str
    horizon: str


NEVER = Mark("", "")
"""Of a period that has not been read yet."""


class Batch(NamedTuple):
    """The sheets of one period as stored: whose each is, its packed cells, its bit per family that a `cut` report touches.

    One object a period, not one a sheet: a month of days of a thousand establishments is read in one go. `held`: how many
    sheets there are; of those that were known at an earlier `Mark` only the changed ones are listed. None: nothing was
    committed since.
    """

    grain: Grain
    start: date
    uais: Sequence[str]
    cells: Sequence[bytes]
    cut_families: Sequence[int]
    as_ofs: Sequence[datetime]
    held: int | None
    mark: Mark = NEVER


class Span(NamedTuple):
    """Sheets of one grain that start in [first, last]."""

    grain: Grain
    first: date
    last: date

    def holds(self, grain: Grain, start: date) -> bool:
        return grain == self.grain and self.first <= start <= self.last

    @property
    def periods(self) -> Iterator[Period]:
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

    @property
    def quarter(self) -> tuple[int, int]:
        """Equal for moments between which nothing passes that an answer asks the clock for.

        That is the ends of hours, days and months in some zone, all at whole quarters of an hour of UTC; some comparisons take
        an end itself for passed and some do not, so that an instant at a whole quarter equals none beside it.
        """
        quarters = self.now.timestamp() / _QUARTER_S
        return math.floor(quarters), math.ceil(quarters)


def add_by_line(lines: Indexes, counts: Counts, size: int) -> Counts:
    """For each of `size` lines the sum of the counts that are its own."""
    return np.bincount(lines, counts, size).astype(np.float64)


_FAMILY_BITS = np.zeros(1 << 16, np.int64)
"""For each of the 65,536 codes the bit of its family."""
_FAMILY_BITS[list(CATALOGUE.cells)] = [1 << CATALOGUE.families[cell.family].number for cell in CATALOGUE.cells.values()]
_QUARTER_S = 900
_versions = itertools.count()


@dataclass(frozen=True, eq=False)
class PeriodSheets:
    """Sheets of one period, unpacked: a row of the wanted counts for each of `uais`. Arrays are not to be written to.

    `families`: of sheets of a school year, a bit per family that any cell of each is of, wanted or not. `version`: another
    number as soon as anything else in here is another.
    """

    grain: Grain
    start: date
    uais: Sequence[str]
    counts: Counts
    cut_families: NDArray[np.int64]
    families: NDArray[np.int64]
    as_ofs: Sequence[datetime]
    version: int = field(default_factory=_versions.__next__)

    @classmethod
    def of(cls, batch: Batch, codes: Codes) -> PeriodSheets:
        """All the sheets of a batch."""
        cuts, families = np.array(batch.cut_families, np.int64), np.zeros(len(batch.uais), np.int64)
        if batch.grain == "school_year":
            families = np.array([_families(cells) for cells in batch.cells], np.int64)
        return cls(batch.grain, batch.start, batch.uais, dense(batch.cells, codes), cuts, families, batch.as_ofs)

    @property
    def weight(self) -> int:
        """Bytes, near enough."""
        return self.counts.nbytes + _SHEET_WEIGHT * len(self.uais)

    def changed(self, batch: Batch, codes: Codes) -> PeriodSheets:
        """These with the sheets of a batch in place of their own; the same object where that makes no difference."""
        newer = PeriodSheets.of(batch, codes)
        if not newer.uais or self._holds(newer):
            return self
        kept = np.flatnonzero([uai not in newer.place for uai in self.uais])
        old = kept.tolist()
        return PeriodSheets(
            self.grain,
            self.start,
            [*(self.uais[row] for row in old), *newer.uais],
            np.concatenate([self.counts[kept], newer.counts]),
            np.concatenate([self.cut_families[kept], newer.cut_families]),
            np.concatenate([self.families[kept], newer.families]),
            [*(self.as_ofs[row] for row in old), *newer.as_ofs],
        )

    @cached_property
    def place(self) -> dict[str, int]:
        """Row of each UAI."""
        return {uai: row for row, uai in enumerate(self.uais)}

    def _holds(self, newer: PeriodSheets) -> bool:
        rows = [self.place.get(uai, -1) for uai in newer.uais]
        return (
            min(rows) >= 0
            and [self.as_ofs[row] for row in rows] == list(newer.as_ofs)
            and np.array_equal(self.cut_families[rows], newer.cut_families)
            and np.array_equal(self.families[rows], newer.families)
            and np.array_equal(self.counts[rows], newer.counts)
        )


def _families(cells: bytes) -> int:
    return int(np.bitwise_or.reduce(_FAMILY_BITS[unpack(cells)[0]], initial=0))


_SHEET_WEIGHT = 300
"""Of a sheet beside its counts: an UAI, its place, an instant."""


class Pile:
    """Sheets of the lines of a roll, together; `lines` and `days` say whose and of when each is."""

    def __init__(self, roll: Roll, sheets: Sequence[PeriodSheets], codes: Codes) -> None:
        sizes = [len(each.uais) for each in sheets]
        self.codes = codes
        self.lines = np.array([roll.place[uai] for each in sheets for uai in each.uais], np.int64)
        self.days = np.repeat(np.array([each.start.toordinal() for each in sheets], np.int64), sizes)
        self.cut_families = np.concatenate([_NO_FLAGS, *(each.cut_families for each in sheets)])
        self._families = np.concatenate([_NO_FLAGS, *(each.families for each in sheets)])
        self.counts = _stacked([each.counts for each in sheets], len(codes))
        self.as_of = max(itertools.chain.from_iterable(each.as_ofs for each in sheets), default=None)
        self._size = len(roll)

    def __len__(self) -> int:
        """How many sheets."""
        return len(self.lines)

    def by_line(self) -> Counts:
        """One row per line, the sum of its sheets; the caller's own."""
        counts = np.zeros((self._size, len(self.codes)))
        if len(np.unique(self.days)) > 1:
            np.add.at(counts, self.lines, self.counts)
        else:  # one sheet a line, and no sum to make
            counts[self.lines] = self.counts
        return counts

    def families(self, asked: Flags) -> Indexes:
        """For each line a bit per family that any cell of its school years is of, where asked."""
        families = np.zeros(self._size, np.int64)
        np.bitwise_or.at(families, self.lines, self._families)
        return np.where(asked, families, 0)

    def sum_of(self, codes: Iterable[int]) -> Counts:
        """For each line the sum of these cells."""
        return add_by_line(self.lines, self.counts[:, self.codes.places(codes)].sum(axis=1), self._size)


_NO_FLAGS = np.zeros(0, np.int64)


def _stacked(counts: Sequence[Counts], width: int) -> Counts:
    return counts[0] if len(counts) == 1 else np.concatenate([np.zeros((0, width)), *counts])


class Piles:
    """The sheets read for one question; each span is put together once, however many windows share it."""

    def __init__(self, roll: Roll, sheets: Sequence[PeriodSheets], codes: Codes) -> None:
        self._roll = roll
        self._codes = codes
        self._sheets = sheets
        self._piles: dict[Span | None, Pile] = {None: Pile(roll, (), codes)}

    def of(self, span: Span | None) -> Pile:
        """The sheets of a span; none for no span."""
        if span not in self._piles:
            assert span
            held = [each for each in self._sheets if span.holds(each.grain, each.start)]
            self._piles[span] = Pile(self._roll, held, self._codes)
        return self._piles[span]
