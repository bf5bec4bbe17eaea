"""SQL of what waits: reports outside grants or of a newer catalogue, one row each. Nothing here commits."""
# ruff: noqa: S608 - statements are built from constants of the stores only; values are always bound

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import asyncpg

from services.aggregator.admission import Parked, ParkedKey
from services.aggregator.states import State
from services.aggregator.store import AT_MS, MS, columns

_STATE = "restatement = excluded.restatement, cut = excluded.cut, as_of = excluded.as_of, cells = excluded.cells"
_PARKED_KEYS = """
from unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::text[]) with ordinality
    as k (agent, uai, family, grain, start, i)
join usage.parked p using (agent, uai, family, grain, start)
"""


async def read_parked(connection: asyncpg.Connection, keys: Sequence[ParkedKey]) -> dict[ParkedKey, State]:
    """Those of the parked reports that exist."""
    rows = await connection.fetch(
        f"select k.i, p.restatement, p.cut, {MS.format('p.as_of')}, p.cells {_PARKED_KEYS}",
        *columns(keys, 5),
    )
    return {keys[row[0] - 1]: State(*row[1:5]) for row in rows}


async def count_newer(connection: asyncpg.Connection, agents: Sequence[str], most: int) -> dict[str, int]:
    """How many reports of a newer catalogue of each agent wait; no further than `most`."""
    if not agents:
        return {}
    rows = await connection.fetch(
        """select agent, (select count(*) from (select from usage.parked p
            where p.agent = k.agent and p.cause = 'newer_catalogue' limit $2) as found)
        from unnest($1::text[]) as k (agent)""",
        agents, most,
    )  # fmt: skip
    return dict(map(tuple, rows))


async def parked_uais(connection: asyncpg.Connection, catalogue: int) -> list[str]:
    """Establishments of which something is parked that `catalogue` can read."""
    rows = await connection.fetch("select distinct uai from usage.parked where catalogue <= $1 order by uai", catalogue)
    return [row[0] for row in rows]


async def parked_of(connection: asyncpg.Connection, uais: Sequence[str], catalogue: int) -> list[Parked]:
    """The parked reports of these establishments that `catalogue` can read."""
    rows = await connection.fetch(
        f"""select agent, uai, family, grain, start, restatement, cut, {MS.format("as_of")}, cells, cause, catalogue
        from usage.parked where uai = any($1::text[]) and catalogue <= $2""",
        uais, catalogue,
    )  # fmt: skip
    return [Parked(ParkedKey(*row[:5]), State(*row[5:9]), row[9], row[10]) for row in rows]


_WRITE_PARKED = f"""
insert into usage.parked as p (agent, uai, family, grain, start, restatement, cut, as_of, cells, cause, catalogue, parked_at)
select agent, uai, family, grain, start, restatement, cut, {AT_MS.format("as_of")}, cells, cause, catalogue, now()
from unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::text[], $6::bigint[], $7::boolean[], $8::bigint[],
    $9::bytea[], $10::text[], $11::int[])
    as k (agent, uai, family, grain, start, restatement, cut, as_of, cells, cause, catalogue)
on conflict (agent, uai, family, grain, start) do update set {_STATE}, cause = excluded.cause,
    catalogue = greatest(p.catalogue, excluded.catalogue), parked_at = excluded.parked_at
"""


async def write_parked(connection: asyncpg.Connection, parked: Iterable[Parked]) -> None:
    """Write parked reports as they stand; what arrives again waits its 35 days again."""
    if rows := [(*report.key, *report.state, report.cause, report.catalogue) for report in parked]:
        await connection.execute(_WRITE_PARKED, *columns(rows, 11))


async def delete_parked(connection: asyncpg.Connection, keys: Sequence[ParkedKey]) -> None:
    await connection.execute(
        """delete from usage.parked p using unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::text[])
        as k (agent, uai, family, grain, start)
        where (p.agent, p.uai, p.family, p.grain, p.start) = (k.agent, k.uai, k.family, k.grain, k.start)""",
        *columns(keys, 5),
    )


async def purge_parked(connection: asyncpg.Connection, before: datetime) -> None:
    """Delete what has waited since before an instant."""
    await connection.execute("delete from usage.parked where parked_at < $1", before)
