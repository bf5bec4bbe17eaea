"""The daily series: connections and distinct people of each of the last four weeks' days, then of today. Pure."""

from __future__ import annotations

from datetime import date, timedelta

from contracts.answers import AnswerCell, DailyPoint, DailySeries
from contracts.catalogue import CATALOGUE, Column
from contracts.periods import month_start
from services.aggregator.query.cells import total_cell
from services.aggregator.query.columns import Plan
from services.aggregator.query.figures import Door, Total, total
from services.aggregator.query.lines import Roll
from services.aggregator.query.readings import Reader
from services.aggregator.query.sheets import Moment, Piles, Span
from services.aggregator.query.states import PARTIAL, WHOLE
from services.aggregator.query.windows import Window

DAYS = 28
"""Four whole weeks before today."""
_ONE_DAY = timedelta(days=1)


def _column(table: str, column: str) -> Column:
    return next(found for found in CATALOGUE.tables[table].columns if found.id == column)


PLAN = Plan([_column("connexions.authentifiees", "total.all"), _column("connexions.individus", "total.net")])


def days(today: date) -> list[date]:
    """The days of the series, of which today is the last."""
    return [today - back * _ONE_DAY for back in range(DAYS, -1, -1)]


def spans(today: date) -> set[Span]:
    """The sheets that the series takes: those of its days, and the months that name small profiles."""
    shown = days(today)
    return {Span("day", shown[0], today)} | {Span.of_period("month", month_start(day)) for day in shown}


def series(roll: Roll, moment: Moment, piles: Piles, *, threshold: int) -> DailySeries:
    """One point a day, the lines added up by local date; only the channels that some agent was asked for."""
    return DailySeries([_point(roll, day, moment, piles, threshold) for day in days(moment.today)])


def _point(roll: Roll, day: date, moment: Moment, piles: Piles, threshold: int) -> DailyPoint:
    window = Window(day.isoformat(), "day", day, day, day, complete=day < moment.today)
    door = Door(Reader(roll, window, moment, PLAN).read(piles), threshold)
    connections, people = (total(door.figures(column, granted_only=True)) for column in PLAN.columns)
    return DailyPoint(day, _cell(connections, window), _cell(people, window))


def _cell(figure: Total, window: Window) -> AnswerCell:
    """Today is partial, however well it is observed."""
    still_open = not window.complete and (figure.state == WHOLE or figure.state > PARTIAL)
    state = PARTIAL if still_open else figure.state
    return total_cell(Total(state, figure.value, figure.share, figure.left_out), unit="count")
