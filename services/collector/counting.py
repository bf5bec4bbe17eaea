"""Counting an establishment's journal: what each line adds to which period. No I/O but what people's sets ask of their store."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from contracts.catalogue import CATALOGUE, Grain
from contracts.periods import period_start
from services.collector.journal import (
    COMBINATIONS,
    GREATEST_N,
    PROFILES,
    Combination,
    Line,
    activity_cell,
    decode,
    decode_slowly,
    refusal_of,
)
from services.collector.local_calendar import (
    HOUR_KEEPING,
    QUARTER,
    LocalDay,
    Period,
    day_of,
    hour_of,
    oldest_accepted,
)
from services.collector.people import DAY_PATIENCE, LONG_PATIENCE, SOFTWARE_MASK, PeopleSet, SetKey
from services.collector.sources import JOURNAL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from services.collector.config import EstablishmentSettings
    from services.collector.observation import Heartbeats
    from services.collector.people import Known
    from services.collector.small import SmallProfiles

FUTURE = timedelta(hours=24)
"""How far ahead of the business clock a line may be."""
MOST_NAMES = 60_000
"""People remembered between two writings, so that memory stays flat; beyond, sets are asked of the store again."""
MOST_QUARTERS = 20_000
"""Quarters of an hour remembered, for the same reason: about seven months."""

_BY_NUMBER = tuple(COMBINATIONS.values())
_REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_DIAGNOSTICS = {measure.id: measure.code for measure in CATALOGUE.measures.values() if measure.family == "diagnostics"}

Increments = defaultdict[Period, Counter[int]]


class PeopleStore(Protocol):
    """Where stored people's sets are looked up; `secret` keys their digests."""

    secret: bytes

    def known(self, key: SetKey) -> Known | None:
        """How to ask a stored set about a digest; None while no such set is stored."""


class Gathered(NamedTuple):
    """What lines add, ready to be written in one transaction; `people` holds the masks that grew, by set and digest."""

    increments: dict[Period, dict[int, int]]
    people: list[tuple[SetKey, float, dict[bytes, int]]]


class _Day:
    """What counting needs to know of a local day, found once."""

    __slots__ = ("granted", "local", "month_over", "names", "others", "sets", "small", "too_old")

    def __init__(self, local: LocalDay, *, too_old: bool, small: frozenset[str], month_over: bool) -> None:
        self.local, self.too_old, self.small, self.month_over = local, too_old, small, month_over
        self.granted: dict[str, bool] = {}
        self.others: Counter[tuple[str, int]] = Counter()
        self.names: list[dict[str, int]] = [{} for _ in PROFILES]
        self.sets: dict[str, list[PeopleSet]] = {}


class _Quarter:
    """A quarter of an hour: the day and hour it lies in, and the connections counted since the last writing."""

    __slots__ = ("counts", "day", "hour")

    def __init__(self, day: _Day, hour: str | None) -> None:
        self.day, self.hour = day, hour
        self.counts = [0] * len(_BY_NUMBER)


class Count:
    """Counts the lines of one establishment's journal until `gather` hands over what they add.

    `since`: a recount; only periods that hold this day or later ones are counted, and no diagnostics.
    """

    def __init__(
        self,
        establishment: EstablishmentSettings,
        small: SmallProfiles,
        store: PeopleStore,
        *,
        now: datetime,
        dropped: Collection[date],
        heartbeats: Heartbeats,
        newest: float = -math.inf,
        since: date | None = None,
    ) -> None:
        self._establishment, self._small, self._store = establishment, small, store
        self._zone, self._now, self._dropped, self._since = establishment.zone, now, dropped, since
        self._today = now.astimezone(self._zone).date()
        self._oldest_accepted = oldest_accepted(self._today, self._zone.key)
        self._in_charge = establishment.sources.connections_source == JOURNAL
        self._bits = -1 if self._in_charge else SOFTWARE_MASK
        self._days: dict[date, _Day] = {}
        self._quarters: dict[float, _Quarter] = {}
        self._sets: dict[SetKey, PeopleSet] = {}
        self._names = 0
        self.heartbeats, self.newest, self.earliest = heartbeats, newest, math.inf
        self.last, self.beaten_from = -math.inf, math.inf
        self.set_aside: Counter[str] = Counter()
        self.increments: Increments = defaultdict(Counter)

    def take(self, lines: Iterable[bytes]) -> None:
        """Count lines in the order of the source."""
        quarters, combinations, set_aside = self._quarters, COMBINATIONS, self.set_aside
        oldest, furthest, bits = self._oldest_accepted, (self._now + FUTURE).timestamp(), self._bits
        for raw in lines:
            try:
                line = decode(raw)
            except _REFUSED:
                found = decode_slowly(raw)
                if not isinstance(found, Line):
                    set_aside[found or ""] += 1
                    continue
                line = found
            if line.at.tzinfo is None:
                set_aside["no_offset"] += 1
                continue
            at = line.at.timestamp()
            if not oldest <= at <= furthest:
                set_aside["future" if at > furthest else "too_old"] += 1
                continue
            quarter = quarters.get(at // QUARTER) or self._quarter(at)
            if line.kind != "connection" or quarter.day.too_old:
                self._take_other(line, at, quarter.day)
                continue
            combination, who = combinations.get((line.profile, line.channel, line.access)), line.who
            if combination is None or not who:
                set_aside[refusal_of(line)] += 1
                continue
            self._accept(at)
            quarter.counts[combination.number] += 1
            bit = combination.bit & bits
            if bit & ~quarter.day.names[combination.profile_number].get(who, 0):
                self._enter(quarter.day, combination, who, bit)

    def _accept(self, at: float) -> None:
        self.last = at
        self.newest = max(self.newest, at)
        self.earliest = min(self.earliest, at)

    def _take_other(self, line: Line, at: float, day: _Day) -> None:
        """Whatever is not a connection."""
        if day.too_old:
            self.set_aside["too_old"] += 1
        elif line.kind == "heartbeat":
            self._accept(at)
            self.heartbeats.add(at)
            self.beaten_from = min(self.beaten_from, at)
        elif line.kind == "activity":
            self._take_activity(line, at, day)
        else:
            self.set_aside["unknown_kind"] += 1

    def _take_activity(self, line: Line, at: float, day: _Day) -> None:
        found = activity_cell(line.measure, line.level)
        if found is None:
            self.set_aside["unknown_measure"] += 1
        elif not 1 <= line.n <= GREATEST_N:
            self.set_aside["bad_n"] += 1
        else:
            self._accept(at)
            if self._granted(day, found[0]):
                day.others[found] += line.n
            else:
                self.set_aside["outside_grant"] += 1

    def _enter(self, day: _Day, combination: Combination, who: str, bit: int) -> None:
        """See a person in a way not seen yet on this day."""
        names = day.names[combination.profile_number]
        names[who] = names.get(who, 0) | bit
        self._names += 1
        sets = day.sets.get(combination.profile)
        if sets is None:
            sets = day.sets[combination.profile] = self._open_sets(day, combination.profile)
        for each in sets:
            if self.newest <= each.closes:
                each.add(who, bit)

    def _quarter(self, at: float) -> _Quarter:
        local = day_of(at, self._zone)
        day = self._days.get(local)
        if day is None:
            day = self._days[local] = self._day(LocalDay(local, self._zone.key))
        hour = hour_of(at, self._zone) if local > self._today - HOUR_KEEPING else None
        quarter = self._quarters[at // QUARTER] = _Quarter(day, hour)
        return quarter

    def _day(self, local: LocalDay) -> _Day:
        return _Day(
            local,
            too_old=local.day in self._dropped,
            small=self._small.of_month(local.month),
            month_over=local.ends["month"] <= self._now.timestamp(),
        )

    def _granted(self, day: _Day, family: str) -> bool:
        if family not in day.granted:
            day.granted[family] = self._establishment.grants_family(family, day.local.day)
        return day.granted[family]

    def _counts(self, grain: Grain, local: LocalDay) -> bool:
        return self._since is None or local.start(grain) >= period_start(grain, self._since)

    # --- people

    def _open_sets(self, day: _Day, profile: str) -> list[PeopleSet]:
        """The sets in which a person of this profile and day is kept: a small profile has none for the day."""
        if not self._granted(day, "people"):
            return []
        held = profile in day.small and not day.month_over
        grains: list[Grain] = ["month"] if profile in day.small else ["day", "month"]
        found = [self._open_set(day, profile, grain, held=held) for grain in grains if self._counts(grain, day.local)]
        if self._counts("school_year", day.local):
            found.append(self._open_held_set(day, profile) if held else self._open_set(day, profile, "school_year"))
        return found

    def _open_set(self, day: _Day, profile: str, grain: Grain, *, held: bool = False) -> PeopleSet:
        key = SetKey(profile, grain, day.local.start(grain))
        return self._sets.get(key) or self._filled(key, day, grain, day.local.period("people", grain, held=held))

    def _open_held_set(self, day: _Day, profile: str) -> PeopleSet:
        key = SetKey(profile, "held", day.local.month)
        return self._sets.get(key) or self._filled(key, day, "school_year", None)

    def _filled(self, key: SetKey, day: _Day, grain: Grain, period: Period | None) -> PeopleSet:
        found = self._sets[key] = PeopleSet(
            key,
            key.digest_key(self._store.secret, self._establishment.uai),
            known=self._store.known(key),
            closes=day.local.ends[grain] + (DAY_PATIENCE if grain == "day" else LONG_PATIENCE),
            counts=self.increments[period] if period else None,
            software_only=not self._in_charge,
        )
        return found

    # --- handing over

    def gather(self) -> Gathered:
        """What was counted since the last time; the count goes on from there."""
        for quarter in self._quarters.values():
            self._gather_quarter(quarter)
        for day in self._days.values():
            self._gather_activities(day)
        if self._since is None:
            self._gather_diagnostics()
        self.set_aside.clear()
        increments = {period: dict(counts) for period, counts in self.increments.items() if counts}
        for counts in self.increments.values():
            counts.clear()  # in place: open sets go on counting in them
        return Gathered(increments, self._gather_people())

    def _gather_quarter(self, quarter: _Quarter) -> None:
        for number, count in enumerate(quarter.counts):
            if count:
                quarter.counts[number] = 0
                self._gather_connections(quarter, _BY_NUMBER[number], count)

    def _gather_connections(self, quarter: _Quarter, combination: Combination, count: int) -> None:
        day, family = quarter.day, combination.family
        if family == "web" and not self._in_charge:
            self.set_aside["connection_of_the_other_source"] += count
        elif not self._granted(day, family):
            self.set_aside["outside_grant"] += count
        elif combination.profile in day.small:
            self._add(day, family, "month", combination.cell, count, held=not day.month_over)
        else:
            self._add(day, family, "day", combination.cell, count)
            if quarter.hour and self._counts("day", day.local):
                self.increments[Period(family, "hour", quarter.hour)][combination.hour_cell] += count

    def _add(self, day: _Day, family: str, grain: Grain, cell: int, count: int, *, held: bool = False) -> None:
        if self._counts(grain, day.local):
            self.increments[day.local.period(family, grain, held=held)][cell] += count

    def _gather_activities(self, day: _Day) -> None:
        for (family, cell), count in day.others.items():
            self._add(day, family, "day", cell, count)
        day.others.clear()

    def _gather_diagnostics(self) -> None:
        """Lines set aside are counted on the day they are read: many say no other."""
        if self._establishment.grants_family("diagnostics", self._today):
            period = Period("diagnostics", "day", self._today.isoformat())
            for reason, count in self.set_aside.items():
                if reason:
                    self.increments[period][_DIAGNOSTICS[reason]] += count

    def _gather_people(self) -> list[tuple[SetKey, float, dict[bytes, int]]]:
        grown = [(each.key, each.closes, each.grown) for each in self._sets.values() if each.grown]
        for each in self._sets.values():
            each.grown = {}
        return grown

    def forget_names(self) -> None:
        """After a writing: drop what is remembered of people once it takes room; sets are then asked of the store."""
        if self._names > MOST_NAMES or len(self._quarters) > MOST_QUARTERS:
            self._quarters.clear()
            self._days.clear()
            self._sets.clear()
            self.increments.clear()
            self._names = 0
