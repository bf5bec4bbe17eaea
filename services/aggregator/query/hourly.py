"""The hourly series: connections of the last three weeks by hour of the local day, lines added up by local label. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from contracts.answers import HourlyPoint, HourlySeries
from contracts.catalogue import CATALOGUE
from contracts.periods import bounds, hours_of_day
from services.aggregator.query.cells import total_cell
from services.aggregator.query.figures import Figures, totals
from services.aggregator.query.lines import Roll
from services.aggregator.query.matrix import Codes, Counts, Indexes
from services.aggregator.query.observation import ACCESS_LOG, GRACE, JOURNAL, MINUTES
from services.aggregator.query.rights import denied
from services.aggregator.query.sheets import Moment, Piles, Span
from services.aggregator.query.states import Flags, first_that_applies, has_value

DAYS = 21
"""Three whole weeks before today, which is left out: its hours would be fewer than the others'."""
LABELS = 24
"""A local day has 24 labels: the hour lived twice is one, the hour skipped has none of its own."""
FAMILIES = ("web", "software")
CODES = Codes(code for codes in MINUTES.values() for code in codes)
_CONNECTIONS = next(c for c in CATALOGUE.tables["connexions.authentifiees"].columns if c.id == "total.all")
_ONE_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Hours:
    """The hour reports of one family: the first `sizes[0]` are of `uais[0]`, and so on; an hour may come once per agent.

    `starts`: UTC second of each one's start; `totals`: connections; `cut`: whether it is cut.
    """

    family: int
    uais: Sequence[str]
    sizes: Sequence[int]
    starts: NDArray[np.int64]
    totals: Counts
    cut: Flags


_versions = itertools.count()


@dataclass(frozen=True, eq=False)
class DayHours:
    """The hour reports of one UTC day; `version` is another for other reports."""

    hours: Sequence[Hours]
    version: int = field(default_factory=_versions.__next__)

    @property
    def weight(self) -> int:
        """Bytes, near enough."""
        return 1000 + sum(heap.starts.nbytes * 3 + 100 * len(heap.uais) for heap in self.hours)


def days(today: date) -> list[date]:
    """The days of the series, oldest first."""
    return [today - back * _ONE_DAY for back in range(DAYS, 0, -1)]


def span(today: date) -> Span:
    """The day sheets that tell what was observed."""
    return Span("day", today - DAYS * _ONE_DAY, today - _ONE_DAY)


def utc_days(roll: Roll, today: date) -> list[date]:
    """The UTC days in which the hours of the series were lived, over all the lines' zones."""
    zones = list(roll.zones) or ["UTC"]
    shown = days(today)
    first = min(bounds("day", shown[0], zone)[0] for zone in zones).astimezone(UTC).date()
    last = (max(bounds("day", shown[-1], zone)[1] for zone in zones) - _INSTANT).astimezone(UTC).date()
    return [first + number * _ONE_DAY for number in range((last - first).days + 1)]


@dataclass(frozen=True)
class Clockface:
    """The hours of the series in one zone: when each starts, which slot (day and label) and which minutes it has."""

    starts: NDArray[np.int64]
    slots: Indexes
    minutes: Indexes

    @classmethod
    @lru_cache(maxsize=64)
    def of(cls, zone: str, today: date) -> Clockface:
        hours = [
            (start, number * LABELS + start.astimezone(ZoneInfo(zone)).hour, number * len(MINUTES[JOURNAL]) + index)
            for number, day in enumerate(days(today))
            for index, start in enumerate(hours_of_day(day, zone))
        ]
        starts, slots, minutes = zip(*hours, strict=True)
        return cls(np.array([int(start.timestamp()) for start in starts]), np.array(slots), np.array(minutes))

    def slots_of(self, starts: NDArray[np.int64]) -> tuple[Indexes, Flags]:
        """The slots of those of `starts` that are hours of the series, and which they are."""
        places = np.minimum(np.searchsorted(self.starts, starts), len(self.starts) - 1)
        known = self.starts[places] == starts
        return self.slots[places[known]], known

    def added(self, of_hours: Counts) -> Counts:
        """By line and slot, from by line and hour: the two hours of one label, which follow each other, are added."""
        if np.array_equal(self.slots, np.arange(DAYS * LABELS)):  # no change of hour, as in most weeks
            return of_hours
        by_slot = np.zeros((len(of_hours), DAYS * LABELS))
        first_of_slot = np.flatnonzero(np.diff(self.slots, prepend=-1))
        by_slot[:, self.slots[first_of_slot]] = np.add.reduceat(of_hours, first_of_slot, axis=1)
        return by_slot


def series(roll: Roll, moment: Moment, piles: Piles, hours: Sequence[Hours]) -> HourlySeries:
    """One point per day and label."""
    slots = [(day, label) for day in days(moment.today) for label in range(LABELS)]
    of_slots = totals(_Board(roll, moment, piles).figures(hours))
    return HourlySeries(
        [HourlyPoint(*slot, total_cell(of_slot, unit="count")) for slot, of_slot in zip(slots, of_slots, strict=True)]
    )


@dataclass(frozen=True)
class _Seen:
    """By line and slot, of one source: minutes observed and passed in hours held against the line, any minute at all."""

    observed: Counts
    elapsed: Counts
    seen: Flags


@dataclass(frozen=True)
class _Part:
    """By line and slot, of one family: connections, whether they were asked for, seen, partly seen."""

    value: Counts
    asked: Flags
    told: Flags
    short: Flags
    seen: _Seen


class _Board:
    """All lines by all slots."""

    def __init__(self, roll: Roll, moment: Moment, piles: Piles) -> None:
        self._roll = roll
        self._moment = moment
        self._days = days(moment.today)
        self._size = (len(roll), DAYS * LABELS)
        self._clocks = {zone: Clockface.of(zone, moment.today) for zone in roll.zones}
        self._exists = self._by_slot(lambda clock: np.ones(len(clock.starts))) > 0
        self._running = self._by_slot(lambda clock: clock.starts + 3600 > moment.now.timestamp()) > 0
        self._inside = ~self._by_day([roll.outside(day, day) for day in self._days])
        self._pile = piles.of(span(moment.today))

    def figures(self, hours: Sequence[Hours]) -> Figures:
        """Connections by line and slot, as their reader sees them."""
        logged = self._granted(ACCESS_LOG)
        journal, access_log = self._seen(JOURNAL), self._seen(ACCESS_LOG)
        web = self._part("web", _choose(logged, access_log, journal), hours)
        software = self._part("software", journal, hours)
        parts = (web, software)
        told = web.told | software.told
        lacking = np.logical_or.reduce([part.asked & ~part.told for part in parts])
        short = np.logical_or.reduce([part.told & part.short for part in parts])
        here = self._inside & self._exists
        state = first_that_applies(
            self._denied(), ~told & here, ~here & False, ~here, short | lacking, web.told & logged & (web.value > 0)
        )
        return Figures(
            state=state,
            numerator=np.sum([np.where(part.told & has_value(state), part.value, 0.0) for part in parts], axis=0),
            denominator=None,
            observed=np.sum([np.where(part.told, part.seen.observed, 0.0) for part in parts], axis=0),
            elapsed=np.sum([np.where(part.asked, part.seen.elapsed, 0.0) for part in parts], axis=0),
        )

    def _part(self, family: str, seen: _Seen, hours: Sequence[Hours]) -> _Part:
        value, cut = self._counts(CATALOGUE.families[family].number, hours)
        asked = self._granted(family) & self._inside & self._exists
        return _Part(value, asked, asked & seen.seen, cut | self._running | (seen.observed < seen.elapsed), seen)

    def _counts(self, family: int, hours: Sequence[Hours]) -> tuple[Counts, Flags]:
        """Connections by line and slot, and where some report is cut: all that was reported, put in its place at once."""
        heaps = [heap for heap in hours if heap.family == family]
        lines = _joined(
            [np.repeat([self._roll.place[uai] for uai in heap.uais], heap.sizes) for heap in heaps], np.int64
        )
        starts = _joined([heap.starts for heap in heaps], np.int64)
        places = np.full(len(lines), -1, np.int64)
        for zone, of_zone in self._by_zone(lines):
            slots, known = self._clocks[zone].slots_of(starts[of_zone])
            places[of_zone[known]] = lines[of_zone[known]] * self._size[1] + slots
        known = places >= 0
        totals = _joined([heap.totals for heap in heaps], np.float64)[known]
        cut = np.zeros(self._size, np.bool_)
        cut.ravel()[places[known & _joined([heap.cut for heap in heaps], np.bool_)]] = True
        value = np.bincount(places[known], totals, cut.size).astype(np.float64)
        return value.reshape(self._size), cut

    def _by_zone(self, lines: Indexes) -> Iterator[tuple[str, Indexes]]:
        """Each zone, and which of `lines` are in it."""
        numbers = self._roll.zone_of[lines]
        return ((zone, np.flatnonzero(numbers == number)) for number, zone in enumerate(self._roll.zones))

    def _seen(self, family: str) -> _Seen:
        """What one source saw; hours that ended less than `GRACE` ago are not held against a line."""
        minutes = self._minutes(family)
        limit = (self._moment.now - GRACE).timestamp()
        observed, elapsed, every = np.zeros(self._size), np.zeros(self._size), np.zeros(self._size)
        for zone, lines in self._roll.zones.items():
            clock = self._clocks[zone]
            held = (clock.starts + 3600 < limit).astype(np.float64)
            of_zone = minutes[np.ix_(lines, clock.minutes)]
            elapsed[lines] = clock.added(held[None, :] * 60.0)
            observed[lines] = clock.added(of_zone * held)
            every[lines] = clock.added(of_zone)
        return _Seen(np.minimum(observed, elapsed), elapsed, every > 0)

    def _minutes(self, family: str) -> Counts:
        """Minutes by line and by day and index of hour."""
        codes = MINUTES[family]
        minutes = np.zeros((len(self._roll), DAYS, len(codes)))
        numbers = self._pile.days - self._days[0].toordinal()
        minutes[self._pile.lines, numbers] = self._pile.counts[:, self._pile.codes.places(codes)]
        return minutes.reshape(len(self._roll), DAYS * len(codes))

    def _by_slot(self, of_hours: Callable[[Clockface], Counts | Flags]) -> Counts:
        by_slot = np.zeros(self._size)
        for zone, lines in self._roll.zones.items():
            clock = self._clocks[zone]
            by_slot[lines] = clock.added(np.asarray(of_hours(clock), np.float64)[None, :])
        return by_slot

    def _granted(self, family: str) -> Flags:
        return self._by_day([self._roll.granted_days(family, day, day) > 0 for day in self._days])

    def _by_day(self, flags: Sequence[Flags]) -> Flags:
        return np.repeat(np.stack(flags, axis=1), LABELS, axis=1)

    def _denied(self) -> Flags:
        return np.repeat(denied(_CONNECTIONS, self._roll)[:, None], self._size[1], axis=1)


def _joined(arrays: Sequence[NDArray[Any]], kind: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, kind), *arrays])


def _choose(first: Flags, one: _Seen, other: _Seen) -> _Seen:
    return _Seen(
        np.where(first, one.observed, other.observed),
        np.where(first, one.elapsed, other.elapsed),
        np.where(first, one.seen, other.seen),
    )
