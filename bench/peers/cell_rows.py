"""The same question asked of PostgreSQL with one row per cell, by day and folded by window: what a usual schema would answer with."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from datetime import date

import asyncpg

DAYS = """
create unlogged table usage.cell_days (
    day date, uai text collate "C", code int, count bigint, primary key (day, uai, code)
)
"""
FILL_DAYS = """
insert into usage.cell_days
select $1::date + n, uai, code, 1 + random() * 200
from generate_series(0, $2::int - 1) as n, unnest($3::text[]) as uai, unnest($4::int[]) as code order by 1, 2, 3
"""
WINDOWS = """
create unlogged table usage.cell_windows (
    win text, uai text collate "C", code int, count bigint, primary key (win, uai, code)
)
"""
FILL_WINDOW = """
insert into usage.cell_windows
select $1, uai, code, sum(count) from usage.cell_days where day between $2 and $3 group by uai, code order by uai, code
"""
ASK_DAYS = """
select uai, code, sum(count)::bigint from usage.cell_days
where day between $1 and $2 and code = any($3::int[]) group by uai, code
"""
ASK_WINDOW = "select uai, code, count from usage.cell_windows where win = $1 and code = any($2::int[])"


async def fill(
    connection: asyncpg.Connection, uais: Sequence[str], codes: Sequence[int], first: date, days: int,
    spans: dict[str, tuple[date, date]],
) -> None:  # fmt: skip
    """Both tables, ready to be asked."""
    await connection.execute(DAYS)
    await connection.execute(FILL_DAYS, first, days, uais, codes)
    await connection.execute(WINDOWS)
    for name, span in spans.items():
        await connection.execute(FILL_WINDOW, name, *span)
    await connection.execute("vacuum analyze usage.cell_days, usage.cell_windows")


async def by_day(connection: asyncpg.Connection, span: tuple[date, date], asked: Sequence[int], rounds: int) -> float:
    """Median milliseconds of summing days."""
    return await _median(connection, rounds, ASK_DAYS, *span, asked)


async def by_window(connection: asyncpg.Connection, name: str, asked: Sequence[int], rounds: int) -> float:
    """Median milliseconds of reading what was folded beforehand."""
    return await _median(connection, rounds, ASK_WINDOW, name, asked)


async def _median(connection: asyncpg.Connection, rounds: int, statement: str, *arguments: object) -> float:
    prepared = await connection.prepare(statement)
    took = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        await prepared.fetch(*arguments)
        took.append(1000 * (time.perf_counter() - started))
    return statistics.median(took[1:])
