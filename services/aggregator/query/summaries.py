"""Summaries: a page's widgets, each a few columns over all the lines chosen. Pure.

Widgets are data (contracts/catalogue/pages.toml). What is not there (pupils have no desktop client) is `na`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec
import numpy as np

from contracts.answers import AnswerCell, AnswerColumn, SummaryAnswer, Widget, WidgetRow
from contracts.catalogue import CATALOGUE, CellOf, Column, Page, Unit, WidgetHead, WidgetLine, WidgetShape
from contracts.questions import SummaryQuestion
from contracts.scope import Opening
from services.aggregator.query.cells import DECIMALS, total_cell
from services.aggregator.query.columns import Plan, ReadyColumn
from services.aggregator.query.compare import compared
from services.aggregator.query.errors import UnknownPageError
from services.aggregator.query.figures import Door
from services.aggregator.query.readings import Readings
from services.aggregator.query.sheets import Moment
from services.aggregator.query.shown import Shown, purpose, rounding
from services.aggregator.query.tables import notes
from services.aggregator.query.windows import Window, before, taken_by

FIRST_YEAR = 2010
"""No indicator is older."""
_NOT_THERE = AnswerCell(None, "na")
_COVERAGE: Mapping[str, Unit] = {"establishments": "count", "equipped": "count", "equipped_share": "rate"}
"""Heads of a widget by school year that no column fills."""


def page_of(question: SummaryQuestion) -> Page:
    """The page asked for; `UnknownPageError` for one without a summary."""
    if question.page not in CATALOGUE.pages:
        raise UnknownPageError(f"{question.page!r}")
    return CATALOGUE.pages[question.page]


@lru_cache(maxsize=16)
def plan(page: str) -> Plan:
    """Everything that a page's widgets take."""
    lines = (line for widget in CATALOGUE.pages[page].widgets for line in widget.lines)
    return Plan(_column(cell) for line in lines for cell in line.cells.values())


def _column(cell: CellOf) -> Column:
    rate = cell.column.rate if cell.aspect == "rate" else None
    return msgspec.structs.replace(cell.column, value=rate) if rate else cell.column


def windows_of(page: Page, question: SummaryQuestion, moment: Moment) -> list[Window]:
    """The window asked for, as the page takes it; then, where the page looks back, each school year before."""
    windows = [taken_by(page.by, question.window, question.school_year, moment.today)]
    oldest = FIRST_YEAR if any(widget.years for widget in page.widgets) else windows[0].school_year - page.compares
    while windows[-1].school_year > oldest:
        windows.append(before(windows[-1], moment.today))
    return windows


def answer(
    page: Page, readings: Sequence[Readings], *, threshold: int, without_convention: Sequence[Opening] = ()
) -> SummaryAnswer:
    """The page's widgets over the lines chosen; `readings` are those of the windows it takes, the newest first.

    `without_convention`: establishments that have no line and count in the coverage.
    """
    now, window = readings[0], readings[0].window
    summary = _Summary(readings, threshold, without_convention)
    return SummaryAnswer(
        page=page.id,
        window=window.name,
        first_day=window.first_day,
        last_day=window.last_day,
        complete=window.complete,
        as_of=now.as_of,
        widgets=[summary.widget(shape) for shape in page.widgets],
        notes=notes(plan(page.id), now),
    )


class _Summary:
    """The widgets of one page, asked by one reader."""

    def __init__(self, readings: Sequence[Readings], threshold: int, without_convention: Sequence[Opening]) -> None:
        self._doors = [Door(each, threshold) for each in readings]
        self._without_convention = without_convention

    def widget(self, shape: WidgetShape) -> Widget:
        rows = list(
            self._years(shape) if shape.years else (self._row(shape, line, self._doors) for line in shape.lines)
        )
        columns = [self._head(shape, head) for head in shape.heads]
        return Widget(shape.id, shape.label, columns, rows)

    def _head(self, shape: WidgetShape, head: WidgetHead) -> AnswerColumn:
        cells = [line.cells[head.id] for line in shape.lines if head.id in line.cells]
        unit = _column(cells[0]).value.unit if cells else _COVERAGE[head.id]
        told = {rounding(cell.column, self._doors[0].readings.roll) for cell in cells} - {""}
        return AnswerColumn(head.id, head.label, shape.label, unit, None, tuple(told))

    def _row(self, shape: WidgetShape, line: WidgetLine, doors: Sequence[Door]) -> WidgetRow:
        shown = {head: self._shown(cell, doors) for head, cell in line.cells.items()}
        cells = {head: total_cell(each.total, unit=each.head.unit) for head, each in shown.items()}
        told = {purpose(cell.column) for cell in line.cells.values()} - {""}
        return WidgetRow(line.id, line.label, [cells.get(head.id, _NOT_THERE) for head in shape.heads], tuple(told))

    def _shown(self, cell: CellOf, doors: Sequence[Door]) -> Shown:
        ready = ReadyColumn.of(_column(cell))
        if cell.aspect in {"value", "rate"}:
            return Shown.of(ready, doors[0])
        _, previous, difference = compared(*(Shown.of(ready, door) for door in doors[:2]))
        return previous if cell.aspect == "previous" else difference

    def _years(self, shape: WidgetShape) -> Iterator[WidgetRow]:
        """One row a school year, since the first of which anything is known."""
        known = [place for place, door in enumerate(self._doors) if door.readings.reported.any()]
        for door in reversed(self._doors[: max(known, default=0) + 1]):
            year = door.readings.window.school_year
            row = self._row(shape, shape.lines[0], [door])
            coverage = self._coverage(door.readings)
            filled = [coverage.get(head.id, cell) for head, cell in zip(shape.heads, row.cells, strict=True)]
            yield WidgetRow(str(year), f"{year}-{year + 1}", filled, row.notes)

    def _coverage(self, readings: Readings) -> dict[str, AnswerCell]:
        """Of the establishments that were open in the year, how many some family was reported of."""
        first, last = readings.window.first_day, readings.window.last_day
        others = sum(opening.overlaps(first, last) for opening in self._without_convention)
        establishments = int(np.count_nonzero(~readings.outside)) + others
        equipped = int(np.count_nonzero(readings.reported & ~readings.outside))
        share = AnswerCell(round(equipped / establishments, DECIMALS)) if establishments else _NOT_THERE
        return {
            "establishments": AnswerCell(establishments),
            "equipped": AnswerCell(equipped),
            "equipped_share": share,
        }
