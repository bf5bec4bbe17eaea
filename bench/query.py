"""How long a table of a thousand establishments takes: in the store, as ready bytes, in any window, and asked of others.

Run: python -m bench.query. A fresh PostgreSQL is started and filled with sheets of plausible width. ClickHouse and tables of one
row per cell are asked for the same sums of the same number of cells; they hold connections alone, we everything.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date
from functools import partial
from typing import Literal

import asyncpg
import click
import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.peers import cell_rows
from bench.peers.running import PYTHON
from bench.progress import say
from bench.results import Result, absent, figure, show
from bench.servers import Servers, plain, servers
from bench.sheets import NOW, TODAY, YEAR, fill
from bench.traffic import SOFTWARE, WEB, uais_of
from chassis.clock import Clock
from chassis.database import create_engine, migrate
from contracts.catalogue import CATALOGUE
from contracts.questions import SeriesQuestion, SummaryQuestion, TableQuestion
from contracts.registry import Establishment, Grant, Territory
from contracts.scope import Scope, VisibleEstablishment
from deploy.local.places import ROOT
from services.aggregator.query.columns import Plan
from services.aggregator.query.readings import Reader
from services.aggregator.query.scopes import Scopes
from services.aggregator.query.service import Queries
from services.aggregator.query.sheets import Moment
from services.aggregator.query.store import read_sheets
from services.aggregator.query.windows import resolve
from services.aggregator.store import MIGRATIONS
from services.aggregator.tables import SCHEMA

FAMILIES = ("web", "software", "people", "observed.journal")
TABLE = "connexions.authentifiees"
WINDOWS = ("last-day", "current-month", "last-month", "current-year")
WIDE = 10_000
Display = Literal["values", "rates"]
DISPLAYS: tuple[Display, ...] = ("values", "rates")
Ask = Callable[[], Awaitable[object]]
ROUNDS, PEER_ROUNDS, WIDE_ROUNDS, SERIES_ROUNDS = 30, 5, 5, 5
SPANS = {"current-month": (date(2026, 11, 1), TODAY), "current-year": (YEAR, TODAY)}
"""What the peers sum by day; the windows of the same names read one sheet an establishment."""


@click.command()
@click.option("--establishments", default=1000, show_default=True, help="Lines of the tables.")
@click.option("--wide/--no-wide", default=True, show_default=True, help="Ask for a table of 10,000 lines, too.")
@click.option("--peers/--no-peers", default=True, show_default=True, help="Ask ClickHouse and rows of cells, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def main(establishments: int, wide: bool, peers: bool, as_json: bool) -> None:
    """Milliseconds a question takes in the query's process: median wall time, and CPU."""
    show(asyncio.run(measure(establishments, wide=wide, peers=peers)), as_json=as_json)


async def measure(size: int, *, wide: bool, peers: bool) -> list[Result]:
    """Tables in each window, the summary and the series; the wide table; then the same question asked of others."""
    uais = uais_of(size)
    async with servers() as these:
        async with asked(these, "query", uais) as filled:
            results, store = await _questions(filled)
        if wide:
            results += await _wide(these)
        if peers:
            results += await _rows(these, uais, store) + await _clickhouse(size, store)
    return results


class Asked:
    """A filled store, and the query service's own code before it."""

    def __init__(self, engine: AsyncEngine, uais: list[str]) -> None:
        self._engine = engine
        self.scope = msgspec.Raw(msgspec.json.encode(_scope(uais)))
        self.queries = Queries(engine, Clock(NOW), _SCOPES)

    def table(self, window: str, display: Display = "values") -> Ask:
        """A question for the whole table."""
        return partial(self.queries.table, TableQuestion(scope=self.scope, table=TABLE, window=window, display=display))

    def store(self, window: str) -> Ask:
        """Only what the store does for it."""
        return partial(_store_only, self._engine, self.scope, window)


@asynccontextmanager
async def asked(these: Servers, name: str, uais: list[str], *, with_days: bool = True) -> AsyncIterator[Asked]:
    """A database of its own, filled."""
    say(f"filling sheets of {len(uais):,} establishments")
    async with these.database(name) as url:
        engine = create_engine(url, application="bench")
        try:
            await migrate(engine, MIGRATIONS, schema=SCHEMA)
            await fill(engine, uais, with_days=with_days)
            yield Asked(engine, uais)
        finally:
            await engine.dispose()


async def _questions(these: Asked) -> tuple[list[Result], dict[str, float]]:
    """All questions, and the store's milliseconds by window."""
    say("asking")
    results: list[Result] = []
    store, tables = {}, {}
    for window in WINDOWS:
        store[window], figures = await _timed(f"query.store.{window}", these.store(window))
        results += figures
        for display in DISPLAYS:
            tables[window, display], figures = await _timed(f"query.{display}.{window}", these.table(window, display))
            results += figures
    ratio = tables["current-year", "values"] / tables["current-month", "values"]
    results.append(figure("query.year_vs_month", round(ratio, 2), "ratio"))
    summary = partial(these.queries.summary, SummaryQuestion(scope=these.scope, page="connexions"))
    for name, ask in (
        ("summary", summary),
        ("daily", partial(these.queries.daily, SeriesQuestion(scope=these.scope))),
        ("hourly", partial(these.queries.hourly, SeriesQuestion(scope=these.scope))),
    ):
        results += (await _timed(f"query.{name}", ask, rounds=SERIES_ROUNDS))[1]
    return results, store


async def _wide(these: Servers) -> list[Result]:
    async with asked(these, "query_wide", uais_of(WIDE), with_days=False) as wide:
        say("asking for a wide table")
        return (await _timed("query.wide", wide.table("current-month"), rounds=WIDE_ROUNDS))[1]


async def _store_only(engine: AsyncEngine, scope: msgspec.Raw, window: str) -> int:
    roll = _SCOPES.lines_of(scope).all
    reader = Reader(roll, resolve(window, None, TODAY), Moment(NOW, TODAY), _PLAN)
    async with engine.connect() as connection:
        return sum(len(batch.uais) for batch in await read_sheets(connection, roll.uais, reader.spans))


_SCOPES = Scopes()
_PLAN = Plan(CATALOGUE.tables[TABLE].columns)


async def _timed(name: str, ask: Ask, *, rounds: int = ROUNDS) -> tuple[float, list[Result]]:
    """Median wall milliseconds, and the figures of them and of the processor's."""
    encode = msgspec.json.Encoder().encode
    walls, cpus = [], []
    for _ in range(rounds):
        begun, worked = time.perf_counter(), time.process_time()
        encode(await ask())
        walls.append((time.perf_counter() - begun) * 1000)
        cpus.append((time.process_time() - worked) * 1000)
    wall, cpu = statistics.median(walls), statistics.median(cpus)
    return wall, [figure(name, round(wall, 1), "ms"), figure(f"{name}.cpu", round(cpu, 1), "ms")]


async def _rows(these: Servers, uais: list[str], store: dict[str, float]) -> list[Result]:
    """PostgreSQL with one row a cell."""
    say("filling and asking rows of cells")
    asked_for = list(WEB + SOFTWARE)
    async with these.database("query_rows") as url:
        connection = await asyncpg.connect(plain(url))
        try:
            await cell_rows.fill(connection, uais, asked_for, YEAR, (TODAY - YEAR).days + 1, SPANS)
            results = []
            for window, span in SPANS.items():
                days = await cell_rows.by_day(connection, span, asked_for, PEER_ROUNDS)
                folded = await cell_rows.by_window(connection, window, asked_for, PEER_ROUNDS)
                results += _compared("rows_by_day", window, days, store)
                results += _compared("rows_folded", window, folded, store)
            return results
        finally:
            await connection.close()


async def _clickhouse(size: int, store: dict[str, float]) -> list[Result]:
    """ClickHouse, embedded, in its own process."""
    say("filling and asking ClickHouse")
    if not PYTHON.exists():
        return [absent(f"query.clickhouse_vs_store.{window}", "its packages are not installed") for window in SPANS]
    codes = list(WEB + SOFTWARE)
    question = {
        "establishments": size, "codes": codes, "asked": codes, "first": str(YEAR), "days": (TODAY - YEAR).days + 1,
        "rounds": PEER_ROUNDS, "spans": {name: [str(day) for day in span] for name, span in SPANS.items()},
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        str(PYTHON), "-m", "bench.peers.clickhouse", cwd=ROOT, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate(json.dumps(question).encode())
    if process.returncode:
        why = (errors.decode(errors="replace").strip().splitlines() or ["no word"])[-1][:120]
        return [absent(f"query.clickhouse_vs_store.{window}", why) for window in SPANS]
    found: dict[str, float] = json.loads(output)
    return [each for window, took in found.items() for each in _compared("clickhouse", window, took, store)]


def _compared(peer: str, window: str, took: float, store: dict[str, float]) -> list[Result]:
    return [
        figure(f"query.{peer}.{window}", round(took, 1), "ms"),
        figure(f"query.{peer}_vs_store.{window}", round(took / store[window], 1), "ratio"),
    ]


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


if __name__ == "__main__":
    main()
