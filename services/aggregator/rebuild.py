"""Sheets folded again from the reports that are kept: what the flushes did by difference, at once. Frozen sheets are left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import asyncpg
import numpy as np

from services.aggregator import store
from services.aggregator.bundle import unpack
from services.aggregator.periods import Periods
from services.aggregator.sheet import fold


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
    bundles, known = await store.all_periods(connection, uai)
    periods = Periods([*bundles, *known])
    numbers = {period: number for number, period in enumerate(periods.known)}
    reports = unpack([numbers[period] for period in bundles], list(bundles.values()))
    frozen = {numbers[period]: sheet for period, sheet in known.items() if sheet.frozen}
    folded = fold(periods, reports, np.ones(reports.n, np.bool_), frozen)
    fresh = {periods.known[number]: sheet for number, sheet in folded.items()}
    stale = [period for period, sheet in known.items() if period not in fresh and not sheet.frozen]
    different = {period: sheet for period, sheet in fresh.items() if known.get(period) != sheet}
    await store.write_sheets(connection, different)
    await store.delete_sheets(connection, stale)
    return len(different) + len(stale)
