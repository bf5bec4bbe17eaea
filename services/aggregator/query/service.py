"""Questions answered: read what they take in one read-only transaction, then decide in pure code."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis.clock import Clock
from chassis.http import UnavailableError
from contracts.answers import TableAnswer
from contracts.questions import TableQuestion
from services.aggregator.query import tables
from services.aggregator.query.columns import Plan
from services.aggregator.query.lines import Roll, ScopedLines
from services.aggregator.query.observation import is_mixed
from services.aggregator.query.readings import Reader, Readings
from services.aggregator.query.scopes import Scopes
from services.aggregator.query.sheets import Moment, Sheet, Span
from services.aggregator.query.store import read_sheets, snapshot
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
        window = tables.window_of(question, shape.table, moment)
        roll = scoped.chosen(question.establishments, question.search)
        readings = await self._read(roll, window, moment, shape.plan)
        return tables.answer(shape, readings, threshold=scoped.scope.territory.threshold, sort=question.sort)

    def _moment(self, scoped: ScopedLines) -> Moment:
        now = self._clock.now()
        return Moment(now, territory_date(now, scoped.scope.territory.zone))

    async def _read(self, roll: Roll, window: Window, moment: Moment, plan: Plan) -> Readings:
        reader = Reader(roll, window, moment, plan)
        async with self._reading() as connection:
            sheets = await read_sheets(connection, roll.uais, reader.spans)
            days = await self._mixed_days(connection, roll, window)
        return reader.read(sheets, days)

    async def _mixed_days(self, connection: AsyncConnection, roll: Roll, window: Window) -> Sequence[Sheet]:
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
