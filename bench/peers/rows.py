"""One row per cell, the usual way to keep counters: `BOOTSTRAP TOPIC MESSAGES URL`.

Each batch is one statement and one transaction: an upsert that keeps the greater count, given what the batch says of a cell once
only. Months and years are left to whoever asks, so this does less than folding: no sheet is written.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable

import asyncpg

from bench.peers.consuming import batches
from bench.peers.told import tell
from contracts.usage_reported import UsageReported, decode

CREATE = """
create table usage.rows (
    uai text collate "C", grain text collate "C", start text collate "C", code int, agent text collate "C", count bigint,
    primary key (uai, grain, start, code, agent)
)
"""
UPSERT = """
insert into usage.rows (uai, grain, start, code, agent, count)
select * from unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[], $6::bigint[])
on conflict (uai, grain, start, code, agent) do update set count = greatest(rows.count, excluded.count)
where excluded.count > rows.count
"""

Cell = tuple[str, str, str, int, str]


async def main(bootstrap: str, topic: str, messages: int, url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(CREATE)
    reports = facts = 0
    started: float | None = None
    async for values in batches(bootstrap, topic, messages):
        started = started or time.perf_counter()
        decoded = [decode(value) for value in values]
        reports += sum(len(message.reports) for message in decoded)
        facts += sum(len(report.cells) for message in decoded for report in message.reports)
        cells = greatest(decoded)
        await connection.execute(UPSERT, *zip(*((*cell, count) for cell, count in cells.items()), strict=True))
    tell(seconds=time.perf_counter() - (started or 0), reports=reports, facts=facts)
    await connection.close()


def greatest(messages: Iterable[UsageReported]) -> dict[Cell, int]:
    """What a batch says of each cell."""
    found: dict[Cell, int] = {}
    for message in messages:
        for report in message.reports:
            for code, count in zip(report.cells, report.counts, strict=True):
                cell = (message.uai, report.grain, report.start, code, message.agent)
                if found.get(cell, -1) < count:
                    found[cell] = count
    return found


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
