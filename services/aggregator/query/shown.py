"""A column as a table shows it: its head, its figures line by line, its total. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.answers import AnswerColumn
from contracts.catalogue import CATALOGUE, Column
from services.aggregator.query.columns import ReadyColumn
from services.aggregator.query.figures import Door, Figures, Total, total
from services.aggregator.query.lines import Roll
from services.aggregator.query.release import NOTE, is_rounded


@dataclass(frozen=True)
class Shown:
    """One column, ready to be written and ordered by; `school_year`: when its window's began."""

    head: AnswerColumn
    figures: Figures
    total: Total
    school_year: int

    @classmethod
    def of(cls, ready: ReadyColumn, door: Door) -> Shown:
        figures, readings = door.figures(ready), door.readings
        return cls(_head(ready, readings.roll), figures, total(figures), readings.window.school_year)


def _head(ready: ReadyColumn, roll: Roll) -> AnswerColumn:
    column = ready.column
    told = tuple(filter(None, (rounding(column, roll), purpose(column))))
    return AnswerColumn(column.id, column.label, column.group, ready.formula.unit, column.indicator, told)


def rounding(column: Column, roll: Roll) -> str:
    """Said wherever a column is shown of which some line is rounded."""
    return NOTE if is_rounded(column) and not roll.exact.all() else ""


def purpose(column: Column) -> str:
    """Said wherever a column is shown that is communicated for a purpose."""
    return CATALOGUE.indicators[column.indicator].recipient_purpose
