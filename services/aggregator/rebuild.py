"""Sheets folded again from the reports that are kept: what the flushes did by difference, at once. Frozen sheets are left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import asyncpg

from services.aggregator import store
from services.aggregator.sheet import fold, period_of


async def rebuild(pool: asyncpg.Pool, uais: Iterable[str], progress: Callable[[str, int], None]) -> int:
    """Rebuild establishment by establishment; `progress` hears of each, with the sheets that differed. Their sum."""
    total = 0
    for uai in uais:
        async with pool.acquire() as connection, connection.transaction():
            await store.lock(connection, [uai])
            differed = await _rebuild(connection, uai)
        progress(uai, differed)
        total += differed
    return total


async def _rebuild(connection: asyncpg.Connection, uai: str) -> int:
    reports = await store.all_reports(connection, uai)
    known = await store.all_sheets(connection, uai)
    frozen = {key: sheet for key, sheet in known.items() if sheet.frozen}
    fresh = fold({period_of(key) for key in reports}, reports, frozen)
    stale = [key for key in known if key not in fresh and key not in frozen]
    different = {key: sheet for key, sheet in fresh.items() if known.get(key) != sheet}
    await store.write_sheets(connection, different)
    await store.delete_sheets(connection, stale)
    return len(different) + len(stale)
