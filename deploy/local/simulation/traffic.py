"""One day of one establishment: its lines in the order of time, a function of the seed and the date alone.

The day does not depend on when it is asked for, so what was written before a stop is always the beginning of what is drawn again
after it: journals go on where they stopped, and streamed history meets what was already there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np

from contracts.periods import bounds, hours_of_day, school_year_start
from deploy.local.simulation.activities import agenda_of
from deploy.local.simulation.habits import ACCESS_UNKNOWN, DAILY_NOISE, ENT_BY_MOBILE, PROFILES, curves, liveliness
from deploy.local.simulation.population import population
from deploy.local.simulation.schooldays import LESSON_KINDS, Kind, kind_of

if TYPE_CHECKING:
    from datetime import date, datetime

    from numpy.typing import NDArray

    from deploy.local.simulation.activities import Agenda
    from deploy.local.simulation.population import People
    from deploy.local.simulation.territory import Establishment

    Floats: TypeAlias = NDArray[np.float64]
    Ints: TypeAlias = NDArray[np.int64]

    Facts: TypeAlias = tuple[Ints, list[str]]
    """Seconds since local midnight, and the lines from their kind on."""

HOUR = 3600
_MINUTES = tuple(f"{second // 60:02d}:{second % 60:02d}" for second in range(HOUR))

_CHANNELS = ("web", "mobile", "software")
_ACCESSES = ("direct", "ent", "unknown")
_WAYS = tuple(f'"channel":"{channel}","access":"{access}"}}\n' for channel in _CHANNELS for access in _ACCESSES)
_WEB, _MOBILE, _SOFTWARE = range(len(_CHANNELS))
_DIRECT, _ENT, _UNKNOWN = range(len(_ACCESSES))

HEARTBEAT = 'heartbeat"}\n'
_NOTHING: tuple[NDArray[np.int64], list[str]] = (np.empty(0, np.int64), [])


@dataclass(frozen=True)
class Day:
    """Lines of a local day, with their instants as seconds since 1970, both in the order of time."""

    date: date
    end: datetime
    seconds: Ints
    lines: list[str]

    def until(self, instant: datetime) -> int:
        """How many lines have happened at `instant`."""
        return int(np.searchsorted(self.seconds, instant.timestamp(), side="right"))


def day_of(establishment: Establishment, day: date, seed: int) -> Day:
    """Everything that the journal of `establishment` holds of a local day, heartbeats first within a second."""
    if not establishment.writes_on(day):
        return _written(day, [], [_NOTHING], establishment.zone)
    rng = np.random.default_rng([seed, establishment.number, day.toordinal()])
    crowd = population(establishment, school_year_start(day).year, seed)
    kind = kind_of(day, establishment.school_zone)
    lively = liveliness(kind, day.month) * rng.lognormal(0, DAILY_NOISE)
    zone = establishment.zone
    hours = hours_of_day(day, zone)
    chances = _chances(hours, kind, zone)
    return _written(
        day,
        hours,
        [
            _heartbeats(len(hours)),
            _connections(rng, crowd.people, lively, chances),
            _activities(rng, agenda_of(establishment, crowd), lively, chances, lessons=kind in LESSON_KINDS),
        ],
        zone,
    )


def _chances(hours: list[datetime], kind: Kind, zone: str) -> Floats:
    """For each profile, the chance that a visit falls before the end of each hour of this day, of 23 to 25."""
    labels = [hour.astimezone(ZoneInfo(zone)).hour for hour in hours]
    cumulated = np.cumsum(curves(kind)[:, labels], axis=1)
    chances: Floats = cumulated / cumulated[:, -1:]
    return chances


def _moments(rng: np.random.Generator, actors: Ints, chances: Floats) -> Ints:
    """Seconds since midnight at which these profiles act."""
    draws = rng.random(len(actors))
    hours = (draws[:, None] >= chances[actors, :-1]).sum(axis=1)
    seconds: Ints = hours * HOUR + rng.integers(0, HOUR, len(actors))
    return seconds


def _heartbeats(hours: int) -> Facts:
    """One an hour from midnight on, and one in the last second, so that a day is observed whole by itself."""
    seconds = np.append(np.arange(hours) * HOUR, hours * HOUR - 1)
    return seconds, [HEARTBEAT] * len(seconds)


def _connections(rng: np.random.Generator, people: People, lively: Floats, chances: Floats) -> Facts:
    visits = rng.poisson(people.visits * lively[people.profile])
    who = np.repeat(np.arange(len(visits)), visits)
    seconds = _moments(rng, people.profile[who], chances)
    starts = [f'connection","who":"{name}","profile":"{PROFILES[p]}",' for name, p in _named(people)]
    ways = _ways(rng, people, who)
    return seconds, [starts[person] + _WAYS[way] for person, way in zip(who.tolist(), ways.tolist(), strict=True)]


def _named(people: People) -> zip[tuple[str, int]]:
    return zip(people.who, people.profile.tolist(), strict=True)


def _ways(rng: np.random.Generator, people: People, who: Ints) -> Ints:
    """Place in `_WAYS` of each visit; the software never comes through an ENT."""
    by_software, by_mobile, by_ent, told = rng.random((4, len(who)))
    channel = np.where(by_mobile < people.mobile[who], _MOBILE, _WEB)
    through_ent = people.ent[who] * np.where(channel == _MOBILE, ENT_BY_MOBILE, 1.0)
    access = np.where(by_ent < through_ent, _ENT, _DIRECT)
    access = np.where(told < ACCESS_UNKNOWN, _UNKNOWN, access)
    software = by_software < people.software[who]
    ways: Ints = np.where(software, _SOFTWARE * len(_ACCESSES) + _DIRECT, channel * len(_ACCESSES) + access)
    return ways


def _activities(rng: np.random.Generator, plan: Agenda, lively: Floats, chances: Floats, *, lessons: bool) -> Facts:
    held = 1.0 if lessons else 1.0 - plan.school_only
    lines = rng.poisson(plan.lines * lively[plan.actor] * held)
    what = np.repeat(np.arange(len(lines)), lines)
    seconds = _moments(rng, plan.actor[what], chances)
    counts = 1 + rng.poisson(plan.batch[what] - 1)
    return seconds, [
        plan.texts[row] + (f',"n":{n}}}\n' if n > 1 else "}\n")
        for row, n in zip(what.tolist(), counts.tolist(), strict=True)
    ]


def _written(day: date, hours: list[datetime], facts: list[Facts], zone: str) -> Day:
    seconds = np.concatenate([moments for moments, _ in facts])
    texts = [text for _, part in facts for text in part]
    order = np.argsort(seconds, kind="stable")
    ats = [_at(hour, zone) for hour in hours]
    lines = [
        f"{ats[second // HOUR][0]}{_MINUTES[second % HOUR]}{ats[second // HOUR][1]}{texts[place]}"
        for second, place in zip(seconds[order].tolist(), order.tolist(), strict=True)
    ]
    first, end = bounds("day", day, zone)
    return Day(day, end, seconds[order] + int(first.timestamp()), lines)


def _at(hour: datetime, zone: str) -> tuple[str, str]:
    """What stands before and after the minutes of a line of this hour: the two 02:00 of October differ by their offset."""
    local = hour.astimezone(ZoneInfo(zone))
    return f'{{"at":"{local:%Y-%m-%dT%H}:', f'{local.isoformat()[-6:]}","kind":"'
