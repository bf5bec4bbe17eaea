"""All SQL of the ingestion. Arrays in, arrays out: one statement a flush and table. Nothing here commits."""
# ruff: noqa: S608 - statements are built from constants of this module only; values are always bound

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import asyncpg

from contracts.catalogue import CATALOGUE
from services.aggregator.flush import Bundle, Stored
from services.aggregator.periods import DAY, HOUR, SCHOOL_YEAR, end_of
from services.aggregator.reports import Period
from services.aggregator.sheet import CENSUSES, Sheet

MIGRATIONS = Path(__file__).parent / "migrations"

_LOCK_CLASS = 0x55534147
""" "USAG": first half of our advisory locks; the second is the number in the UAI, of which its letter is a function."""

IDLE_IN_TRANSACTION_MS = 10_000
"""A replica frozen inside a transaction loses it, and its locks, after this: the others go on."""
STATEMENT_TIMEOUT_MS = 60_000
LOCK_TIMEOUT_MS = 30_000
"""Longer than a frozen replica may hold a lock, so that waiting for one is no error."""

_BY_INDEX = {"enable_hashjoin": "off", "enable_mergejoin": "off", "enable_seqscan": "off", "jit": "off"}
"""A flush looks up thousands of keys: a planner that takes that for most of the table would read all of it, ever slower as it grows."""

_EPOCH_DAY = "date '0001-01-01' - 1"
MS = "(extract(epoch from {}) * 1000)::bigint"
AT_MS = "timestamptz 'epoch' + {} * interval '1 millisecond'"


def pool(url: str) -> asyncpg.Pool:
    """A pool for the flush, the retention and the health checks (not yet connected)."""
    return asyncpg.create_pool(
        url.replace("postgresql+asyncpg://", "postgresql://", 1),
        min_size=1,
        max_size=3,
        timeout=10,
        server_settings={
            "application_name": "aggregator",
            "statement_timeout": str(STATEMENT_TIMEOUT_MS),
            "lock_timeout": str(LOCK_TIMEOUT_MS),
            "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
            **_BY_INDEX,
        },
    )


def lock_number(uai: str) -> int:
    """Second half of an establishment's advisory lock."""
    return int(uai[:7])


async def lock(connection: asyncpg.Connection, uais: Iterable[str]) -> None:
    """Take the establishments' locks until the transaction ends, always in the same order."""
    numbers = sorted(lock_number(uai) for uai in uais)
    await connection.execute("select pg_advisory_xact_lock($1, n) from unnest($2::int[]) as n", _LOCK_CLASS, numbers)


async def agent_numbers(connection: asyncpg.Connection, agents: Sequence[str]) -> dict[str, int]:
    """The numbers of the agents; those that are new get one."""
    known = await _numbers(connection, agents)
    if missing := sorted(set(agents) - known.keys()):
        await connection.execute(
            "insert into usage.agents (id) select unnest($1::text[]) on conflict (id) do nothing", missing
        )
        known |= await _numbers(connection, missing)
    return known


async def _numbers(connection: asyncpg.Connection, agents: Sequence[str]) -> dict[str, int]:
    rows = await connection.fetch("select id, number from usage.agents where id = any($1::text[])", agents)
    return {row["id"]: row["number"] for row in rows}


_READ = f"""
select k.i, b.reports, s.cells, s.folded, s.cut_families, {MS.format("s.as_of")}, s.frozen
from unnest($1::text[], $2::smallint[], $3::int[]) with ordinality as k (uai, grain, start, i)
left join usage.bundles b on b.uai = k.uai and b.grain = k.grain and b.start = {_EPOCH_DAY} + k.start
left join usage.sheets s on s.uai = k.uai and s.grain = k.grain and s.start = {_EPOCH_DAY} + k.start
where b.uai is not null or s.uai is not null
"""


async def read(connection: asyncpg.Connection, periods: Sequence[Period]) -> Stored:
    """The bundles and sheets of these periods, numbered as they come."""
    rows = await connection.fetch(_READ, *columns(periods, 3)) if periods else []
    return Stored(
        {row[0] - 1: row[1] for row in rows if row[1] is not None},
        {row[0] - 1: Sheet(*row[2:7]) for row in rows if row[2] is not None},
    )


_CENSUS_DAYS = f"""
select b.uai, b.grain, b.start - ({_EPOCH_DAY})
from unnest($1::text[], $2::int[], $3::int[]) as k (uai, start, until)
join usage.bundles b on b.uai = k.uai and b.grain = {DAY}
    and b.start >= {_EPOCH_DAY} + k.start and b.start < {_EPOCH_DAY} + k.until and b.families & $4 <> 0
"""


async def census_days(connection: asyncpg.Connection, years: Iterable[Period]) -> list[Period]:
    """The days of these school years of which a census is known."""
    spans = [(year.uai, year.start, end_of(SCHOOL_YEAR, year.start)) for year in years]
    censuses = sum(1 << family for family in CENSUSES)
    return [Period(*row) for row in await connection.fetch(_CENSUS_DAYS, *columns(spans, 3), censuses)]


_WRITE_BUNDLES = f"""
insert into usage.bundles (uai, grain, start, families, reports)
select uai, grain, {_EPOCH_DAY} + start, families, reports
from unnest($1::text[], $2::smallint[], $3::int[], $4::bigint[], $5::bytea[]) as k (uai, grain, start, families, reports)
on conflict (uai, grain, start) do update set families = excluded.families, reports = excluded.reports
"""

_WRITE_SHEETS = f"""
insert into usage.sheets (uai, grain, start, cells, folded, cut_families, as_of, frozen)
select uai, grain, {_EPOCH_DAY} + start, cells, folded, cut_families, {AT_MS.format("as_of")}, frozen
from unnest($1::text[], $2::smallint[], $3::int[], $4::bytea[], $5::bytea[], $6::bigint[], $7::bigint[], $8::boolean[])
    as k (uai, grain, start, cells, folded, cut_families, as_of, frozen)
on conflict (uai, grain, start) do update set cells = excluded.cells, folded = excluded.folded,
    cut_families = excluded.cut_families, as_of = excluded.as_of, frozen = excluded.frozen
"""


async def write_bundles(connection: asyncpg.Connection, bundles: Mapping[Period, Bundle]) -> None:
    """Write bundles as they stand."""
    if rows := [(*period, *bundle) for period, bundle in bundles.items()]:
        await connection.execute(_WRITE_BUNDLES, *columns(rows, 5))


async def write_sheets(connection: asyncpg.Connection, sheets: Mapping[Period, Sheet]) -> None:
    """Write sheets as they stand."""
    if rows := [(*period, *sheet) for period, sheet in sheets.items()]:
        await connection.execute(_WRITE_SHEETS, *columns(rows, 8))


async def count_outcomes(connection: asyncpg.Connection, outcomes: Mapping[tuple[str, str, str], int]) -> None:
    """Add to the counters; in one order everywhere, because rows stay locked until commit."""
    if rows := sorted((*key, count) for key, count in outcomes.items()):
        await connection.execute(
            """insert into usage.outcomes (agent, outcome, cause, count, last_at)
            select agent, outcome, cause, count, now()
            from unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) as k (agent, outcome, cause, count)
            on conflict (agent, outcome, cause)
            do update set count = outcomes.count + excluded.count, last_at = excluded.last_at""",
            *columns(rows, 4),
        )


async def read_outcomes(connection: asyncpg.Connection) -> list[tuple[str, str, str, int]]:
    """All counters: agent, outcome, cause, count."""
    rows = await connection.fetch("select agent, outcome, cause, count from usage.outcomes order by 1, 2, 3")
    return [tuple(row) for row in rows]


async def write_cells(connection: asyncpg.Connection) -> None:
    """Write the catalogue's names again, for operators."""
    rows = [(c.code, c.family, c.measure, c.profile, c.channel, c.access, c.level) for c in CATALOGUE.cells.values()]
    await connection.execute(
        """insert into usage.cells (code, family, measure, profile, channel, access, level)
        select * from unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
        on conflict (code) do update set family = excluded.family, measure = excluded.measure, profile = excluded.profile,
            channel = excluded.channel, access = excluded.access, level = excluded.level""",
        *columns(rows, 7),
    )


def columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows as the columns that unnest takes; `width` for when there are none."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    return columns or [[] for _ in range(width)]


_NOTE_RESTATEMENTS = """
insert into usage.restatements as r (agent, uai, family, highest)
select * from unnest($1::int[], $2::text[], $3::smallint[], $4::bigint[])
on conflict (agent, uai, family) do update set highest = excluded.highest where r.highest < excluded.highest
"""


async def note_restatements(connection: asyncpg.Connection, restated: Sequence[tuple[int, str, int, int]]) -> None:
    """Keep the highest restatement of each agent, UAI and family."""
    if restated:
        await connection.execute(_NOTE_RESTATEMENTS, *columns(restated, 4))


async def purge_hours(connection: asyncpg.Connection, uais: Sequence[str], before: datetime) -> None:
    """Delete hour reports by whole UTC days, those that are over at an instant."""
    await connection.execute(
        f"delete from usage.bundles where uai = any($1::text[]) and grain = {HOUR} and start < $2",
        uais, before.astimezone(UTC).date(),
    )  # fmt: skip


async def purge_grain(
    connection: asyncpg.Connection, uais: Sequence[str], grain: int, before: date, *, freeze: Sequence[int]
) -> int:
    """Delete reports of `grain` that start before `before` and its sheets, freeze those of `freeze` in their school years.

    The number of bundles deleted.
    """
    purged: int = await connection.fetchval(_PURGE_GRAIN, uais, grain, before, list(freeze))
    await connection.execute(
        "delete from usage.sheets where uai = any($1::text[]) and grain = $2 and start < $3", uais, grain, before
    )
    return purged


_PURGE_GRAIN = """
with purged as (
    delete from usage.bundles where uai = any($1::text[]) and grain = $2 and start < $3 returning uai, start
), years as (
    select distinct uai, make_date(extract(year from start - interval '8 months')::int, 9, 1) as first from purged
), frozen as (
    update usage.sheets s set frozen = true from years y
    where s.uai = y.uai and s.grain = any($4::smallint[]) and not s.frozen
        and s.start >= y.first and s.start < y.first + interval '1 year'
)
select count(*) from purged
"""
"""A date less 8 months lies in the calendar year in which its school year starts."""


async def forget(connection: asyncpg.Connection, uais: Sequence[str]) -> bool:
    """Delete all that is kept of these establishments; whether there was anything."""
    deleted = [
        await connection.execute(f"delete from usage.{table} where uai = any($1::text[])", uais)
        for table in ("bundles", "sheets", "parked", "restatements")
    ]
    return any(status != "DELETE 0" for status in deleted)


async def all_uais(connection: asyncpg.Connection) -> list[str]:
    """Establishments that have a report or a sheet."""
    rows = await connection.fetch(
        f"select uai from usage.bundles where grain > {HOUR} union select uai from usage.sheets order by uai"
    )
    return [row[0] for row in rows]


async def all_periods(connection: asyncpg.Connection, uai: str) -> tuple[dict[Period, bytes], dict[Period, Sheet]]:
    """Every bundle of an establishment, but of hours, and every sheet."""
    bundles = await connection.fetch(
        f"select uai, grain, start - ({_EPOCH_DAY}), reports from usage.bundles where uai = $1 and grain > {HOUR}", uai
    )
    sheets = await connection.fetch(
        f"""select uai, grain, start - ({_EPOCH_DAY}), cells, folded, cut_families, {MS.format("as_of")}, frozen
        from usage.sheets where uai = $1""",
        uai,
    )
    return {Period(*row[:3]): row[3] for row in bundles}, {Period(*row[:3]): Sheet(*row[3:8]) for row in sheets}


async def delete_sheets(connection: asyncpg.Connection, periods: Sequence[Period]) -> None:
    await connection.execute(
        f"""delete from usage.sheets s using unnest($1::text[], $2::smallint[], $3::int[]) as k (uai, grain, start)
        where s.uai = k.uai and s.grain = k.grain and s.start = {_EPOCH_DAY} + k.start""",
        *columns(periods, 3),
    )
