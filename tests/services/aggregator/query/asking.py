"""Ask the pure part of the query API, as the service does once it has read."""

from __future__ import annotations

from datetime import UTC, datetime

from contracts.answers import AnswerCell, TableAnswer
from contracts.questions import TableQuestion
from contracts.scope import Scope
from services.aggregator.query import tables
from services.aggregator.query.lines import ScopedLines
from services.aggregator.query.observation import is_mixed
from services.aggregator.query.readings import Reader
from services.aggregator.query.sheets import Moment, Span
from services.aggregator.query.windows import territory_date
from tests.services.aggregator.query.ledger import Ledger

NOW = datetime(2026, 11, 20, 17, 30, tzinfo=UTC)
"""18 h 30 in Paris, on a Friday."""


def ask(
    ledger: Ledger, scope: Scope, table: str = "connexions.authentifiees", *, now: datetime = NOW, **asked: object
) -> TableAnswer:
    question = TableQuestion(scope=b"", table=table, **asked)  # type: ignore[arg-type]
    shape = tables.shape(question)
    scoped = ScopedLines(scope)
    moment = Moment(now, territory_date(now, scope.territory.zone))
    window = tables.window_of(question, shape.table, moment)
    roll = scoped.chosen(question.establishments, question.search)
    reader = Reader(roll, window, moment, shape.plan)
    every = ledger.sheets()
    sheets = [sheet for sheet in every if sheet.uai in roll.place and any(span.holds(sheet) for span in reader.spans)]
    mixed = {line.uai for line, flag in zip(roll.lines, is_mixed(roll, window), strict=True) if flag}
    span = Span("day", window.first_day, window.last_day)
    days = [sheet for sheet in every if sheet.uai in mixed and span.holds(sheet)]
    return tables.answer(shape, reader.read(sheets, days), threshold=scope.territory.threshold, sort=question.sort)


def cell(answer: TableAnswer, uai: str, column: str) -> AnswerCell:
    row = next(row for row in answer.rows if row.uai == uai)
    return row.cells[place(answer, column)]


def total(answer: TableAnswer, column: str) -> AnswerCell:
    return answer.total[place(answer, column)]


def place(answer: TableAnswer, column: str) -> int:
    return [described.id for described in answer.columns].index(column)
