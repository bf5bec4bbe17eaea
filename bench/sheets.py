"""Sheets and hours of plausible width, written straight into PostgreSQL: what questions are measured on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache

import numpy as np
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts.catalogue import CATALOGUE
from contracts.packed import pack
from services.aggregator.bundle import pack as pack_reports
from services.aggregator.reports import Reports
from services.aggregator.tables import DAY, HOUR, MONTH, SCHOOL_YEAR, bundles, sheets

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = date(2026, 11, 20)
YEAR = date(2026, 9, 1)
DAYS, HOUR_DAYS = 30, 21
FIRST_HOUR, HOURS = 6, 15
"""Of a school's day, UTC."""
AT_ONCE = 1000
"""Rows of one statement."""
LEVELS_IN_USE = 8
MINUTES_A_DAY = 24 * 60
DAILY_LIMIT, WIDER_LIMIT = 200, 40_000
"""Counts are drawn below these, in a day's sheet and in a wider one's."""


async def fill(engine: AsyncEngine, uais: Sequence[str], *, with_days: bool = True) -> None:
    """The school year, its last two months, thirty days and three weeks of hours; without days, the wider sheets alone."""
    rng = np.random.default_rng(1)
    async with engine.begin() as connection:
        for table in (sheets, bundles):
            await connection.execute(table.delete())
        for rows in _sheet_rows(uais, rng, with_days=with_days):
            await connection.execute(sheets.insert(), rows)
        for rows in _hour_rows(uais, rng) if with_days else ():
            await connection.execute(bundles.insert(), rows)
    async with engine.connect() as connection:
        await connection.exec_driver_sql("analyze")
        await connection.commit()


def _sheet_rows(uais: Sequence[str], rng: np.random.Generator, *, with_days: bool) -> Iterator[list[dict[str, object]]]:
    october = MINUTES_A_DAY * 31 + 60
    spans = [
        (SCHOOL_YEAR, YEAR, MINUTES_A_DAY * 81),
        (MONTH, date(2026, 11, 1), MINUTES_A_DAY * 19),
        (MONTH, date(2026, 10, 1), october),
    ]
    if with_days:
        spans += [(DAY, TODAY - timedelta(days=back), MINUTES_A_DAY) for back in range(DAYS)]
    for grain, start, minutes in spans:
        for first in range(0, len(uais), AT_ONCE):
            yield [_sheet(uai, grain, start, _cells(rng, grain, minutes)) for uai in uais[first : first + AT_ONCE]]


def _sheet(uai: str, grain: int, start: date, cells: bytes) -> dict[str, object]:
    return {
        "uai": uai, "grain": grain, "start": start, "cells": cells, "folded": b"", "cut_families": 0, "as_of": NOW,
        "frozen": False,
    }  # fmt: skip


@cache
def _codes() -> list[int]:
    """What one establishment counts: connections, people, observation, and its levels' activities."""
    families = {"web", "software", "people", "observed.journal"}
    return [
        cell.code
        for cell in CATALOGUE.cells.values()
        if cell.measure != "connections_hour"
        and (
            cell.family in families
            or (cell.family.startswith("activities.") and CATALOGUE.levels[cell.level].number <= LEVELS_IN_USE)
        )
    ]


def _cells(rng: np.random.Generator, grain: int, minutes: int) -> bytes:
    codes = _codes()
    counts = rng.integers(1, DAILY_LIMIT if grain == DAY else WIDER_LIMIT, len(codes))
    whole_day = CATALOGUE.select("observed.journal", "minutes")
    counts[np.isin(codes, whole_day[:24])] = minutes // 24
    counts[np.array(codes) == whole_day[24]] = 0
    return pack(codes, counts)


def _hour_rows(uais: Iterable[str], rng: np.random.Generator) -> Iterator[list[dict[str, object]]]:
    """Bundles of three weeks, of an establishment at a time: fifteen hours a day, connections by web and mobile."""
    first = TODAY - timedelta(days=HOUR_DAYS)
    codes = CATALOGUE.select("web", "connections_hour")
    periods = np.repeat(np.arange(HOUR_DAYS), HOURS)
    n, nothing = periods.size, np.zeros(periods.size, np.int64)
    for uai in uais:
        reports = Reports(
            periods, nothing, np.tile(4 * np.arange(FIRST_HOUR, FIRST_HOUR + HOURS), HOUR_DAYS), nothing + 1, nothing,
            nothing > 0, nothing + int(NOW.timestamp() * 1000), nothing + len(codes), np.tile(codes, n),
            rng.integers(1, DAILY_LIMIT, n * len(codes)),
        )  # fmt: skip
        yield [
            {"uai": uai, "grain": HOUR, "start": first + timedelta(days=place), "families": 1, "reports": bundle}
            for place, bundle in enumerate(pack_reports(reports, HOUR_DAYS))
        ]
