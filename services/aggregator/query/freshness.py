"""Freshness: until when each family of an establishment has been observed. Pure.

The last observed hour tells its minutes, not which: an hour observed from its middle on is taken as observed from its start,
so that freshness may be said up to an hour too old, never too new. It heals with the next hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple

import numpy as np

from contracts.answers import Freshness
from contracts.catalogue import CATALOGUE
from contracts.packed import unpack
from contracts.periods import hours_of_day
from services.aggregator.query.lines import Line, Roll
from services.aggregator.query.observation import ACCESS_LOG, JOURNAL, MINUTES

REPORTED = tuple(
    family.id
    for family in CATALOGUE.families.values()
    if family.id in {"web", "software", "people"} or family.id.startswith("activities.")
)
"""Families of which a reader may ask how fresh they are: what is shown, not what tells that it was observed."""


class Observed(NamedTuple):
    """One of the newest day reports of a source: packed minutes by index of hour."""

    uai: str
    family: str
    start: date
    cells: bytes


def freshness(roll: Roll, today: date, newest: Iterable[Observed]) -> list[Freshness]:
    """One entry per establishment and granted family, in the lines' order; None where never observed."""
    until: dict[tuple[str, str], datetime] = {}
    for report in newest:
        instant = _until(report, roll.lines[roll.place[report.uai]].zone)
        if instant is not None:
            key = report.uai, report.family
            until[key] = max(instant, until.get(key, instant))
    return [fresh for line in roll.lines for fresh in _of_line(line, today, until)]


def _of_line(line: Line, today: date, until: Mapping[tuple[str, str], datetime]) -> Iterable[Freshness]:
    granted = {grant.family for grant in line.visible.grants}
    for family in REPORTED:
        if family in granted:
            source = _source(line, family, today)
            yield Freshness(line.uai, family, until.get((line.uai, source)))


def _source(line: Line, family: str, today: date) -> str:
    """Connections by `.Net` follow the access log while one is granted, and where nothing else ever was."""
    if CATALOGUE.families[family].source != "connections":
        return JOURNAL
    logged = any(grant.family == ACCESS_LOG and grant.overlaps(today, today) for grant in line.visible.grants)
    journal = any(grant.family == JOURNAL for grant in line.visible.grants)
    return ACCESS_LOG if logged or not journal else JOURNAL


def _until(report: Observed, zone: str) -> datetime | None:
    """End of the last observed minute of a day."""
    codes, minutes = unpack(report.cells)
    seen = np.flatnonzero(minutes)
    if not seen.size:
        return None
    hour = int(codes[seen[-1]]) - MINUTES[report.family][0]
    return hours_of_day(report.start, zone)[hour] + timedelta(minutes=int(minutes[seen[-1]]))
