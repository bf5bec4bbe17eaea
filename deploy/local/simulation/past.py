"""School years before the agents: for each establishment what `agent import` reads, yearly totals and one census.

Totals are what the habits come to over the days of the year, no day is drawn: nobody could look at one.
"""

from __future__ import annotations

import shutil
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from contracts.periods import next_start, school_year_start
from deploy.local.simulation.activities import agenda_of
from deploy.local.simulation.census import DAYS, write_files
from deploy.local.simulation.habits import ACCESS_UNKNOWN, ENT_BY_MOBILE, PROFILES, liveliness
from deploy.local.simulation.population import population
from deploy.local.simulation.schooldays import LESSON_KINDS, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from deploy.local.simulation.population import Population
    from deploy.local.simulation.territory import Establishment

    Floats: TypeAlias = NDArray[np.float64]

YEARS = 3
"""School years imported: those just before the previous one, in which the journals begin."""
COLUMNS = "mesure;profil;support;acces;niveau;nombre\n"
_WAYS = (("web", "direct"), ("web", "ent"), ("web", "unknown"), ("mobile", "direct"), ("mobile", "ent"),
         ("mobile", "unknown"), ("software", "direct"))  # fmt: skip


class Year(NamedTuple):
    """A school year by the date it starts on, and as it is written: 2023-2024."""

    start: date

    @property
    def name(self) -> str:
        return f"{self.start.year}-{self.start.year + 1}"


def past_years(since: date) -> list[Year]:
    """The school years to import into a folder whose plain journals begin on `since`, oldest first."""
    current = school_year_start(since)
    return [Year(current.replace(year=current.year - 1 - back)) for back in range(YEARS, 0, -1)]


def write_past(folder: Path, establishment: Establishment, year: Year, seed: int) -> bool:
    """Write one year of one establishment (`folder`: its own) unless it is there; returns whether it was missing."""
    path = folder / "import" / year.name
    if path.exists():
        return False
    draft = folder / f".import-{year.name}"
    shutil.rmtree(draft, ignore_errors=True)
    day = date(year.start.year, *DAYS[0])
    write_files(draft / "census" / day.isoformat(), establishment, day, seed)
    lines = "".join(
        f"{line}\n" for line in _lines(establishment, year, population(establishment, year.start.year, seed))
    )
    (draft / "totals.csv").write_text(COLUMNS + lines, encoding="utf-8")
    path.parent.mkdir(exist_ok=True)
    draft.rename(path)
    return True


def _lines(establishment: Establishment, year: Year, crowd: Population) -> Iterator[str]:
    lively, on_lessons = _year_of(year.start, establishment.school_zone)
    for profile, name in enumerate(PROFILES):
        visits = _visits(crowd, profile, lively[profile])
        for (channel, access), expected in zip(_WAYS, visits, strict=True):
            if count := round(float(expected.sum())):
                yield f"connections;{name};{channel};{access};;{count}"
        yield from _people(name, dict(zip(_WAYS, visits, strict=True)))
    plan = agenda_of(establishment, crowd)
    days = np.where(plan.school_only, on_lessons[plan.actor], lively[plan.actor])
    for (measure, level), count in zip(plan.what, (plan.lines * plan.batch * days).tolist(), strict=True):
        yield f"{measure};;;;{level};{round(count)}"


@lru_cache(maxsize=32)
def _year_of(start: date, school_zone: str) -> tuple[Floats, Floats]:
    """For each profile, the days of the year counted as average days of lessons: all days, and days of lessons alone."""
    every, lessons = np.zeros(len(PROFILES)), np.zeros(len(PROFILES))
    for ordinal in range(start.toordinal(), next_start("school_year", start).toordinal()):
        day = date.fromordinal(ordinal)
        kind = kind_of(day, school_zone)
        every += liveliness(kind, day.month)
        lessons += liveliness(kind, day.month) * (kind in LESSON_KINDS)
    return every, lessons


def _visits(crowd: Population, profile: int, days: float) -> list[Floats]:
    """Visits expected of each person of a profile over the year, by the ways of `_WAYS`."""
    people = crowd.people
    mine = people.profile == profile
    every, software = people.visits[mine] * days, people.software[mine]
    mobile, ent = people.mobile[mine], people.ent[mine]
    found = []
    for share, through in ((1 - mobile, ent), (mobile, ent * ENT_BY_MOBILE)):
        net = every * (1 - software) * share
        known = net * (1 - ACCESS_UNKNOWN)
        found += [known * (1 - through), known * through, net * ACCESS_UNKNOWN]
    return [*found, every * software]


def _people(name: str, visits: dict[tuple[str, str], Floats]) -> Iterator[str]:
    """People who came at least once: of somebody who is expected λ times, 1 - exp(-λ)."""
    scopes = {"web": ("web",), "mobile": ("mobile",), "net": ("web", "mobile")}
    for channel, channels in scopes.items():
        for access, accesses in (("any", ("direct", "ent", "unknown")), ("ent", ("ent",))):
            yield f"people;{name};{channel};{access};;{_distinct(visits, channels, accesses)}"
    if visits["software", "direct"].any():
        for channel, channels in (("software", ("software",)), ("any", ("web", "mobile", "software"))):
            yield f"people;{name};{channel};any;;{_distinct(visits, channels, ('direct', 'ent', 'unknown'))}"


def _distinct(visits: dict[tuple[str, str], Floats], channels: tuple[str, ...], accesses: tuple[str, ...]) -> int:
    expected = [each for (channel, access), each in visits.items() if channel in channels and access in accesses]
    return round(float((1 - np.exp(-np.sum(expected, axis=0))).sum()))
