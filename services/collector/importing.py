"""`agent import`: censuses and yearly totals of a school year before the agents (rules.md 6, ADR 11), never anything finer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from contracts.periods import next_start, school_year_start
from services.collector.census.folder import FIRST_DAY, LARGEST_FILE, discover, read_newest
from services.collector.errors import ImportRefusedError
from services.collector.local_calendar import Period
from services.collector.totals import read_totals
from services.collector.wiring import agent_of, looking_at

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from services.collector.clock import AgentClock
    from services.collector.config import AgentSettings, EstablishmentSettings
    from services.collector.store import Store

FOLDER, TOTALS, CENSUS = "import", "totals.csv", "census"
"""Beside an establishment's other sources: `import/2015-2016/totals.csv`, `import/2015-2016/census/<date>/*.csv`."""


@dataclass
class Year:
    """What an establishment's folder says of one school year: counts by family, and everything that is wrong with it."""

    uai: str
    start: date
    counts: dict[str, dict[int, int]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    """Families whose report is new or another one than before."""


async def import_year(settings: AgentSettings, start: date, *, only: str = "", dry_run: bool) -> list[Year]:
    """Import a school year before the agents; nothing of an establishment with faults, nothing at all of a dry run."""
    if dry_run:
        with looking_at(settings) as (ordered, state):
            return [look(each, start, ordered.clock, state) for each in _chosen(ordered, only)]
    async with agent_of(settings) as (agent, store):
        ordered = await agent.meet()
        done = [(each, look(each, start, ordered.clock, store)) for each in _chosen(ordered, only)]
        for establishment, year in done:
            if not year.faults:
                take(establishment, year, store, ordered.clock)
        await agent.run_until_published()
    return [year for _, year in done]


def _chosen(settings: AgentSettings, only: str) -> tuple[EstablishmentSettings, ...]:
    found = tuple(each for each in settings.establishments if only in {"", each.uai})
    if not found:
        raise ImportRefusedError(f"{only or 'no establishment'}: not served by this agent, or not granted to it")
    return found


def school_year(text: str) -> date:
    """`2015-2016` as its first day; `ImportRefusedError` when it is none."""
    first, dash, last = text.partition("-")
    if not (dash and first.isdigit() and last.isdigit() and len(first) == 4 and int(last) == int(first) + 1):  # noqa: PLR2004 - digits of a year
        raise ImportRefusedError(f"{text!r} is no school year such as 2015-2016")
    return date(int(first), 9, 1)


def look(establishment: EstablishmentSettings, start: date, clock: AgentClock, store: Store | None) -> Year:
    """Read and check everything; nothing is stored. `store`: the agent's state, where it has one."""
    year = Year(establishment.uai, start)
    today = clock.now().astimezone(establishment.zone).date()
    if start < FIRST_DAY or next_start("school_year", start) > today:
        year.faults.append(f"{_named(start)} is not over, or before 2010-2011: an agent counts a running year itself")
        return year
    folder = establishment.folder / FOLDER / _named(start)
    if not folder.is_dir():
        year.faults.append(f"{folder}: there is no such folder")
        return year
    _take_totals(year, folder / TOTALS)
    _take_censuses(year, folder / CENSUS, today)
    if not year.counts and not year.faults:
        year.faults.append(f"{folder}: neither {TOTALS} nor {CENSUS}/<date>/*.csv")
    year.faults += _not_granted(establishment, year)
    if store is not None:
        year.faults += _counted_here(establishment, year, store)
    return year


def _take_totals(year: Year, path: Path) -> None:
    if not path.exists():
        return
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        year.faults.append(f"{path}: {error.strerror}")
        return
    if len(content) > LARGEST_FILE:
        year.faults.append(f"{path}: greater than any year's totals")
        return
    totals = read_totals(content)
    year.counts |= totals.counts
    year.faults += [f"{path}, {fault}" for fault in totals.faults]


def _take_censuses(year: Year, folder: Path, today: date) -> None:
    if not folder.is_dir():
        return
    found = discover(folder, today)
    year.faults += map(str, found.faults)
    strange = sorted({file.day for file in found.files if school_year_start(file.day) != year.start})
    year.faults += [f"census {day}: is not of the school year {_named(year.start)}" for day in strange]
    reading = read_newest(file for file in found.files if file.day not in strange)
    year.faults += [str(fault) for _, fault in reading.refused]
    for _, census in reading.read:
        year.faults += map(str, census.faults)
        year.counts[census.family] = census.counts


def _not_granted(establishment: EstablishmentSettings, year: Year) -> list[str]:
    last = next_start("school_year", year.start) - timedelta(days=1)
    missing = [family for family in year.counts if not establishment.grants_some_of(family, year.start, last)]
    return [
        f"{family} is not granted for {_named(year.start)}: ask the platform's administrator for a grant from {year.start}"
        for family in missing
    ]


def _counted_here(establishment: EstablishmentSettings, year: Year, store: Store) -> list[str]:
    number = store.find_establishment(establishment.uai)
    if number is None:
        return []
    finer = {
        period.family
        for period in store.periods(number)
        if period.grain != "school_year" and school_year_start(date.fromisoformat(period.start[:10])) == year.start
    }
    return [
        f"{family}: this agent has counted it itself in {_named(year.start)}"
        for family in year.counts
        if family in finer
    ]


def take(establishment: EstablishmentSettings, year: Year, store: Store, clock: AgentClock) -> None:
    """Put a year without faults in the state, to be published; what says the same as before is left alone."""
    now: datetime = clock.now()
    with store.transaction():
        number = store.establishment(establishment.uai)
        known = store.memory.knowledge().standing(establishment.uai)
        restatement = max(int(clock.platform_now().timestamp()), store.restatements.highest(number) + 1, known + 1)
        for family, counts in year.counts.items():
            period = Period(family, "school_year", year.start.isoformat())
            if store.cells_of(number, period) != counts:
                store.restatements.replace(number, period, counts, now=now.timestamp(), restatement=restatement)
                year.changed.append(family)
    store.flush()


def _named(start: date) -> str:
    return f"{start.year}-{start.year + 1}"
