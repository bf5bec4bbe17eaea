"""Questions answered: read what they take in one read-only transaction, then decide in pure code."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec
import numpy as np
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis.clock import Clock
from chassis.errors import UnavailableError
from contracts.answers import Freshness
from contracts.questions import Asked, FreshnessQuestion, SeriesQuestion, SummaryQuestion, TableQuestion
from contracts.scope import Scope
from services.aggregator.query import daily, hourly, summaries, tables
from services.aggregator.query.answers import KeptAnswers
from services.aggregator.query.columns import Plan
from services.aggregator.query.freshness import freshness
from services.aggregator.query.lines import Roll
from services.aggregator.query.observation import is_mixed
from services.aggregator.query.readings import Reader, Readings
from services.aggregator.query.scopes import Scopes
from services.aggregator.query.sheets import Moment, PeriodSheets, Piles, Span
from services.aggregator.query.store import read_last_observed
from services.aggregator.query.unpacked import KeptHours, KeptSheets
from services.aggregator.query.windows import Window, territory_date
from services.aggregator.query.written import written_rows


class _Asked(NamedTuple):
    """A question understood; `key` holds all that its answer depends on but what is read."""

    scope: Scope
    roll: Roll
    moment: Moment
    key: Hashable


class _Found(NamedTuple):
    """What was read for one question; `days`: by window, those of lines of mixed sources."""

    roll: Roll
    plan: Plan
    readers: Sequence[Reader]
    sheets: Sequence[PeriodSheets]
    days: Sequence[Sequence[PeriodSheets]]

    @property
    def versions(self) -> tuple[int, ...]:
        return tuple(each.version for each in itertools.chain(self.sheets, *self.days))

    def readings(self) -> list[Readings]:
        piles = Piles(self.roll, self.sheets, self.plan.codes)
        return [reader.read(piles, of_window) for reader, of_window in zip(self.readers, self.days, strict=True)]


class Queries:
    """The answers of the internal API, as JSON."""

    def __init__(self, engine: AsyncEngine, clock: Clock, scopes: Scopes) -> None:
        self._engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._clock = clock
        self._scopes = scopes
        self._sheets = KeptSheets()
        self._hours = KeptHours()
        self._answers = KeptAnswers()
        event.listen(engine.sync_engine, "connect", self._forget)

    @property
    def kept_bytes(self) -> int:
        """What is kept unpacked between questions."""
        return self._sheets.taken + self._hours.taken

    async def table(self, question: TableQuestion) -> msgspec.Raw:
        """One table over the lines shown: a `TableAnswer`."""
        shape = tables.shape(question)
        asked = self._asked(question, question.establishments, question.search)
        threshold = asked.scope.territory.threshold
        windows = tables.windows_of(question, shape, asked.moment)
        found = await self._read(asked, windows, shape.plan)
        return self._answers.give(
            asked.key,
            found.versions,
            lambda: tables.answer(
                shape, found.readings(), threshold=threshold, sort=question.sort, rows_of=written_rows
            ),
        )

    async def summary(self, question: SummaryQuestion) -> msgspec.Raw:
        """The widgets of one page over the establishments chosen: a `SummaryAnswer`."""
        page = summaries.page_of(question)
        asked = self._asked(question, question.establishments)
        threshold = asked.scope.territory.threshold
        windows = summaries.windows_of(page, question, asked.moment)
        found = await self._read(asked, windows, summaries.plan(page.id))
        uncovered = () if question.establishments else asked.scope.without_convention
        return self._answers.give(
            asked.key,
            found.versions,
            lambda: summaries.answer(page, found.readings(), threshold=threshold, without_convention=uncovered),
        )

    async def daily(self, question: SeriesQuestion) -> msgspec.Raw:
        """Four weeks and today, by day: a `DailySeries`."""
        asked = self._asked(question, question.establishments)
        roll, moment, codes = asked.roll, asked.moment, daily.PLAN.codes
        async with self._reading() as connection:
            sheets = await self._sheets.read(connection, roll.uais, codes, daily.spans(moment.today))
        threshold = asked.scope.territory.threshold
        return self._answers.give(
            ("daily", asked.key),
            tuple(each.version for each in sheets),
            lambda: daily.series(roll, moment, Piles(roll, sheets, codes), threshold=threshold),
        )

    async def hourly(self, question: SeriesQuestion) -> msgspec.Raw:
        """Three weeks, by hour of the local day: an `HourlySeries`."""
        asked = self._asked(question, question.establishments)
        roll, moment, codes = asked.roll, asked.moment, hourly.CODES
        async with self._reading() as connection:
            sheets = await self._sheets.read(connection, roll.uais, codes, [hourly.span(moment.today)])
            days = await self._hours.read(connection, roll.uais, hourly.utc_days(roll, moment.today))
        return self._answers.give(
            ("hourly", asked.key),
            (*(each.version for each in sheets), *(each.version for each in days)),
            lambda: hourly.series(
                roll, moment, Piles(roll, sheets, codes), [hours for day in days for hours in day.hours]
            ),
        )

    async def freshness(self, question: FreshnessQuestion) -> list[Freshness]:
        """Until when each granted family of each establishment has been observed."""
        asked = self._asked(question, question.establishments)
        async with self._reading() as connection:
            newest = await read_last_observed(connection, asked.roll.uais)
        return freshness(asked.roll, asked.moment.today, newest)

    def _asked(self, question: Asked, establishments: Sequence[str], search: str = "") -> _Asked:
        scoped = self._scopes.lines_of(question.scope, question.scope_digest)
        now = self._clock.now()
        moment = Moment(now, territory_date(now, scoped.scope.territory.zone))
        key = (
            scoped.key,
            moment.quarter,
            type(question),
            msgspec.structs.astuple(question)[len(Asked.__struct_fields__) :],
        )
        return _Asked(scoped.scope, scoped.chosen(establishments, search), moment, key)

    async def _read(self, asked: _Asked, windows: Sequence[Window], plan: Plan) -> _Found:
        readers = [Reader(asked.roll, window, asked.moment, plan) for window in windows]
        spans = set().union(*(reader.spans for reader in readers))
        async with self._reading() as connection:
            sheets = await self._sheets.read(connection, asked.roll.uais, plan.codes, sorted(spans))
            days = [await self._mixed_days(connection, asked.roll, window, plan) for window in windows]
        return _Found(asked.roll, plan, readers, sheets, days)

    async def _mixed_days(
        self, connection: AsyncConnection, roll: Roll, window: Window, plan: Plan
    ) -> Sequence[PeriodSheets]:
        """Day sheets of the lines whose connections changed source during the window; seldom any."""
        mixed = is_mixed(roll, window)
        uais = [roll.uais[place] for place in np.flatnonzero(mixed).tolist()]
        span = Span("day", window.first_day, window.last_day)
        return await self._sheets.read(connection, uais, plan.codes, [span]) if uais else []

    def _forget(self, *_: object) -> None:
        """A new connection may be to another server, or to one that has lost what it had said."""
        self._sheets.forget()
        self._hours.forget()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        """One read-only snapshot: all figures of an answer are of the same instant."""
        try:
            async with self._engine.connect() as connection, connection.begin():
                yield connection
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            raise UnavailableError("the database does not answer") from error
