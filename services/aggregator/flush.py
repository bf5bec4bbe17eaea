"""What one flush makes of what is stored: bundles and sheets in, arrivals merged and folded, bundles and sheets out. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from services.aggregator.bundle import pack, unpack
from services.aggregator.cells import Ints
from services.aggregator.merge import Merged, merge
from services.aggregator.periods import NOWHERE, SCHOOL_YEAR, Periods, start_at
from services.aggregator.reports import Bools, Period, Reports, families_of
from services.aggregator.sheet import CENSUSES, Sheet, fold, homes


class Bundle(NamedTuple):
    """One row of `usage.bundles`: bit n of `families` for family number n, `reports` packed."""

    families: int
    reports: bytes


class Stored(NamedTuple):
    """What is known of some periods, by their numbers: packed reports and sheets, those that exist."""

    bundles: dict[int, bytes]
    sheets: dict[int, Sheet]


class Flush(NamedTuple):
    """What to write, and what happened: families of periods that changed; agents' numbers, once for each report not taken."""

    bundles: dict[Period, Bundle]
    sheets: dict[Period, Sheet]
    changed: list[tuple[Period, int]]
    lower: Ints
    frozen: Ints


def census_years(periods: Periods, arrived: Reports) -> set[Period]:
    """The school years of which every census date must be known, because the newest stands."""
    known = periods.known
    days = np.unique(arrived.periods[np.isin(arrived.families, list(CENSUSES))]).tolist()
    return {Period(known[day].uai, SCHOOL_YEAR, start_at(SCHOOL_YEAR, known[day].start)) for day in days}


def flush(periods: Periods, arrived: Reports, stored: Stored) -> Flush:
    """Merge and fold; `stored` says all that is known of `periods`, which hold the days of `census_years` too."""
    frozen = _are_frozen(periods, arrived, stored)
    thawed = arrived.where(~frozen)
    merged = merge(unpack(list(stored.bundles), list(stored.bundles.values())), thawed)
    known = periods.known
    sheets = fold(periods, merged.reports, merged.changed, stored.sheets)
    return Flush(
        _bundles(known, merged),
        {known[number]: sheet for number, sheet in sheets.items()},
        list(_changed(known, merged)),
        thawed.agents[merged.lower],
        arrived.agents[frozen],
    )


def _are_frozen(periods: Periods, arrived: Reports, stored: Stored) -> Bools:
    frozen = np.zeros(len(periods), np.bool_)
    for number, sheet in stored.sheets.items():
        frozen[number] = sheet.frozen
    return frozen[homes(periods, arrived)]


def _bundles(known: list[Period], merged: Merged) -> dict[Period, Bundle]:
    """The bundles in which a report changed."""
    numbers = np.unique(merged.reports.periods[merged.changed])
    rows = np.full(len(known), NOWHERE, np.int64)
    rows[numbers] = np.arange(numbers.size)
    reports = merged.reports.moved(rows)
    reports = reports.where(reports.periods >= 0)
    families, packed = families_of(reports, numbers.size), pack(reports, numbers.size)
    return {
        known[n]: Bundle(*bundle)
        for n, bundle in zip(numbers.tolist(), zip(families, packed, strict=True), strict=True)
    }


def _changed(known: list[Period], merged: Merged) -> Iterator[tuple[Period, int]]:
    parts = np.unique((merged.reports.periods[merged.changed] << 6) | merged.reports.families[merged.changed])
    for part in parts.tolist():
        yield known[part >> 6], part & 63
