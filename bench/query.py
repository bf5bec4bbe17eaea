"""How long a table of a thousand establishments takes: in the store, in pure code, as ready bytes, in any window.

Run: python -m bench.query. A fresh PostgreSQL is started and filled with sheets of plausible width.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial

import click
import msgspec
import numpy as np
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.results import Result, at_most, show, told
from chassis.clock import Clock
from chassis.database import create_engine, migrate
from contracts.catalogue import CATALOGUE
from contracts.packed import pack
from contracts.questions import SeriesQuestion, SummaryQuestion, TableQuestion
from contracts.registry import Establishment, Grant, Territory
from contracts.scope import Scope, VisibleEstablishment
from contracts.uai import key_letter
from services.aggregator.query.columns import Plan
from services.aggregator.query.readings import Reader
from services.aggregator.query.scopes import Scopes
from services.aggregator.query.service import Queries
from services.aggregator.query.sheets import Moment
from services.aggregator.query.store import read_sheets
from services.aggregator.query.windows import resolve
from services.aggregator.store import MIGRATIONS
from services.aggregator.tables import DAY, MONTH, SCHEMA, SCHOOL_YEAR, hours, sheets
from tests.support.servers import PostgresServer, server, stop_servers

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = date(2026, 11, 20)
FAMILIES = ("web", "software", "people", "observed.journal")
ROUNDS = 30
LEVELS_IN_USE = 8
STORE_GOAL_MS, TABLE_GOAL_MS = 3, 15
"""For a thousand establishments and all columns, on two cores."""


@click.command()
@click.option("--establishments", default=1000, show_default=True, help="Lines of the tables.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def main(establishments: int, as_json: bool) -> None:
    """Milliseconds a question takes in the query's process: median wall time, and CPU."""
    try:
        with PostgresServer(server("postgres")).database() as database:
            show(asyncio.run(measure(database.usage, establishments)), as_json=as_json)
    finally:
        stop_servers()


async def measure(url: str, size: int) -> list[Result]:
    """Tables in each window, as values and rates, the summary and the series; the store alone beside them."""
    engine = create_engine(url, application="bench")
    await migrate(engine, MIGRATIONS, schema=SCHEMA)
    uais = [f"{n:07d}{key_letter(f'{n:07d}')}" for n in range(1, size + 1)]
    rng = np.random.default_rng(1)
    async with engine.begin() as connection:
        for rows in _sheet_rows(uais, rng):
            await connection.execute(sheets.insert(), rows)
        for rows in _hour_rows(uais, rng):
            await connection.execute(hours.insert(), rows)
    async with engine.connect() as connection:
        await connection.exec_driver_sql("analyze")
        await connection.commit()
    scope = msgspec.Raw(msgspec.json.encode(_scope(uais)))
    queries = Queries(engine, Clock(NOW), _SCOPES)
    results: list[Result] = []
    for window in ("last-day", "current-month", "last-month", "current-year"):
        store = partial(_store_only, engine, scope, window)
        results += await _time(f"query.store.{window}", store, goal=STORE_GOAL_MS)
        for display in ("values", "rates"):
            question = TableQuestion(scope=scope, table="connexions.authentifiees", window=window, display=display)
            results += await _time(f"query.{display}.{window}", partial(queries.table, question), goal=TABLE_GOAL_MS)
    results += await _time("query.summary", partial(queries.summary, SummaryQuestion(scope=scope, page="connexions")))
    results += await _time("query.daily", partial(queries.daily, SeriesQuestion(scope=scope)), rounds=5)
    results += await _time("query.hourly", partial(queries.hourly, SeriesQuestion(scope=scope)), rounds=3)
    await engine.dispose()
    return results


async def _store_only(engine: AsyncEngine, scope: msgspec.Raw, window: str) -> int:
    roll = _SCOPES.lines_of(scope).all
    reader = Reader(roll, resolve(window, None, TODAY), Moment(NOW, TODAY), _PLAN)
    async with engine.connect() as connection:
        return sum(len(batch.uais) for batch in await read_sheets(connection, roll.uais, reader.spans))


_SCOPES = Scopes()
_PLAN = Plan(CATALOGUE.tables["connexions.authentifiees"].columns)


async def _time(
    name: str, ask: Callable[[], Awaitable[object]], *, rounds: int = ROUNDS, goal: float | None = None
) -> list[Result]:
    encode = msgspec.json.Encoder().encode
    walls, cpus = [], []
    for _ in range(rounds):
        begun, worked = time.perf_counter(), time.process_time()
        encode(await ask())
        walls.append((time.perf_counter() - begun) * 1000)
        cpus.append((time.process_time() - worked) * 1000)
    wall, cpu = round(statistics.median(walls), 1), round(statistics.median(cpus), 1)
    return [told(name, wall, "ms") if goal is None else at_most(name, wall, "ms", goal), told(f"{name}.cpu", cpu, "ms")]


def _scope(uais: list[str]) -> Scope:
    visible = tuple(
        VisibleEstablishment(
            Establishment(uai, f"Collège {n * 7919 % 1009} Émile-Zola", "college", "Europe/Paris", ("86000",)),
            "consent",
            grants=tuple(Grant("agent", uai, family) for family in FAMILIES),
        )
        for n, uai in enumerate(uais)
    )
    return Scope(Territory("d086", "Vienne", "Europe/Paris"), 1, visible)


def _sheet_rows(uais: list[str], rng: np.random.Generator) -> Iterable[list[dict[str, object]]]:
    spans = [
        (SCHOOL_YEAR, date(2026, 9, 1), 60 * 24 * 81),
        (MONTH, date(2026, 11, 1), 60 * 24 * 19),
        (MONTH, date(2026, 10, 1), 60 * (24 * 31 + 1)),
        *((DAY, TODAY - timedelta(days=back), 60 * 24) for back in range(30)),
    ]
    for grain, start, minutes in spans:
        yield [
            {
                "uai": uai, "grain": grain, "start": start, "cells": _cells(rng, grain, minutes), "folded": b"",
                "cut_families": 0, "as_of": NOW, "frozen": False,
            }
            for uai in uais
        ]  # fmt: skip


@lru_cache
def _codes(grain: int) -> list[int]:
    wanted = {"web", "software", "people", "observed.journal"} | ({"activities.scolarite"} if grain else set())
    return [
        cell.code
        for cell in CATALOGUE.cells.values()
        if (cell.family in wanted or cell.family.startswith("activities."))
        and cell.measure != "connections_hour"
        and (not cell.family.startswith("activities.") or CATALOGUE.levels[cell.level].number <= LEVELS_IN_USE)
    ]


def _cells(rng: np.random.Generator, grain: int, minutes: int) -> bytes:
    codes = _codes(grain)
    counts = rng.integers(1, 200 if grain == DAY else 40_000, len(codes))
    first = CATALOGUE.select("observed.journal", "minutes")
    observed = np.isin(codes, first[:24])
    counts[observed] = minutes // 24
    counts[np.array(codes) == first[24]] = 0
    return pack(codes, counts)


def _hour_rows(uais: list[str], rng: np.random.Generator) -> Iterable[list[dict[str, object]]]:
    start = datetime(2026, 10, 29, 23, tzinfo=UTC)
    for uai in uais:
        totals = rng.integers(1, 500, 21 * 15)
        yield [
            {
                "uai": uai, "family": 0, "start": start + timedelta(days=n // 15, hours=6 + n % 15), "agent": 1,
                "restatement": 0, "cut": False, "as_of": NOW, "total": int(total), "cells": b"",
            }
            for n, total in enumerate(totals)
        ]  # fmt: skip


if __name__ == "__main__":
    main()
