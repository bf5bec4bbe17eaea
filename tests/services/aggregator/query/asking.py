"""Ask the pure part of the query API, as the service does once it has read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime

import numpy as np

from contracts.answers import AnswerCell, DailyPoint, SummaryAnswer, TableAnswer
from contracts.catalogue import CATALOGUE
from contracts.questions import SummaryQuestion, TableQuestion
from contracts.scope import Scope
from services.aggregator.query import daily, hourly, summaries, tables
from services.aggregator.query.columns import Plan
from services.aggregator.query.lines import Roll, ScopedLines
from services.aggregator.query.matrix import Codes
from services.aggregator.query.observation import is_mixed
from services.aggregator.query.readings import Reader, Readings
from services.aggregator.query.sheets import Moment, PeriodSheets, Piles, Span
from services.aggregator.query.windows import Window, territory_date
from tests.services.aggregator.query.ledger import Ledger, unpacked

Hourly = Mapping[tuple[str, str], Sequence[tuple[int, int, bool]]]
"""Hour reports by UAI and family: UTC second, total, cut."""
NOW = datetime(2026, 11, 20, 17, 30, tzinfo=UTC)
"""18 h 30 in Paris, on a Friday."""


def ask(
    ledger: Ledger, scope: Scope, table: str = "connexions.authentifiees", *, now: datetime = NOW, **asked: object
) -> TableAnswer:
    question = TableQuestion(scope=b"", table=table, **asked)  # type: ignore[arg-type]
    shape = tables.shape(question)
    scoped = ScopedLines(scope)
    moment = Moment(now, territory_date(now, scope.territory.zone))
    roll = scoped.chosen(question.establishments, question.search)
    readings = [read(ledger, roll, window, moment, shape.plan) for window in tables.windows_of(question, shape, moment)]
    return tables.answer(shape, readings, threshold=scope.territory.threshold, sort=question.sort)


def read(ledger: Ledger, roll: Roll, window: Window, moment: Moment, plan: Plan) -> Readings:
    """Readings of one window, from what the store would have read."""
    reader = Reader(roll, window, moment, plan)
    mixed = roll.take(np.flatnonzero(is_mixed(roll, window)))
    days = _stored(ledger, mixed, [Span("day", window.first_day, window.last_day)], plan.codes)
    return reader.read(Piles(roll, _stored(ledger, roll, reader.spans, plan.codes), plan.codes), days)


def _stored(ledger: Ledger, roll: Roll, spans: Iterable[Span], codes: Codes) -> list[PeriodSheets]:
    """What the store would read."""
    asked = list(spans)
    return unpacked(
        (
            sheet
            for sheet in ledger.sheets()
            if sheet.uai in roll.place and any(span.holds(sheet.grain, sheet.start) for span in asked)
        ),
        codes,
    )


def ask_daily(ledger: Ledger, scope: Scope, *, now: datetime = NOW) -> list[DailyPoint]:
    roll = ScopedLines(scope).all
    moment = Moment(now, territory_date(now, scope.territory.zone))
    sheets = _stored(ledger, roll, daily.spans(moment.today), daily.PLAN.codes)
    return daily.series(roll, moment, Piles(roll, sheets, daily.PLAN.codes), threshold=5).points


def ask_hourly(
    ledger: Ledger, scope: Scope, hours: Hourly, *, now: datetime = NOW
) -> dict[tuple[date, int], AnswerCell]:
    roll = ScopedLines(scope).all
    moment = Moment(now, territory_date(now, scope.territory.zone))
    sheets = _stored(ledger, roll, [hourly.span(moment.today)], hourly.CODES)
    reported = [_hours(uai, family, reports) for (uai, family), reports in hours.items()]
    points = hourly.series(roll, moment, Piles(roll, sheets, hourly.CODES), reported).points
    return {(point.date, point.hour): point.connections for point in points}


def _hours(uai: str, family: str, reports: Sequence[tuple[int, int, bool]]) -> hourly.Hours:
    starts, totals, cut = zip(*reports, strict=True)
    number = CATALOGUE.families[family].number
    return hourly.Hours(number, [uai], [len(reports)], np.array(starts), np.array(totals, float), np.array(cut))


def ask_summary(
    ledger: Ledger, scope: Scope, page: str = "connexions", *, now: datetime = NOW, **asked: str
) -> SummaryAnswer:
    roll = ScopedLines(scope).all
    moment = Moment(now, territory_date(now, scope.territory.zone))
    question = SummaryQuestion(scope=b"", page=page, **asked)  # type: ignore[arg-type]
    of_page, plan = summaries.page_of(question), summaries.plan(page)
    readings = [read(ledger, roll, window, moment, plan) for window in summaries.windows_of(of_page, question, moment)]
    return summaries.answer(of_page, readings, threshold=5, without_convention=scope.without_convention)


def cell(answer: TableAnswer, uai: str, column: str) -> AnswerCell:
    row = next(row for row in answer.rows if row.uai == uai)
    return row.cells[place(answer, column)]


def total(answer: TableAnswer, column: str) -> AnswerCell:
    return answer.total[place(answer, column)]


def place(answer: TableAnswer, column: str) -> int:
    return [described.id for described in answer.columns].index(column)
