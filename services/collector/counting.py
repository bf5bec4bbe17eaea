"""Counting an establishment's journal: what each line adds to which period. No I/O but what people's sets ask of their store."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from contracts.catalogue import CATALOGUE, Grain
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
from services.collector.people import DAY_PATIENCE, LONG_PATIENCE, SOFTWARE_MASK, PeopleSet, SetKey, entered
from services.collector.sources import JOURNAL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from services.collector.config import EstablishmentSettings
    from services.collector.observation import Heartbeats
    from services.collector.people import StoredSet
    from services.collector.small import SmallProfiles

FUTURE = timedelta(hours=24)
"""How far ahead of the business clock a line may be."""
MOST_NAMES = 60_000
"""People remembered between two writings, so that memory stays flat; beyond, sets are asked of the store again."""
MOST_HOURS = 5_000
"""Hours remembered, for the same reason: about seven months."""

_BY_NUMBER = tuple(COMBINATIONS.values())
_REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_DIAGNOSTICS = {measure.id: measure.code for measure in CATALOGUE.measures.values() if measure.family == "diagnostics"}

Chosen = Callable[[Grain, date], bool]
"""Whether the period of a grain that starts on a day is counted again."""
GrownSet = tuple[SetKey, float, dict[int, int]]
"""A set, when it closes, and the masks that grew by digest."""


class PeopleStore(Protocol):
    """Where stored people's sets are looked up; `secret` keys their digests."""

    secret: bytes

    def stored(self, key: SetKey) -> StoredSet | None:
        """A set that was entered in before, purged or not; None when there is none."""


class Gathered(NamedTuple):
    """What lines add, ready to be written in one transaction; `people` holds the masks that grew, by set and digest."""

    increments: Mapping[Period, Mapping[int, int]]
    people: list[GrownSet]
    set_aside: Mapping[str, int]


class _Day:
    """What counting needs to know of a local day, found once. `names`: by profile, who was seen in which ways."""

    __slots__ = ("activities", "granted", "local", "month_over", "names", "sets", "small", "too_old")

    def __init__(self, local: LocalDay, *, too_old: bool, small: frozenset[str], month_over: bool) -> None:
        self.local, self.too_old, self.small, self.month_over = local, too_old, small, month_over
        self.granted: dict[str, bool] = {}
        self.activities: Counter[tuple[str, int]] = Counter()
        self.names: list[dict[str, int]] = [{} for _ in PROFILES]
        self.sets: dict[str, list[PeopleSet]] = {}


class _Hour:
    """A local hour of a day, and the connections counted since the last writing by number of combination.

    `start` is None where hours are not counted any more; its quarters share one of these.
    """

    __slots__ = ("counts", "day", "start")

    def __init__(self, day: _Day, start: str | None) -> None:
        self.day, self.start = day, start
        self.counts = [0] * len(_BY_NUMBER)


class Count:
    """Counts the lines of one source of an establishment until `gather` hands over what they add.

    `chosen`: a recount; only the periods that it chooses are counted, and no diagnostics.
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
        chosen: Chosen | None = None,
        source: str = JOURNAL,
    ) -> None:
        self._establishment, self._small, self._store = establishment, small, store
        self._zone, self._now, self._dropped, self._chosen = establishment.zone, now, dropped, chosen
        self._today = now.astimezone(self._zone).date()
        self._oldest_accepted = oldest_accepted(self._today, self._zone.key)
        self._in_charge = establishment.sources.connections_source == source
        self._bits = -1 if self._in_charge else SOFTWARE_MASK
        self._days: dict[date, _Day] = {}
        self._hours: dict[float, _Hour] = {}
        self._by_start: dict[str, _Hour] = {}
        self._sets: dict[SetKey, PeopleSet] = {}
        self._names = 0
        self.heartbeats, self.newest, self.earliest = heartbeats, newest, math.inf
        self.last, self.beaten_from = -math.inf, math.inf
        self.set_aside: Counter[str] = Counter()
        self.increments: defaultdict[Period, Counter[int]] = defaultdict(Counter)

    def take(self, lines: Iterable[bytes]) -> None:
        """Count lines in the order of the source. The one loop that speed depends on: connections are handled in it."""
        hours, combinations, set_aside, bits = self._hours, COMBINATIONS, self.set_aside, self._bits
        oldest, furthest = self._oldest_accepted, (self._now + FUTURE).timestamp()
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
            hour = hours.get(at // QUARTER) or self._hour(at)
            day = hour.day
            if line.kind != "connection" or day.too_old:
                self._take_other(line, at, day)
                continue
            combination, who = combinations.get((line.profile, line.channel, line.access)), line.who
            if combination is None or not who:
                set_aside[refusal_of(line)] += 1
                continue
            if not self.earliest <= at <= self.newest:
                self._accept(at)
            self.last = at
            hour.counts[combination.number] += 1
            bit = combination.bit & bits
            if bit & ~day.names[combination.profile_number].get(who, 0):
                self._enter(day, combination, who, bit)

    def connect(self, at: float, profile: str, channel: str, access: str) -> None:
        """Count a connection of nobody in particular, as an access log tells it."""
        hour = self._hour(at) if at >= self._oldest_accepted else None
        if hour is None or hour.day.too_old:
            self.set_aside["too_old"] += 1
        else:
            hour.counts[COMBINATIONS[profile, channel, access].number] += 1

    def accept(self, first: float, last: float) -> None:
        """Lines from `first` to `last` are of this source's time, whether they count or not."""
        if first <= last:
            self._accept(first)
            self._accept(last)

    @property
    def oldest(self) -> float:
        """UTC timestamp before which lines are too old."""
        return self._oldest_accepted

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
                day.activities[found] += line.n
            else:
                self.set_aside["outside_grant"] += 1

    def _enter(self, day: _Day, combination: Combination, who: str, bit: int) -> None:
        """See a person in a way not seen yet on this day."""
        sets = day.sets.get(combination.profile)
        if sets is None:
            sets = self._open_sets(day, combination)
        for each in sets:
            seen = each.seen.get(who, 0)
            if self.newest > each.closes:
                each.seen[who] = seen | bit  # the set stays as it is
            elif not seen & bit:
                each.add(who, bit)
        if not sets:
            names = day.names[combination.profile_number]
            names[who] = names.get(who, 0) | bit
        self._names += 1

    def _hour(self, at: float) -> _Hour:
        """The hour that holds an instant; found once a quarter."""
        local = day_of(at, self._zone)
        day = self._days.get(local)
        if day is None:
            day = self._days[local] = self._day(LocalDay(local, self._zone.key))
        start = hour_of(at, self._zone)
        hour = self._by_start.get(start)
        if hour is None:
            kept = local > self._today - HOUR_KEEPING
            hour = self._by_start[start] = _Hour(day, start if kept else None)
        self._hours[at // QUARTER] = hour
        return hour

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
        return self._chosen is None or self._chosen(grain, local.start(grain))

    # --- people

    def _open_sets(self, day: _Day, combination: Combination) -> list[PeopleSet]:
        """The sets in which a person of this profile and day is kept: a small profile has none for the day.

        What the first of them has seen is what the day has seen.
        """
        profile = combination.profile
        found = day.sets[profile] = self._sets_of(day, profile) if self._granted(day, "people") else []
        if found:
            day.names[combination.profile_number] = found[0].seen
        return found

    def _sets_of(self, day: _Day, profile: str) -> list[PeopleSet]:
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
        """A set as it is stored, or a new one.

        A first line that comes when the set would be purged opens it late: nobody was forgotten, so everybody can be counted
        (history read after live lines). It then closes by the agent's clock, not by the source's time, which is past it already.
        """
        stored = self._store.stored(key)
        end = day.local.ends[grain] + (DAY_PATIENCE if grain == "day" else LONG_PATIENCE)
        closes = stored.closes if stored else end if self.newest <= end else math.inf
        found = self._sets[key] = PeopleSet(
            key,
            key.digest_key(self._store.secret, self._establishment.uai),
            known=stored.known if stored else None,
            closes=closes,
            period=period,
        )
        return found

    # --- handing over

    def gather(self) -> Gathered:
        """What was counted since the last time; the count goes on from there."""
        for hour in self._by_start.values():
            if any(hour.counts):
                self._gather_hour(hour)
        for day in self._days.values():
            self._gather_activities(day)
        set_aside = {reason: count for reason, count in self.set_aside.items() if reason}
        if self._chosen is None:
            self._gather_diagnostics(set_aside)
        people = self._gather_people()
        gathered = Gathered(dict(self.increments), people, set_aside)
        self.increments = defaultdict(Counter)
        self.set_aside.clear()
        return gathered

    def _gather_hour(self, hour: _Hour) -> None:
        for number, count in enumerate(hour.counts):
            if count:
                self._gather_connections(hour, _BY_NUMBER[number], count)
        hour.counts = [0] * len(_BY_NUMBER)

    def _gather_connections(self, hour: _Hour, combination: Combination, count: int) -> None:
        day, family = hour.day, combination.family
        if family == "web" and not self._in_charge:
            self.set_aside["connection_of_the_other_source"] += count
        elif not self._granted(day, family):
            self.set_aside["outside_grant"] += count
        elif combination.profile in day.small:
            self._add(day, family, "month", combination.cell, count, held=not day.month_over)
        else:
            self._add(day, family, "day", combination.cell, count)
            if hour.start and self._counts("day", day.local):
                self.increments[Period(family, "hour", hour.start)][combination.hour_cell] += count

    def _add(self, day: _Day, family: str, grain: Grain, cell: int, count: int, *, held: bool = False) -> None:
        if self._counts(grain, day.local):
            self.increments[day.local.period(family, grain, held=held)][cell] += count

    def _gather_activities(self, day: _Day) -> None:
        for (family, cell), count in day.activities.items():
            self._add(day, family, "day", cell, count)
        day.activities.clear()

    def _gather_diagnostics(self, set_aside: Mapping[str, int]) -> None:
        """Lines set aside are counted on the day they are read: many say no other."""
        if self._establishment.grants_family("diagnostics", self._today):
            period = Period("diagnostics", "day", self._today.isoformat())
            for reason, count in set_aside.items():
                self.increments[period][_DIAGNOSTICS[reason]] += count

    def _gather_people(self) -> list[GrownSet]:
        grown = []
        for each in self._sets.values():
            if each.grown:
                grown.append((each.key, each.closes, each.grown))
                self._gather_moves(each)
                each.grown, each.moves = {}, {}
        return grown

    def _gather_moves(self, people_set: PeopleSet) -> None:
        """People who entered scopes grow the cells of their period."""
        if people_set.period:
            counts = self.increments[people_set.period]
            for (before, after), number in people_set.moves.items():
                for cell in entered(people_set.key.profile, before, after, software_only=not self._in_charge):
                    counts[cell] += number

    def forget_names(self) -> None:
        """After a writing: drop what is remembered of people once it takes room; sets are then asked of the store."""
        if self._names > MOST_NAMES or len(self._by_start) > MOST_HOURS:
            self._hours.clear()
            self._by_start.clear()
            self._days.clear()
            self._sets.clear()
            self._names = 0
