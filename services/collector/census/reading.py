"""One census file counted: bytes in, counts and faults out. Ids live as long as the call, to tell the same one again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.usage_reported import Report
from services.collector.census.faults import BAD_VALUE, FileFault, RefusedFileError, RowFault
from services.collector.census.rows import UnclosedQuoteError, rows_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from services.collector.census.columns import Column
    from services.collector.census.layouts import Layout

MOST_FAULTS = 1_000
"""Faults listed of one file; all are counted."""


@dataclass(frozen=True)
class Census:
    """What one file says: `counts` by cell code, ascending, without zeros; `rows` counted, faults listed and counted by reason."""

    family: str
    day: date
    counts: dict[int, int]
    rows: int
    faults: tuple[RowFault, ...]
    faults_by_reason: dict[str, int]

    def report(self, restatement: int) -> Report:
        """The report of this census; `restatement` is the UTC second at which it was read, greater at each reading."""
        return Report(
            family=self.family,
            grain="day",
            start=self.day.isoformat(),
            cells=list(self.counts),
            counts=list(self.counts.values()),
            restatement=restatement,
        )


def count(layout: Layout, day: date, content: bytes) -> Census:
    """Count one file's content; `RefusedFileError` when a required column is missing or its rows cannot be told apart."""
    tally = _Tally(layout, day)
    try:
        rows = rows_of(text_of(content))
        tally.head(next(rows, (1, []))[1] or [])
        tally.take(rows)
    except UnclosedQuoteError as error:
        raise tally.refusal("unclosed_quote", line=error.line) from None
    return tally.census()


class _Tally:
    """Counts the rows of one file."""

    def __init__(self, layout: Layout, day: date) -> None:
        self._layout, self._day = layout, day
        self._counts: Counter[int] = Counter({layout.read: 1})
        self._rows = 0
        self._faults: list[RowFault] = []
        self._reasons: Counter[str] = Counter()
        self._ids: set[str] = set()
        self._columns: list[tuple[int, str, Column]] = []
        self._understood: dict[tuple[str, str, str], list[tuple[int, int]] | None] = {}

    def head(self, cells: list[str]) -> None:
        """Take the line of columns: names in any case and order, the first of two alike, unknown ones passed over."""
        places: dict[str, int] = {}
        for place, name in enumerate(cells):
            places.setdefault(name.lower(), place)
        missing = [name for name in self._layout.required_names if name not in places]
        if missing:
            raise self.refusal("missing_column", column=missing[0])
        self._key = places[self._layout.key]
        self._grouping = places[self._layout.grouping] if self._layout.grouping else None
        known = {**self._layout.required, **self._layout.optional}
        self._columns = [(places[name], name, column) for name, column in known.items() if name in places]
        self._counts.update(column.present for _, _, column in self._columns if column.present is not None)
        self._width = len(cells)

    def take(self, rows: Iterator[tuple[int, list[str] | None]]) -> None:
        for line, cells in rows:
            if cells is None:
                self._fault(line, "unreadable")
            else:
                self._take_row(line, cells + [""] * (self._width - len(cells)))

    def _take_row(self, line: int, cells: list[str]) -> None:
        key = cells[self._key]
        if key in self._ids:
            self._fault(line, "same_id")
            return
        if key:
            self._ids.add(key)
        group = "" if self._grouping is None else self._layout.group_of(cells[self._grouping])
        if group is None:
            self._fault(line, "unknown_level")
            return
        self._rows += 1
        if (code := self._layout.counted.get(group)) is not None:
            self._counts[code] += 1
        for place, name, column in self._columns:
            if text := cells[place]:
                self._take_cell(line, name, column, text, group)

    def _take_cell(self, line: int, name: str, column: Column, text: str, group: str) -> None:
        same = name, text, group
        if same not in self._understood:
            self._understood[same] = _additions(column, text, group)
        additions = self._understood[same]
        if additions is None:
            self._fault(line, BAD_VALUE, name)
            return
        for code, number in additions:
            self._counts[code] += number

    def _fault(self, line: int, reason: str, column: str = "") -> None:
        self._reasons[reason] += 1
        if len(self._faults) < MOST_FAULTS:
            self._faults.append(RowFault(self._day.isoformat(), self._layout.file, line, reason, column))

    def refusal(self, reason: str, *, column: str = "", line: int = 0) -> RefusedFileError:
        return RefusedFileError(FileFault(self._day.isoformat(), self._layout.file, reason, column, line))

    def census(self) -> Census:
        return Census(
            family=self._layout.family,
            day=self._day,
            counts={code: self._counts[code] for code in sorted(self._counts)},
            rows=self._rows,
            faults=tuple(self._faults),
            faults_by_reason=dict(self._reasons),
        )


def _additions(column: Column, text: str, group: str) -> list[tuple[int, int]] | None:
    """What a cell adds to which codes in this group of rows; None when it is no value. Few differ, so each is worked out once."""
    found = column.additions(text)
    return None if found is None else [(codes[group], number) for codes, number in found if group in codes]
