"""What is kept between questions changes no answer: each is what a process that has never been asked would give."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import and_, delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis.clock import Clock
from chassis.database import create_engine, migrate
from contracts.catalogue import CATALOGUE, GRAINS
from contracts.packed import pack
from contracts.questions import SeriesQuestion, SummaryQuestion, TableQuestion
from contracts.registry import Grant
from services.aggregator.bundle import pack as pack_reports
from services.aggregator.query import store
from services.aggregator.query.scopes import Scopes
from services.aggregator.query.service import Queries
from services.aggregator.query.sheets import Moment
from services.aggregator.query.shelf import Shelf
from services.aggregator.query.unpacked import KeptSheets
from services.aggregator.states import Key, State, as_columns
from services.aggregator.store import MIGRATIONS
from services.aggregator.tables import SCHEMA, bundles, sheets
from tests.services.aggregator.query.asking import NOW, ask
from tests.services.aggregator.query.ledger import FAMILIES, Ledger, scope, visible
from tests.support.servers import Database

UAIS = ("0860001A", "0860002B", "9710003C", "9870004D")
ZONES = ("Europe/Paris", "Europe/Paris", "America/Guadeloupe", "Pacific/Marquesas")
CODES = sorted(cell.code for cell in CATALOGUE.cells.values() if cell.family in {*FAMILIES, "census.comptes"})
PERIODS = (
    *(("day", date(2026, 11, day)) for day in (1, 18, 19, 20, 21)),
    ("month", date(2026, 11, 1)),
    ("month", date(2026, 10, 1)),
    ("school_year", date(2026, 9, 1)),
    ("school_year", date(2025, 9, 1)),
)


def everybody() -> msgspec.Raw:
    grants = (
        *(Grant("agent", UAIS[1], family) for family in FAMILIES),
        Grant("agent", UAIS[1], "observed.access-log", date(2026, 11, 15)),
    )
    lines = [
        visible(uai, zone=zone, widgets=["moyens.etablissements"], grants=grants if uai == UAIS[1] else ())
        for uai, zone in zip(UAIS, ZONES, strict=True)
    ]
    return msgspec.Raw(msgspec.json.encode(scope(*lines)))


SCOPE = everybody()


@dataclass
class Asked:
    """A platform where anybody may write, and questions put to a process that keeps what it has read and to a fresh one."""

    engine: AsyncEngine
    kept: Queries

    async def everything(self, queries: Queries) -> list[bytes]:
        tables = [
            TableQuestion(scope=SCOPE, table=table, window=window, display=display)
            for table, display in (("connexions.authentifiees", "rates"), ("accueil.comptes", "values"))
            for window in ("last-day", "current-month", "last-month", "current-year", "last-year")
        ]
        series = SeriesQuestion(scope=SCOPE)
        return [
            *[bytes(await queries.table(question)) for question in tables],
            bytes(await queries.summary(SummaryQuestion(scope=SCOPE, page="connexions"))),
            bytes(await queries.daily(series)),
            bytes(await queries.hourly(series)),
        ]

    def fresh(self) -> Queries:
        return Queries(self.engine, Clock(NOW), Scopes())

    async def write(self, *statements: object) -> None:
        async with self.engine.begin() as connection:
            for statement in statements:
                await connection.execute(statement)  # type: ignore[call-overload]


@pytest.fixture
async def asked(database: Database) -> AsyncIterator[Asked]:
    engine = create_engine(database.usage, application="test")
    await migrate(engine, MIGRATIONS, schema=SCHEMA)
    yield Asked(engine, Queries(engine, Clock(NOW), Scopes()))
    await engine.dispose()


def a_sheet(rng: np.random.Generator, uai: str, grain: str, start: date) -> object:
    """Some sheet in place of the one that is there, if any."""
    codes = np.array(CODES)[rng.random(len(CODES)) < rng.random()]
    row = {
        "uai": uai, "grain": GRAINS.index(grain), "start": start, "folded": b"", "frozen": False,
        "cells": pack(codes, rng.integers(0, 61, len(codes))), "cut_families": int(rng.integers(0, 4)),
        "as_of": NOW - timedelta(milliseconds=int(rng.integers(0, 10))),
    }  # fmt: skip
    return insert(sheets).values(row).on_conflict_do_update(index_elements=["uai", "grain", "start"], set_=row)


def no_sheet(uai: str, grain: str, start: date) -> object:
    return delete(sheets).where(
        and_(sheets.c.uai == uai, sheets.c.grain == GRAINS.index(grain), sheets.c.start == start)
    )


def some_hours(rng: np.random.Generator, uai: str, day: date) -> object:
    """Some hours of an UTC day in place of those that are there, if any."""
    code, family = CATALOGUE.select("web", "connections_hour")[0], CATALOGUE.families["web"].number
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    states = [
        (
            Key(uai, family, 0, midnight + 3600 * hour, 1),
            State(0, cut=False, as_of=0, cells=pack([code], [int(rng.integers(1, 99))])),
        )
        for hour in np.flatnonzero(rng.random(24) < 0.5).tolist() or [8]
    ]
    periods, columns = as_columns(states)
    row = {
        "uai": uai, "grain": 0, "start": day, "families": 1 << family,
        "reports": pack_reports(columns.in_order(), len(periods))[0],
    }  # fmt: skip
    return insert(bundles).values(row).on_conflict_do_update(index_elements=["uai", "grain", "start"], set_=row)


def a_change(rng: np.random.Generator) -> object:
    uai = str(rng.choice(UAIS))
    period = PERIODS[rng.integers(len(PERIODS))]
    day = date(2026, 11, int(rng.integers(17, 21)))
    match int(rng.integers(6)):
        case 0:
            return no_sheet(uai, *period)
        case 1:
            return delete(bundles).where(and_(bundles.c.uai == uai, bundles.c.start == day))
        case 2:
            return some_hours(rng, uai, day)
    return a_sheet(rng, uai, *period)


@pytest.mark.connected
@pytest.mark.parametrize("many", [1, 100])
@pytest.mark.parametrize("seed", range(2))
async def test_whatever_changes_the_next_answer_is_of_what_stands(
    asked: Asked, seed: int, many: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(store, "MANY", many)
    rng = np.random.default_rng(seed)
    await asked.write(*(a_sheet(rng, uai, *period) for uai in UAIS for period in PERIODS))
    seen = set()
    for _ in range(8):
        answers = await asked.everything(asked.kept)
        assert answers == await asked.everything(asked.fresh())
        assert answers == await asked.everything(asked.kept)
        seen.add(tuple(answers))
        await asked.write(*(a_change(rng) for _ in range(rng.integers(1, 4))))
    assert len(seen) > 4


@pytest.mark.connected
async def test_a_writer_that_began_first_and_commits_last(asked: Asked):
    """Its rows are older than what was read meanwhile, and have to be seen all the same."""
    rng = np.random.default_rng(7)
    await asked.write(*(a_sheet(rng, uai, *period) for uai in UAIS for period in PERIODS))
    answers = [await asked.everything(asked.kept)]
    async with asked.engine.connect() as slow, asked.engine.connect() as quick:
        await _write_all(slow, rng, UAIS[0])
        await _write_all(quick, rng, UAIS[2])
        answers.append(await asked.everything(asked.kept))
        await quick.commit()
        answers.append(await asked.everything(asked.kept))
        assert answers[-1] == await asked.everything(asked.fresh())
        await slow.commit()
        answers.append(await asked.everything(asked.kept))
        assert answers[-1] == await asked.everything(asked.fresh())
    assert [one != other for one, other in pairwise(answers)] == [False, True, True]


async def _write_all(connection: AsyncConnection, rng: np.random.Generator, uai: str) -> None:
    for period in PERIODS:
        await connection.execute(a_sheet(rng, uai, *period))  # type: ignore[call-overload]


@pytest.mark.connected
async def test_what_one_connection_told_is_not_held_against_the_next(asked: Asked):
    """A server that comes back from a crash or a backup may give the numbers of lost transactions to others."""
    rng = np.random.default_rng(8)
    await asked.write(*(a_sheet(rng, uai, *period) for uai in UAIS for period in PERIODS))
    await asked.everything(asked.kept)
    assert asked.kept.kept_bytes > 0
    await asked.engine.dispose()
    async with asked.engine.connect():
        assert asked.kept.kept_bytes == 0
    assert await asked.everything(asked.kept) == await asked.everything(asked.fresh())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 7 * 24 * 3600), st.integers(1, 899_999_999), st.integers(0, 2**32 - 1))
def test_within_a_quarter_of_an_hour_time_changes_nothing(second: int, later: int, seed: int):
    first = datetime(2026, 10, 29, tzinfo=UTC) + timedelta(seconds=second)
    moments = [Moment(now, now.date()) for now in (first, first + timedelta(microseconds=later))]
    ledger, everyone = _observed(seed), msgspec.json.decode(SCOPE, type=type(scope()))
    answers = [
        [msgspec.json.encode(ask(ledger, everyone, now=now, window=window)) for window in ("last-day", "current-month")]
        for now, _ in moments
    ]
    assert answers[0] == answers[1] or moments[0].quarter != moments[1].quarter


def test_an_instant_at_a_whole_quarter_equals_none_beside_it():
    whole, moment = datetime(2026, 11, 20, 12, 15, tzinfo=UTC), timedelta(microseconds=1)
    quarters = {Moment(now, now.date()).quarter for now in (whole - moment, whole, whole + moment)}
    assert len(quarters) == 3


def _observed(seed: int) -> Ledger:
    rng, ledger = np.random.default_rng(seed), Ledger()
    for uai, zone in zip(UAIS, ZONES, strict=True):
        first = date(2026, 10, int(rng.integers(1, 31)))
        ledger.observe(uai, first, first + timedelta(days=int(rng.integers(1, 40))), zone=zone)
        ledger.connect(uai, date(2026, 11, 2), "eleve", int(rng.integers(1, 99)))
    return ledger


@given(st.integers(1, 100), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 120))))
def test_a_shelf_never_holds_more_than_it_has_room_for(room: int, things: list[tuple[int, int]]):
    shelf: Shelf[int, int] = Shelf(room)
    for key, weight in things:
        shelf.put(key, weight, weight)
        assert shelf.get(key) == (weight if weight <= room else None)
        held = [found for name in range(10) if (found := shelf.get(name)) is not None]
        assert sum(held) == shelf.taken <= room


@pytest.mark.connected
async def test_answers_do_not_depend_on_the_room(asked: Asked):
    """Without any room everything is read again, and the same is said."""
    rng = np.random.default_rng(9)
    await asked.write(*(a_sheet(rng, uai, *period) for uai in UAIS for period in PERIODS))
    expected = await asked.everything(asked.kept)
    cramped = asked.fresh()
    cramped._sheets = KeptSheets(room=0)
    assert await asked.everything(cramped) == expected == await asked.everything(cramped)
