"""Sheets: what an establishment's reports of one day, month or school year come to, folded by difference. Pure.

A month's cell is the greater of its own reports (counters added over agents) and the sum of its days; a school year's likewise
over months. People are reported at the grain where they are shown and never folded; of a census the newest date stands in the
school year. `Sheet.folded` keeps the sum of the finer sheets, so a changed day costs one month and one year, not thirty days.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.catalogue import CATALOGUE, GRAINS
from contracts.periods import next_start, period_start
from services.aggregator.cells import NO_CELLS, Cells, gather, greatest, join, scatter, total
from services.aggregator.merge import Key, State

DAY, MONTH, SCHOOL_YEAR = (GRAINS.index(grain) for grain in ("day", "month", "school_year"))

_FAMILIES = list(CATALOGUE.families.values())
_UNKNOWN_FAMILY = 63
_ADDED = frozenset(family.number for family in _FAMILIES if family.kind == "counter")
_CENSUSES = frozenset(family.number for family in _FAMILIES if family.kind == "level")
_PEOPLE = frozenset(family.number for family in _FAMILIES if family.kind == "people")
_FOLDED = frozenset(family.number for family in _FAMILIES if family.kind in {"counter", "minutes"})
_OWN_GRAINS = {family.number: frozenset(GRAINS.index(grain) for grain in family.grains) for family in _FAMILIES}

FAMILY_OF_CODE = np.full(1 << 16, _UNKNOWN_FAMILY, np.int64)
"""Number of the family of each cell code; 63 where the catalogue has none."""
for _cell in CATALOGUE.cells.values():
    FAMILY_OF_CODE[_cell.code] = CATALOGUE.families[_cell.family].number
_IS_FOLDED = np.isin(FAMILY_OF_CODE, list(_FOLDED))
_KEEPS_ZERO = np.isin(FAMILY_OF_CODE, list(_CENSUSES))


class Period(NamedTuple):
    """One family in one period of an establishment, over all agents."""

    uai: str
    family: int
    grain: int
    start: int


class SheetKey(NamedTuple):
    """`start` is the proleptic ordinal of a local date."""

    uai: str
    grain: int
    start: int


class Sheet(NamedTuple):
    """One row of `usage.sheets`; `as_of` in ms, `cut_families` with bit n for family number n."""

    cells: bytes = b""
    folded: bytes = b""
    cut_families: int = 0
    as_of: int = 0
    frozen: bool = False


EMPTY = Sheet()


def period_of(key: Key) -> Period:
    return Period(key.uai, key.family, key.grain, key.start)


@lru_cache(maxsize=65536)
def start_at(grain: int, day: int) -> int:
    """Ordinal of the first day of the period of `grain` that holds the day of ordinal `day`."""
    return period_start(GRAINS[grain], date.fromordinal(day)).toordinal()


@lru_cache(maxsize=65536)
def end_of(grain: int, start: int) -> int:
    """Ordinal of the first day after the period."""
    return next_start(GRAINS[grain], date.fromordinal(start)).toordinal()


def own_sheet(period: Period) -> SheetKey:
    """The sheet in which a period's reports stand: their own, but the school year's for a census."""
    grain = sheet_grain(period.family, period.grain)
    return SheetKey(period.uai, grain, start_at(grain, period.start))


def sheet_grain(family: int, grain: int) -> int:
    """The grain of the sheet in which a family's reports of `grain` stand."""
    return SCHOOL_YEAR if family in _CENSUSES else grain


def touched(periods: Iterable[Period]) -> set[SheetKey]:
    """The sheets that a change of these periods reaches: their own and the coarser ones."""
    own = {own_sheet(period) for period in periods}
    return {
        SheetKey(uai, coarser, start_at(coarser, start))
        for uai, grain, start in own
        for coarser in range(grain, SCHOOL_YEAR + 1)
    }


def needed(periods: Iterable[Period]) -> set[Period]:
    """The periods whose reports `fold` must be given, all agents: those that changed, and their families' own coarser reports."""
    return {
        Period(uai, family, coarser, start_at(coarser, start))
        for uai, family, grain, start in periods
        if family not in _CENSUSES
        for coarser in range(grain, SCHOOL_YEAR + 1)
        if coarser == grain or (family in _FOLDED and coarser in _OWN_GRAINS[family])
    }


def censuses(periods: Iterable[Period]) -> set[Period]:
    """The school years whose census reports `fold` must be given, all dates of them."""
    return {
        Period(uai, family, SCHOOL_YEAR, start_at(SCHOOL_YEAR, start))
        for uai, family, _, start in periods
        if family in _CENSUSES
    }


def fold(
    changed: Iterable[Period], reports: Mapping[Key, State], sheets: Mapping[SheetKey, Sheet]
) -> dict[SheetKey, Sheet]:
    """The sheets that differ once the `changed` periods are as `reports` says.

    `reports` holds those of `needed(changed)` and `censuses(changed)`, `sheets` those of `touched(changed)` that exist.
    Frozen sheets are left as they are and pass nothing on.
    """
    return _Folding(changed, reports, sheets).run()


class _Folding:
    """One fold: level by level, all establishments at once."""

    def __init__(
        self, changed: Iterable[Period], reports: Mapping[Key, State], sheets: Mapping[SheetKey, Sheet]
    ) -> None:
        self._own: defaultdict[SheetKey, list[int]] = defaultdict(list)
        for period in set(changed):
            self._own[own_sheet(period)].append(period.family)
        self._states = _by_sheet(reports)
        self._sheets = sheets
        self._folded: dict[SheetKey, Sheet] = {}

    def run(self) -> dict[SheetKey, Sheet]:
        keys: list[SheetKey] = []
        delta = NO_CELLS
        for grain in (DAY, MONTH, SCHOOL_YEAR):
            keys, delta = self._level(grain, keys, delta)
        return {key: sheet for key, sheet in self._folded.items() if self._sheets.get(key) != sheet}

    def _level(self, grain: int, finer: list[SheetKey], delta: Cells) -> tuple[list[SheetKey], Cells]:
        """Fold one grain; `delta` is what the `finer` sheets gained. Gives the sheets that changed and what they gained."""
        above = [SheetKey(uai, grain, start_at(grain, start)) for uai, _, start in finer]
        keys = [
            key
            for key in dict.fromkeys([*above, *(key for key in self._own if key.grain == grain)])
            if not self._sheets.get(key, EMPTY).frozen
        ]
        if not keys:
            return [], NO_CELLS
        row_of = {key: row for row, key in enumerate(keys)}
        places = np.array([row_of.get(key, -1) for key in above], np.int64)
        arrived = delta.moved(places) if places.size else NO_CELLS
        gained = self._rewrite(keys, total(arrived.where(arrived.rows >= 0)))
        self._date(finer, above)
        return keys, gained

    def _rewrite(self, keys: list[SheetKey], arrived: Cells) -> Cells:
        """Make the new cells of `keys`, remember the sheets, and return by how much their folded families changed."""
        n = len(keys)
        old = [self._sheets.get(key, EMPTY) for key in keys]
        affected = self._affected(keys, arrived)
        before = gather(range(n), [sheet.cells for sheet in old])
        sums = _non_zero(total(join(gather(range(n), [sheet.folded for sheet in old]), arrived)))
        again = affected[before.rows, FAMILY_OF_CODE[before.codes]]
        own = self._own_cells(keys, affected)
        fresh = greatest(join(own, sums.where(affected[sums.rows, FAMILY_OF_CODE[sums.codes]])))
        fresh = fresh.where((fresh.counts > 0) | _KEEPS_ZERO[fresh.codes])
        after = greatest(join(before.where(~again), fresh))
        for key, sheet, cells, folded in zip(keys, old, scatter(after, n), scatter(sums, n), strict=True):
            self._folded[key] = self._dated(key, sheet._replace(cells=cells, folded=folded))
        change = total(join(fresh, before.where(again).negative()))
        return _non_zero(change.where(_IS_FOLDED[change.codes]))

    def _affected(self, keys: list[SheetKey], arrived: Cells) -> NDArray[np.bool_]:
        """For each row, the families whose cells must be made again."""
        affected = np.zeros((len(keys), _UNKNOWN_FAMILY + 1), np.bool_)
        affected[arrived.rows, FAMILY_OF_CODE[arrived.codes]] = True
        for row, key in enumerate(keys):
            if key in self._own:
                affected[row, self._own[key]] = True
        return affected

    def _own_cells(self, keys: list[SheetKey], affected: NDArray[np.bool_]) -> Cells:
        """Own-grain reports of the affected families: counters added over agents, of the others the greatest."""
        added: tuple[list[int], list[bytes]] = ([], [])
        others: tuple[list[int], list[bytes]] = ([], [])
        for row, key in enumerate(keys):
            for family, states in self._states.get(key, {}).items():
                if affected[row, family]:
                    rows, packed = added if family in _ADDED else others
                    rows.extend([row] * len(states))
                    packed.extend([state.cells for state in states])
        return join(total(gather(*added)), greatest(gather(*others)))

    def _dated(self, key: SheetKey, sheet: Sheet) -> Sheet:
        """The sheet with the cut flags and the newest append time of its own changed reports."""
        cut, as_of = sheet.cut_families, sheet.as_of
        for family in self._own.get(key, ()):
            states = self._states.get(key, {}).get(family, [])
            bit = 1 << family
            cut = cut | bit if _is_cut(family, key.grain, states) else cut & ~bit
            as_of = max(as_of, *(state.as_of for state in states)) if states else as_of
        return sheet._replace(cut_families=cut, as_of=as_of)

    def _date(self, finer: list[SheetKey], above: list[SheetKey]) -> None:
        """A sheet is as new as the newest of the finer ones."""
        for key, coarser in zip(finer, above, strict=True):
            if (sheet := self._folded.get(coarser)) and sheet.as_of < self._folded[key].as_of:
                self._folded[coarser] = sheet._replace(as_of=self._folded[key].as_of)


def _is_cut(family: int, grain: int, states: list[State]) -> bool:
    shared = family in _PEOPLE and grain in {MONTH, SCHOOL_YEAR} and len(states) > 1
    return shared or any(state.cut for state in states)


def _non_zero(cells: Cells) -> Cells:
    return cells.where(cells.counts != 0)


def _by_sheet(reports: Mapping[Key, State]) -> dict[SheetKey, dict[int, list[State]]]:
    """Reports by the sheet in which they stand and by family, one state an agent; of a census those of its newest date."""
    found: dict[SheetKey, dict[int, list[State]]] = {}
    dated: dict[Period, list[tuple[Key, State]]] = {}
    for key, state in reports.items():
        if key.family in _CENSUSES:
            dated.setdefault(Period(key.uai, key.family, SCHOOL_YEAR, start_at(SCHOOL_YEAR, key.start)), []).append(
                (key, state)
            )
        else:
            sheet = SheetKey(key.uai, key.grain, key.start)
            found.setdefault(sheet, {}).setdefault(key.family, []).append(state)
    for period, census in dated.items():
        found.setdefault(own_sheet(period), {})[period.family] = _newest(census)
    return found


def _newest(census: list[tuple[Key, State]]) -> list[State]:
    """The states of the newest date and, of it, of the last reading; their append time is the newest of all dates."""
    last = max((key.start, state.restatement) for key, state in census)
    as_of = max(state.as_of for _, state in census)
    return [state._replace(as_of=as_of) for key, state in census if (key.start, state.restatement) == last]
