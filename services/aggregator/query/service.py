"""Questions answered: read what they take in one read-only transaction, then decide in pure code."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis.clock import Clock
from chassis.errors import UnavailableError
from contracts.answers import DailySeries, Freshness, HourlySeries, SummaryAnswer, TableAnswer
from contracts.questions import FreshnessQuestion, SeriesQuestion, SummaryQuestion, TableQuestion
from services.aggregator.query import daily, hourly, summaries, tables
from services.aggregator.query.columns import Plan
from services.aggregator.query.freshness import freshness
from services.aggregator.query.lines import Roll, ScopedLines
from services.aggregator.query.observation import is_mixed
from services.aggregator.query.readings import Reader, Readings
from services.aggregator.query.scopes import Scopes
from services.aggregator.query.sheets import Batch, Moment, Piles, Span
from services.aggregator.query.store import read_hours, read_last_observed, read_sheets, snapshot
from services.aggregator.query.windows import Window, territory_date


class Queries:
    """The answers of the internal API."""

    def __init__(self, engine: AsyncEngine, clock: Clock, scopes: Scopes) -> None:
        self._engine = engine
        self._clock = clock
        self._scopes = scopes

    async def table(self, question: TableQuestion) -> TableAnswer:
        """One table over the lines shown."""
        shape = tables.shape(question)
        scoped = self._scopes.lines_of(question.scope)
        moment = self._moment(scoped)
        windows = tables.windows_of(question, shape, moment)
        roll = scoped.chosen(question.establishments, question.search)
        readings = await self._read(roll, windows, moment, shape.plan)
        return tables.answer(shape, readings, threshold=scoped.scope.territory.threshold, sort=question.sort)

    async def summary(self, question: SummaryQuestion) -> SummaryAnswer:
        """The widgets of one page over the establishments chosen."""
        page = summaries.page_of(question)
        scoped = self._scopes.lines_of(question.scope)
        moment = self._moment(scoped)
        windows = summaries.windows_of(page, question, moment)
        readings = await self._read(scoped.chosen(question.establishments), windows, moment, summaries.plan(page.id))
        uncovered = () if question.establishments else scoped.scope.without_convention
        threshold = scoped.scope.territory.threshold
        return summaries.answer(page, readings, threshold=threshold, without_convention=uncovered)

    async def daily(self, question: SeriesQuestion) -> DailySeries:
        """Four weeks and today, by day."""
        scoped = self._scopes.lines_of(question.scope)
        roll, moment = scoped.chosen(question.establishments), self._moment(scoped)
        async with self._reading() as connection:
            sheets = await read_sheets(connection, roll.uais, daily.spans(moment.today))
        piles = Piles(roll, sheets, daily.PLAN.codes)
        return daily.series(roll, moment, piles, threshold=scoped.scope.territory.threshold)

    async def hourly(self, question: SeriesQuestion) -> HourlySeries:
        """Three weeks, by hour of the local day."""
        scoped = self._scopes.lines_of(question.scope)
        roll, moment = scoped.chosen(question.establishments), self._moment(scoped)
        async with self._reading() as connection:
            sheets = await read_sheets(connection, roll.uais, [hourly.span(moment.today)])
            hours = await read_hours(connection, roll.uais, hourly.FAMILIES, *hourly.instants(roll, moment.today))
        return hourly.series(roll, moment, Piles(roll, sheets, hourly.CODES), hours)

    async def freshness(self, question: FreshnessQuestion) -> list[Freshness]:
        """Until when each granted family of each establishment has been observed."""
        scoped = self._scopes.lines_of(question.scope)
        roll = scoped.chosen(question.establishments)
        async with self._reading() as connection:
            newest = await read_last_observed(connection, roll.uais)
        return freshness(roll, self._moment(scoped).today, newest)

    def _moment(self, scoped: ScopedLines) -> Moment:
        now = self._clock.now()
        return Moment(now, territory_date(now, scoped.scope.territory.zone))

    async def _read(self, roll: Roll, windows: Sequence[Window], moment: Moment, plan: Plan) -> list[Readings]:
        readers = [Reader(roll, window, moment, plan) for window in windows]
        async with self._reading() as connection:
            sheets = await read_sheets(connection, roll.uais, set().union(*(reader.spans for reader in readers)))
            days = [await self._mixed_days(connection, roll, window) for window in windows]
        piles = Piles(roll, sheets, plan.codes)
        return [reader.read(piles, of_window) for reader, of_window in zip(readers, days, strict=True)]

    async def _mixed_days(self, connection: AsyncConnection, roll: Roll, window: Window) -> Sequence[Batch]:
        """Day sheets of the lines whose connections changed source during the window; seldom any."""
        mixed = is_mixed(roll, window)
        uais = [line.uai for line, flag in zip(roll.lines, mixed.tolist(), strict=True) if flag]
        return await read_sheets(connection, uais, [Span("day", window.first_day, window.last_day)]) if uais else []

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        """One read-only snapshot: all figures of an answer are of the same instant."""
        try:
            async with self._engine.connect() as connection, connection.begin():
                await snapshot(connection)
                yield connection
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            raise UnavailableError("the database does not answer") from error
