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
    """What to write, and what happened.

    `changed`: UAI, family and grain; `lower`, `frozen`: agents' numbers, once for each report that was not taken; `restated`: agent's
    number, UAI, family and the highest restatement that arrived, where there was one.
    """

    bundles: dict[Period, Bundle]
    sheets: dict[Period, Sheet]
    changed: list[tuple[str, int, int]]
    lower: Ints
    frozen: Ints
    restated: list[tuple[int, str, int, int]]


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
        list(_changed(known, merged)) if merged.changed.any() else [],
        thawed.agents[merged.lower],
        arrived.agents[frozen],
        _restated(known, thawed),
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


def _changed(known: list[Period], merged: Merged) -> Iterator[tuple[str, int, int]]:
    numbers: dict[str, int] = {}
    places = np.array([numbers.setdefault(period.uai, len(numbers)) for period in known], np.int64)
    uais = list(numbers)
    grains = np.array([period.grain for period in known], np.int64)
    periods, families = merged.reports.periods[merged.changed], merged.reports.families[merged.changed]
    for what in np.unique((places[periods] << 8) | (families << 2) | grains[periods]).tolist():
        yield uais[what >> 8], (what >> 2) & 63, what & 3


def _restated(known: list[Period], arrived: Reports) -> list[tuple[int, str, int, int]]:
    highest: dict[tuple[int, str, int], int] = {}
    some = arrived.restatements > 0
    columns = (arrived.agents, arrived.periods, arrived.families, arrived.restatements)
    for agent, period, family, restatement in zip(*(column[some].tolist() for column in columns), strict=True):
        key = agent, known[period].uai, family
        highest[key] = max(restatement, highest.get(key, 0))
    return [(*key, restatement) for key, restatement in sorted(highest.items())]
