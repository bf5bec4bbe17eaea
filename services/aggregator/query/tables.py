"""Tables: a catalogue table over the lines shown, with its totals, extremes and order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from contracts.answers import AnswerCell, AnswerRow, TableAnswer
from contracts.catalogue import CATALOGUE, Display, Table
from contracts.questions import TableQuestion
from services.aggregator.query.cells import cells, total_cell
from services.aggregator.query.columns import Plan
from services.aggregator.query.compare import compared
from services.aggregator.query.errors import (
    NoComparisonError,
    NoRatesError,
    UnknownColumnsError,
    UnknownComparisonError,
    UnknownDisplayError,
    UnknownTableError,
)
from services.aggregator.query.figures import Door, Figures
from services.aggregator.query.lines import Line
from services.aggregator.query.order import extremes, order
from services.aggregator.query.readings import Readings
from services.aggregator.query.sheets import Moment
from services.aggregator.query.shown import Shown
from services.aggregator.query.windows import Window, before, taken_by

RowsOf = Callable[[Sequence[Line], Iterable[int], Sequence[Figures]], list[AnswerRow]]
SMALL_LEFT_OUT = "hors profils de moins de 5 comptes"
TAKEN_OVER = "repris : année d'avant les agents, connue par ses recensements et totaux annuels"
_DISPLAYS = ("values", "rates")
_COLUMNS = ("page", "all")
_COMPARISONS = ("", "previous")


@dataclass(frozen=True)
class TableShape:
    """A catalogue table in one display, ready to be read; `compares` with the school year before."""

    table: Table
    display: Display
    compares: bool
    plan: Plan


def shape(question: TableQuestion) -> TableShape:
    """The table, display and columns asked for; named errors for what does not exist."""
    if question.display not in _DISPLAYS:
        raise UnknownDisplayError(f"{question.display!r}")
    if question.columns not in _COLUMNS:
        raise UnknownColumnsError(f"{question.columns!r}")
    if question.compare not in _COMPARISONS:
        raise UnknownComparisonError(f"{question.compare!r}")
    table = CATALOGUE.tables.get(question.table)
    if table is None:
        raise UnknownTableError(f"{question.table!r}")
    if question.display not in table.displays:
        raise NoRatesError(f"{table.id} is shown by {' or '.join(table.displays)} only")
    if question.compare and table.by != "school-year":
        raise NoComparisonError(f"{table.id} is not by school year")
    return _shape(table.id, question.display, question.columns, compares=bool(question.compare))


@lru_cache(maxsize=512)
def _shape(table_id: str, display: Display, columns: str, *, compares: bool) -> TableShape:
    table = CATALOGUE.tables[table_id]
    chosen = [column for column in table.columns if column.on_page or columns == "all"]
    return TableShape(table, display, compares, Plan(chosen, display))


def windows_of(question: TableQuestion, shape: TableShape, moment: Moment) -> list[Window]:
    """The window asked for, as the table takes it, and with a comparison the one before."""
    window = taken_by(shape.table.by, question.window, question.school_year, moment.today)
    return [window, before(window, moment.today)] if shape.compares else [window]


def rows(lines: Sequence[Line], places: Iterable[int], columns: Sequence[Figures]) -> list[AnswerRow]:
    """The rows of the lines at these places, in this order."""
    by_line = list(zip(*map(cells, columns), strict=True))
    return [_row(lines[place], by_line[place]) for place in places]


def answer(
    shape: TableShape, readings: Sequence[Readings], *, threshold: int, sort: str = "name", rows_of: RowsOf = rows
) -> TableAnswer:
    """The table as its reader sees it; `readings` are those of the windows it takes. `rows_of` makes its rows."""
    columns = _columns(shape, readings, threshold)
    now, window = readings[0], readings[0].window
    return TableAnswer(
        table=shape.table.id,
        display=shape.display,
        window=window.name,
        first_day=window.first_day,
        last_day=window.last_day,
        complete=window.complete,
        as_of=now.as_of,
        columns=[column.head for column in columns],
        total=[total_cell(column.total, unit=column.head.unit) for column in columns],
        rows=rows_of(now.roll.lines, _places(now, columns, sort), [column.figures for column in columns]),
        extremes={column.head.id: extremes(column.figures, now.roll) for column in columns},
        notes=notes(shape.plan, now),
    )


def _columns(shape: TableShape, readings: Sequence[Readings], threshold: int) -> list[Shown]:
    doors = [Door(reading, threshold) for reading in readings]
    columns: list[Shown] = []
    for ready in shape.plan.columns:
        shown = [Shown.of(ready, door) for door in doors]
        columns += compared(*shown) if shape.compares else shown
    return columns


def notes(plan: Plan, readings: Readings) -> list[str]:
    """What totals leave out without becoming partial, and that a year is known by its totals alone."""
    left_out = plan.waits and (readings.small_left_out & ~readings.outside).any()
    taken_over = any(
        readings.is_taken_over(family) for family in {part.family.id: part.family for part in plan.parts}.values()
    )
    told = ((SMALL_LEFT_OUT, left_out), (TAKEN_OVER, taken_over))
    return [note for note, holds in told if holds]


def _places(readings: Readings, columns: Sequence[Shown], sort: str) -> list[int]:
    values = {column.head.id: column.figures for column in columns}
    places: list[int] = order(readings.roll, sort, lambda column: values[column].value).tolist()
    return places


def _row(line: Line, of_line: tuple[AnswerCell, ...]) -> AnswerRow:
    establishment = line.establishment
    return AnswerRow(establishment.uai, establishment.name, establishment.postal_codes, list(of_line))
