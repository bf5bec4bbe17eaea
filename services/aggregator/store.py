"""All SQL of the ingestion. Arrays in, arrays out: one statement a flush and table. Nothing here commits."""
# ruff: noqa: S608 - statements are built from constants of this module only; values are always bound

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import asyncpg

from contracts.catalogue import CATALOGUE
from services.aggregator.admission import Parked, ParkedKey
from services.aggregator.cells import gather
from services.aggregator.merge import Key, State
from services.aggregator.sheet import DAY, Period, Sheet, SheetKey, end_of

MIGRATIONS = Path(__file__).parent / "migrations"

_LOCK_CLASS = 0x55534147
""" "USAG": first half of our advisory locks; the second is the number in the UAI, of which its letter is a function."""

IDLE_IN_TRANSACTION_MS = 10_000
"""A replica frozen inside a transaction loses it, and its locks, after this: the others go on."""
STATEMENT_TIMEOUT_MS = 60_000
LOCK_TIMEOUT_MS = 30_000
"""Longer than a frozen replica may hold a lock, so that waiting for one is no error."""

_EPOCH_DAY = "date '0001-01-01' - 1"
_MS = "(extract(epoch from {}) * 1000)::bigint"
_AT_MS = "timestamptz 'epoch' + {} * interval '1 millisecond'"


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


_READ_REPORTS = f"""
select k.i, r.agent, r.restatement, r.cut, {_MS.format("r.as_of")}, r.cells
from unnest($1::text[], $2::smallint[], $3::smallint[], $4::int[]) with ordinality as k (uai, family, grain, start, i)
join usage.reports r on r.uai = k.uai and r.family = k.family and r.grain = k.grain and r.start = {_EPOCH_DAY} + k.start
"""


async def read_reports(connection: asyncpg.Connection, periods: Sequence[Period]) -> dict[Key, State]:
    """The reports of these periods, of all agents; no hours."""
    if not periods:
        return {}
    rows = await connection.fetch(_READ_REPORTS, *_columns(periods, 4))
    return {_key(periods[row[0] - 1], row[1]): State(*row[2:6]) for row in rows}


def _key(period: Period, agent: int) -> Key:
    return Key(period.uai, period.family, period.grain, period.start, agent)


_READ_CENSUSES = f"""
select k.i, r.start - ({_EPOCH_DAY}), r.agent, r.restatement, r.cut, {_MS.format("r.as_of")}, r.cells
from unnest($1::text[], $2::smallint[], $3::int[], $4::int[]) with ordinality as k (uai, family, start, until, i)
join usage.reports r on r.uai = k.uai and r.family = k.family and r.grain = {DAY}
    and r.start >= {_EPOCH_DAY} + k.start and r.start < {_EPOCH_DAY} + k.until
"""


async def read_censuses(connection: asyncpg.Connection, years: Sequence[Period]) -> dict[Key, State]:
    """All census reports of these school years."""
    if not years:
        return {}
    spans = [(year.uai, year.family, year.start, end_of(year.grain, year.start)) for year in years]
    rows = await connection.fetch(_READ_CENSUSES, *_columns(spans, 4))
    return {Key(years[row[0] - 1].uai, years[row[0] - 1].family, DAY, row[1], row[2]): State(*row[3:7]) for row in rows}


_READ_HOURS = f"""
select k.i, r.agent, r.restatement, r.cut, {_MS.format("r.as_of")}, r.cells
from unnest($1::text[], $2::smallint[], $3::bigint[]) with ordinality as k (uai, family, start, i)
join usage.hours r on r.uai = k.uai and r.family = k.family and r.start = to_timestamp(k.start)
"""


async def read_hours(connection: asyncpg.Connection, periods: Sequence[Period]) -> dict[Key, State]:
    """The hour reports of these periods, of all agents."""
    if not periods:
        return {}
    columns = _columns([(period.uai, period.family, period.start) for period in periods], 3)
    rows = await connection.fetch(_READ_HOURS, *columns)
    return {_key(periods[row[0] - 1], row[1]): State(*row[2:6]) for row in rows}


_READ_SHEETS = f"""
select k.i, s.cells, s.folded, s.cut_families, {_MS.format("s.as_of")}, s.frozen
from unnest($1::text[], $2::smallint[], $3::int[]) with ordinality as k (uai, grain, start, i)
join usage.sheets s on s.uai = k.uai and s.grain = k.grain and s.start = {_EPOCH_DAY} + k.start
"""


async def read_sheets(connection: asyncpg.Connection, keys: Sequence[SheetKey]) -> dict[SheetKey, Sheet]:
    """Those of the sheets that exist."""
    if not keys:
        return {}
    rows = await connection.fetch(_READ_SHEETS, *_columns(keys, 3))
    return {keys[row[0] - 1]: Sheet(*row[1:6]) for row in rows}


_STATE = "restatement = excluded.restatement, cut = excluded.cut, as_of = excluded.as_of, cells = excluded.cells"

_WRITE_REPORTS = f"""
insert into usage.reports (uai, family, grain, start, agent, restatement, cut, as_of, cells)
select uai, family, grain, {_EPOCH_DAY} + start, agent, restatement, cut, {_AT_MS.format("as_of")}, cells
from unnest($1::text[], $2::smallint[], $3::smallint[], $4::int[], $5::int[], $6::bigint[], $7::boolean[], $8::bigint[],
    $9::bytea[]) as k (uai, family, grain, start, agent, restatement, cut, as_of, cells)
on conflict (uai, family, grain, start, agent) do update set {_STATE}
"""

_WRITE_HOURS = f"""
insert into usage.hours (uai, family, start, agent, restatement, cut, as_of, cells, total)
select uai, family, to_timestamp(start), agent, restatement, cut, {_AT_MS.format("as_of")}, cells, total
from unnest($1::text[], $2::smallint[], $3::bigint[], $4::int[], $5::bigint[], $6::boolean[], $7::bigint[], $8::bytea[],
    $9::bigint[]) as k (uai, family, start, agent, restatement, cut, as_of, cells, total)
on conflict (uai, family, start, agent) do update set {_STATE}, total = excluded.total
"""

_WRITE_SHEETS = f"""
insert into usage.sheets (uai, grain, start, cells, folded, cut_families, as_of, frozen)
select uai, grain, {_EPOCH_DAY} + start, cells, folded, cut_families, {_AT_MS.format("as_of")}, frozen
from unnest($1::text[], $2::smallint[], $3::int[], $4::bytea[], $5::bytea[], $6::bigint[], $7::bigint[], $8::boolean[])
    as k (uai, grain, start, cells, folded, cut_families, as_of, frozen)
on conflict (uai, grain, start) do update set cells = excluded.cells, folded = excluded.folded,
    cut_families = excluded.cut_families, as_of = excluded.as_of, frozen = excluded.frozen
"""


async def write_reports(connection: asyncpg.Connection, states: Mapping[Key, State]) -> None:
    """Write day, month and school-year reports as they stand."""
    if rows := [(*key, *state) for key, state in states.items()]:
        await connection.execute(_WRITE_REPORTS, *_columns(rows, 9))


async def write_hours(connection: asyncpg.Connection, states: Mapping[Key, State]) -> None:
    """Write hour reports as they stand, each with its sum."""
    if not states:
        return
    cells = gather(range(len(states)), [state.cells for state in states.values()])
    totals = [0] * len(states)
    for row, count in zip(cells.rows.tolist(), cells.counts.tolist(), strict=True):
        totals[row] += count
    rows = [
        (key.uai, key.family, key.start, key.agent, *state, total)
        for (key, state), total in zip(states.items(), totals, strict=True)
    ]
    await connection.execute(_WRITE_HOURS, *_columns(rows, 9))


async def write_sheets(connection: asyncpg.Connection, sheets: Mapping[SheetKey, Sheet]) -> None:
    """Write sheets as they stand."""
    if rows := [(*key, *sheet) for key, sheet in sheets.items()]:
        await connection.execute(_WRITE_SHEETS, *_columns(rows, 8))


_PARKED_KEYS = """
from unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::text[]) with ordinality
    as k (agent, uai, family, grain, start, i)
join usage.parked p using (agent, uai, family, grain, start)
"""


async def read_parked(connection: asyncpg.Connection, keys: Sequence[ParkedKey]) -> dict[ParkedKey, State]:
    """Those of the parked reports that exist."""
    rows = await connection.fetch(
        f"select k.i, p.restatement, p.cut, {_MS.format('p.as_of')}, p.cells {_PARKED_KEYS}",
        *_columns(keys, 5),
    )
    return {keys[row[0] - 1]: State(*row[1:5]) for row in rows}


async def parked_uais(connection: asyncpg.Connection, catalogue: int) -> list[str]:
    """Establishments of which something is parked that `catalogue` can read."""
    rows = await connection.fetch("select distinct uai from usage.parked where catalogue <= $1 order by uai", catalogue)
    return [row[0] for row in rows]


async def parked_of(connection: asyncpg.Connection, uais: Sequence[str], catalogue: int) -> list[Parked]:
    """The parked reports of these establishments that `catalogue` can read."""
    rows = await connection.fetch(
        f"""select agent, uai, family, grain, start, restatement, cut, {_MS.format("as_of")}, cells, cause, catalogue
        from usage.parked where uai = any($1::text[]) and catalogue <= $2""",
        uais, catalogue,
    )  # fmt: skip
    return [Parked(ParkedKey(*row[:5]), State(*row[5:9]), row[9], row[10]) for row in rows]


_WRITE_PARKED = f"""
insert into usage.parked as p (agent, uai, family, grain, start, restatement, cut, as_of, cells, cause, catalogue, parked_at)
select agent, uai, family, grain, start, restatement, cut, {_AT_MS.format("as_of")}, cells, cause, catalogue, now()
from unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::text[], $6::bigint[], $7::boolean[], $8::bigint[],
    $9::bytea[], $10::text[], $11::int[])
    as k (agent, uai, family, grain, start, restatement, cut, as_of, cells, cause, catalogue)
on conflict (agent, uai, family, grain, start) do update set {_STATE}, cause = excluded.cause,
    catalogue = greatest(p.catalogue, excluded.catalogue), parked_at = excluded.parked_at
"""


async def write_parked(connection: asyncpg.Connection, parked: Iterable[Parked]) -> None:
    """Write parked reports as they stand; what arrives again waits its 35 days again."""
    if rows := [(*report.key, *report.state, report.cause, report.catalogue) for report in parked]:
        await connection.execute(_WRITE_PARKED, *_columns(rows, 11))


async def delete_parked(connection: asyncpg.Connection, keys: Sequence[ParkedKey]) -> None:
    await connection.execute(
        """delete from usage.parked p using unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::text[])
        as k (agent, uai, family, grain, start)
        where (p.agent, p.uai, p.family, p.grain, p.start) = (k.agent, k.uai, k.family, k.grain, k.start)""",
        *_columns(keys, 5),
    )


async def count_outcomes(connection: asyncpg.Connection, outcomes: Mapping[tuple[str, str, str], int]) -> None:
    """Add to the counters; in one order everywhere, because rows stay locked until commit."""
    if rows := sorted((*key, count) for key, count in outcomes.items()):
        await connection.execute(
            """insert into usage.outcomes (agent, outcome, cause, count, last_at)
            select agent, outcome, cause, count, now()
            from unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) as k (agent, outcome, cause, count)
            on conflict (agent, outcome, cause)
            do update set count = outcomes.count + excluded.count, last_at = excluded.last_at""",
            *_columns(rows, 4),
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
        *_columns(rows, 7),
    )


def _columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows as the columns that unnest takes; `width` for when there are none."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    return columns or [[] for _ in range(width)]


async def purge_hours(connection: asyncpg.Connection, uais: Sequence[str], before: datetime) -> None:
    """Delete hour reports that start before an instant."""
    await connection.execute("delete from usage.hours where uai = any($1::text[]) and start < $2", uais, before)


async def purge_grain(
    connection: asyncpg.Connection, uais: Sequence[str], grains: Sequence[int], before: date, *, freeze: Sequence[int]
) -> int:
    """Delete reports of `grains` that start before `before`, freeze the sheets of `freeze` in their school years.

    Sheets as fine as the reports go with them, except those frozen. The number of reports deleted.
    """
    purged: int = await connection.fetchval(_PURGE_GRAIN, uais, list(grains), before, list(freeze))
    finer = [grain for grain in grains if grain not in freeze]
    await connection.execute(
        "delete from usage.sheets where uai = any($1::text[]) and grain = any($2::smallint[]) and start < $3",
        uais, finer, before,
    )  # fmt: skip
    return purged


_PURGE_GRAIN = """
with purged as (
    delete from usage.reports where uai = any($1::text[]) and grain = any($2::smallint[]) and start < $3 returning uai, start
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


async def purge_parked(connection: asyncpg.Connection, before: datetime) -> None:
    """Delete what has waited since before an instant."""
    await connection.execute("delete from usage.parked where parked_at < $1", before)


async def forget(connection: asyncpg.Connection, uais: Sequence[str]) -> bool:
    """Delete all that is kept of these establishments; whether there was anything."""
    deleted = [
        await connection.execute(f"delete from usage.{table} where uai = any($1::text[])", uais)
        for table in ("reports", "hours", "sheets", "parked")
    ]
    return any(status != "DELETE 0" for status in deleted)


async def all_uais(connection: asyncpg.Connection) -> list[str]:
    """Establishments that have a report or a sheet."""
    rows = await connection.fetch("select uai from usage.reports union select uai from usage.sheets order by uai")
    return [row[0] for row in rows]


async def all_reports(connection: asyncpg.Connection, uai: str) -> dict[Key, State]:
    """Every report of an establishment, but hours."""
    rows = await connection.fetch(
        f"""select family, grain, start - ({_EPOCH_DAY}), agent, restatement, cut, {_MS.format("as_of")}, cells
        from usage.reports where uai = $1""",
        uai,
    )
    return {Key(uai, *row[:4]): State(*row[4:8]) for row in rows}


async def all_sheets(connection: asyncpg.Connection, uai: str) -> dict[SheetKey, Sheet]:
    """Every sheet of an establishment."""
    rows = await connection.fetch(
        f"""select grain, start - ({_EPOCH_DAY}), cells, folded, cut_families, {_MS.format("as_of")}, frozen
        from usage.sheets where uai = $1""",
        uai,
    )
    return {SheetKey(uai, row[0], row[1]): Sheet(*row[2:7]) for row in rows}


async def delete_sheets(connection: asyncpg.Connection, keys: Sequence[SheetKey]) -> None:
    await connection.execute(
        f"""delete from usage.sheets s using unnest($1::text[], $2::smallint[], $3::int[]) as k (uai, grain, start)
        where s.uai = k.uai and s.grain = k.grain and s.start = {_EPOCH_DAY} + k.start""",
        *_columns(keys, 3),
    )
