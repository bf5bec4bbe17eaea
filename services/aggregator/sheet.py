"""Sheets: what an establishment's reports of one day, month or school year come to, folded by difference. Pure.

A month's cell is the greater of its own reports (counters added over agents) and the sum of its days; a school year's likewise
over months. People are reported at the grain where they are shown and never folded; of a census the newest date stands in the
school year. `Sheet.folded` keeps the sum of the finer sheets, so a changed day costs one month and one year, not thirty days.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from contracts.catalogue import CATALOGUE
from services.aggregator.cells import NO_CELLS, Cells, Ints, gather, greatest, join, scatter, total
from services.aggregator.periods import DAY, HOUR, MONTH, NOWHERE, SCHOOL_YEAR, Periods
from services.aggregator.reports import Bools, Reports

_FAMILIES = list(CATALOGUE.families.values())
_UNKNOWN_FAMILY = 63
_RESTATEMENT_BITS = 40


def _flags(*kinds: str) -> Bools:
    """By family number, whether the family is of one of these kinds."""
    flags = np.zeros(_UNKNOWN_FAMILY + 1, np.bool_)
    flags[[family.number for family in _FAMILIES if family.kind in kinds]] = True
    return flags


_ADDED, _CENSUS, _PEOPLE, _FOLDED = _flags("counter"), _flags("level"), _flags("people"), _flags("counter", "minutes")
CENSUSES = frozenset(np.flatnonzero(_CENSUS).tolist())
"""Numbers of the families whose reports of a day stand in the school year."""

FAMILY_OF_CODE = np.full(1 << 16, _UNKNOWN_FAMILY, np.int64)
"""Number of the family of each cell code; 63 where the catalogue has none."""
for _cell in CATALOGUE.cells.values():
    FAMILY_OF_CODE[_cell.code] = CATALOGUE.families[_cell.family].number
_IS_FOLDED, _KEEPS_ZERO = _FOLDED[FAMILY_OF_CODE], _CENSUS[FAMILY_OF_CODE]


class Sheet(NamedTuple):
    """One row of `usage.sheets`; `as_of` in ms, `cut_families` with bit n for family number n."""

    cells: bytes = b""
    folded: bytes = b""
    cut_families: int = 0
    as_of: int = 0
    frozen: bool = False


EMPTY = Sheet()


def sheet_grain(family: int, grain: int) -> int:
    """The grain of the sheet in which a family's reports of `grain` stand: their own, but the school year's for a census."""
    return SCHOOL_YEAR if family in CENSUSES and grain == DAY else grain


def homes(periods: Periods, reports: Reports) -> Ints:
    """The number of the period in whose sheet each report stands; for those of hours, which have none, their own."""
    above = periods.above
    of_census = _CENSUS[reports.families] & (periods.grains[reports.periods] == DAY)
    return np.where(of_census, above[above[reports.periods]], reports.periods)


def fold(periods: Periods, reports: Reports, changed: Bools, sheets: Mapping[int, Sheet]) -> dict[int, Sheet]:
    """The sheets that differ, by the numbers of their periods, once the reports under `changed` are as `reports` says.

    `reports` holds every report of `periods` (and of a changed census, those of all dates of its school year), `sheets` the
    stored ones. Frozen sheets are left as they are and pass nothing on.
    """
    dated = periods.grains[reports.periods] != HOUR
    return _Folding(periods, reports.where(dated), changed[dated], sheets).run()


class _Folding:
    """One fold: level by level, all establishments at once."""

    def __init__(self, periods: Periods, reports: Reports, changed: Bools, sheets: Mapping[int, Sheet]) -> None:
        self._above, self._grains = periods.above, periods.grains
        self._sheets = sheets
        self._frozen = np.zeros(len(periods), np.bool_)
        self._frozen[[number for number, sheet in sheets.items() if sheet.frozen]] = True
        self._newest = np.zeros(len(periods), np.int64)
        at_home = reports._replace(periods=homes(periods, reports))
        self._own = np.unique(_parts(at_home)[changed])
        self._standing = _newest_census(at_home, periods.starts[reports.periods])
        parts = _parts(self._standing)
        self._judged = np.isin(parts, self._own)
        _, place, agents = np.unique(parts, return_inverse=True, return_counts=True)
        self._shared = agents[place] > 1
        self._rows = np.full(len(periods), NOWHERE, np.int64)
        self._here = np.zeros(len(periods), np.bool_)
        self._folded: dict[int, Sheet] = {}

    def run(self) -> dict[int, Sheet]:
        numbers, delta = np.empty(0, np.int64), NO_CELLS
        for grain in (DAY, MONTH, SCHOOL_YEAR):
            numbers, delta = self._level(grain, numbers, delta)
        return {number: sheet for number, sheet in self._folded.items() if self._sheets.get(number) != sheet}

    def _level(self, grain: int, finer: Ints, delta: Cells) -> tuple[Ints, Cells]:
        """Fold one grain; `delta` is what the `finer` sheets gained. Gives the sheets that changed and what they gained."""
        above, own = self._above[finer], self._own >> 6
        numbers = np.unique(np.append(above, own[self._grains[own] == grain]))
        numbers = numbers[~self._frozen[numbers]]
        if not numbers.size:
            return numbers, NO_CELLS
        self._rows[numbers] = np.arange(numbers.size)
        self._here = np.zeros(self._grains.size, np.bool_)
        self._here[numbers] = True
        arrived = delta.moved(self._rows[above]) if above.size else NO_CELLS
        np.maximum.at(self._newest, above, self._newest[finer])
        return numbers, self._rewrite(numbers, total(arrived.where(arrived.rows >= 0)))

    def _rewrite(self, numbers: Ints, arrived: Cells) -> Cells:
        """Make the new cells of the sheets `numbers`, remember them, and return by how much their folded families changed."""
        n = numbers.size
        old = [self._sheets.get(number, EMPTY) for number in numbers.tolist()]
        again = self._made_again(numbers, arrived)
        before = gather(range(n), [sheet.cells for sheet in old])
        sums = _non_zero(total(join(gather(range(n), [sheet.folded for sheet in old]), arrived)))
        fresh = greatest(join(self._own_cells(again), sums.where(again[sums.rows, FAMILY_OF_CODE[sums.codes]])))
        fresh = fresh.where((fresh.counts > 0) | _KEEPS_ZERO[fresh.codes])
        replaced = again[before.rows, FAMILY_OF_CODE[before.codes]]
        after = greatest(join(before.where(~replaced), fresh))
        self._remember(numbers, old, scatter(after, n), scatter(sums, n))
        change = total(join(fresh, before.where(replaced).negative()))
        return _non_zero(change.where(_IS_FOLDED[change.codes]))

    def _made_again(self, numbers: Ints, arrived: Cells) -> Bools:
        """By row and family, whether its cells must be made again: something arrived from below, or a report changed."""
        again = np.zeros((numbers.size, _UNKNOWN_FAMILY + 1), np.bool_)
        again[arrived.rows, FAMILY_OF_CODE[arrived.codes]] = True
        own = self._own[self._here[self._own >> 6]]
        again[self._rows[own >> 6], own & _UNKNOWN_FAMILY] = True
        return again

    def _own_cells(self, again: Bools) -> Cells:
        """Own-grain reports of the families to make again, counters added over agents; the greatest of the others is still to find."""
        reports = self._standing
        rows = np.where(self._here[reports.periods], self._rows[reports.periods], NOWHERE)
        asked = (rows >= 0) & again[rows, reports.families]
        rows, added = rows[asked], self._shared[asked] & _ADDED[reports.families[asked]]
        reports = reports.where(asked)
        cells = reports.cells(rows)
        if not added.any():
            return cells
        of_added = np.repeat(added, reports.sizes)
        return join(total(cells.where(of_added)), cells.where(~of_added))

    def _remember(self, numbers: Ints, old: list[Sheet], cells: list[bytes], folded: list[bytes]) -> None:
        """The new sheets, with the cut flags and the newest append time of their own changed reports and of finer sheets."""
        judged, cut = self._cut_flags(numbers)
        known = np.array([sheet.as_of for sheet in old], np.int64)
        self._newest[numbers] = np.maximum(self._newest[numbers], known)
        rows = zip(
            numbers.tolist(),
            old,
            cells,
            folded,
            judged.tolist(),
            cut.tolist(),
            self._newest[numbers].tolist(),
            strict=True,
        )
        for number, sheet, packed, sums, families, cut_families, as_of in rows:
            self._folded[number] = Sheet(packed, sums, (sheet.cut_families & ~families) | cut_families, as_of)

    def _cut_flags(self, numbers: Ints) -> tuple[Ints, Ints]:
        """For each sheet, as bits: the families of which a report changed, and those of them that are cut. Notes append times."""
        reports = self._standing
        mine = self._here[reports.periods] & self._judged
        periods, families = reports.periods[mine], reports.families[mine]
        np.maximum.at(self._newest, periods, reports.as_of[mine])
        cut = reports.cuts[mine] | (self._shared[mine] & _PEOPLE[families] & (self._grains[periods] >= MONTH))
        bits = np.int64(1) << families
        judged, flagged = np.zeros((2, numbers.size), np.int64)
        np.bitwise_or.at(judged, self._rows[periods], bits)
        np.bitwise_or.at(flagged, self._rows[periods], np.where(cut, bits, 0))
        return judged, flagged


def _parts(reports: Reports) -> Ints:
    """Period and family in one integer: the part of a sheet that a report makes."""
    return (reports.periods << 6) | reports.families


def _newest_census(reports: Reports, starts: Ints) -> Reports:
    """The reports, of each census only those of its newest date and, of it, of the last reading, dated as the newest of all."""
    of_census = np.flatnonzero(_CENSUS[reports.families])
    if not of_census.size:
        return reports
    part, place = np.unique(_parts(reports)[of_census], return_inverse=True)
    readings = (starts[of_census] << _RESTATEMENT_BITS) | reports.restatements[of_census]
    last, as_of = np.zeros((2, part.size), np.int64)
    np.maximum.at(last, place, readings)
    np.maximum.at(as_of, place, reports.as_of[of_census])
    dates, stands = reports.as_of.copy(), np.ones(reports.n, np.bool_)
    dates[of_census], stands[of_census] = as_of[place], readings == last[place]
    return reports._replace(as_of=dates).where(stands)


def _non_zero(cells: Cells) -> Cells:
    return cells.where(cells.counts != 0)
