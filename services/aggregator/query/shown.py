"""A column as a table shows it: its head, its figures line by line, its total. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.answers import AnswerColumn
from contracts.catalogue import CATALOGUE
from services.aggregator.query.columns import ReadyColumn
from services.aggregator.query.figures import Figures, Total, total
from services.aggregator.query.readings import Readings
from services.aggregator.query.release import NOTE, is_rounded


@dataclass(frozen=True)
class Shown:
    """One column, ready to be written and ordered by."""

    head: AnswerColumn
    figures: Figures
    total: Total

    @classmethod
    def of(cls, ready: ReadyColumn, figures: Figures, readings: Readings) -> Shown:
        return cls(_head(ready, readings), figures, total(figures))


def _head(ready: ReadyColumn, readings: Readings) -> AnswerColumn:
    column = ready.column
    return AnswerColumn(
        column.id, column.label, column.group, ready.formula.unit, column.indicator, _notes(ready, readings)
    )


def _notes(ready: ReadyColumn, readings: Readings) -> tuple[str, ...]:
    """What must be said wherever the column is: that some line is rounded, what it is communicated for."""
    rounded = is_rounded(ready.column) and not readings.roll.exact.all()
    return tuple(
        filter(None, (NOTE if rounded else "", CATALOGUE.indicators[ready.column.indicator].recipient_purpose))
    )
