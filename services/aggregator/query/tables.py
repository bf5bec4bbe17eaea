"""Tables: a catalogue table over the lines shown, with its totals, extremes and order. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from contracts.answers import AnswerCell, AnswerColumn, AnswerRow, Display, TableAnswer, Unit
from contracts.catalogue import CATALOGUE, Table
from contracts.questions import TableQuestion
from services.aggregator.query.cells import cells, total_cell
from services.aggregator.query.columns import Plan, ReadyColumn
from services.aggregator.query.errors import NoRatesError, UnknownDisplayError, UnknownTableError
from services.aggregator.query.figures import Door, Figures, total
from services.aggregator.query.lines import Line
from services.aggregator.query.order import extremes, order
from services.aggregator.query.readings import Readings
from services.aggregator.query.sheets import Moment
from services.aggregator.query.windows import Window, by_school_year, resolve

SMALL_LEFT_OUT = "hors profils de moins de 5 comptes"
_DISPLAYS = ("values", "rates")


@dataclass(frozen=True)
class TableShape:
    """A catalogue table in one display, ready to be read."""

    table: Table
    display: Display
    plan: Plan


def shape(question: TableQuestion) -> TableShape:
    """The table and display asked for; named errors for what does not exist."""
    if question.display not in _DISPLAYS:
        raise UnknownDisplayError(f"{question.display!r}")
    table = CATALOGUE.tables.get(question.table)
    if table is None:
        raise UnknownTableError(f"{question.table!r}")
    if question.display not in table.displays:
        raise NoRatesError(f"{table.id} is shown by {' or '.join(table.displays)} only")
    return _shape(table.id, cast("Display", question.display))


@lru_cache(maxsize=256)
def _shape(table_id: str, display: Display) -> TableShape:
    table = CATALOGUE.tables[table_id]
    return TableShape(table, display, Plan(table.columns, rates=display == "rates"))


def window_of(question: TableQuestion, table: Table, moment: Moment) -> Window:
    """The window asked for; a table by school year reads the one that holds its last day."""
    window = resolve(question.window, question.school_year, moment.today)
    return by_school_year(window, moment.today) if table.by == "school_year" else window


def answer(shape: TableShape, readings: Readings, *, threshold: int, sort: str = "name") -> TableAnswer:
    """The table as its reader sees it."""
    door = Door(readings, shape.table.id, threshold)
    columns = {ready.column.id: door.figures(ready) for ready in shape.plan.columns}
    roll, window = readings.roll, readings.window
    return TableAnswer(
        table=shape.table.id,
        display=shape.display,
        window=window.name,
        first_day=window.first_day,
        last_day=window.last_day,
        complete=window.complete,
        as_of=readings.as_of,
        columns=[_described(ready) for ready in shape.plan.columns],
        total=[total_cell(total(figures), rate=figures.denominator is not None) for figures in columns.values()],
        rows=_rows(readings, columns, sort),
        extremes={column: extremes(figures, roll) for column, figures in columns.items()},
        notes=notes(readings),
    )


def notes(readings: Readings) -> list[str]:
    """What totals leave out without becoming partial."""
    return [SMALL_LEFT_OUT] if (readings.small_left_out & ~readings.outside).any() else []


def _described(ready: ReadyColumn) -> AnswerColumn:
    column = ready.column
    unit: Unit = "rate" if ready.over else "count"
    return AnswerColumn(column.id, column.label, column.group, unit, column.indicator)


def _rows(readings: Readings, columns: dict[str, Figures], sort: str) -> list[AnswerRow]:
    roll = readings.roll
    by_line = list(zip(*(cells(figures) for figures in columns.values()), strict=True))
    places = order(roll, sort, lambda column: columns[column].value)
    return [_row(roll.lines[place], by_line[place]) for place in places.tolist()]


def _row(line: Line, of_line: tuple[AnswerCell, ...]) -> AnswerRow:
    establishment = line.establishment
    return AnswerRow(establishment.uai, establishment.name, establishment.postal_codes, list(of_line))
