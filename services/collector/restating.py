"""`agent restate`: what was read already is read once more, and what lies since a date counted anew under a new restatement.

Days of which the sources say nothing any more are left as they are, and so is every month and school year that holds one: a second
count of what is left would take away what was known.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from contracts.catalogue import Grain
from contracts.periods import format_hour, hours_of_day, period_start
from services.collector import files
from services.collector.access_log.log import AccessLog
from services.collector.access_log.source import AccessLogSource
from services.collector.counting import Count
from services.collector.local_calendar import HOUR_KEEPING, Period
from services.collector.observation import Heartbeats
from services.collector.reading import FollowedSource, Follower, JournalSource
from services.collector.service import EstablishmentService
from services.collector.small import SmallProfiles
from services.collector.sources import ACCESS_LOG, JOURNAL, JOURNAL_FAMILIES
from services.collector.telling import Telling, telling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from services.collector.clock import AgentClock
    from services.collector.config import EstablishmentSettings
    from services.collector.counting import Chosen
    from services.collector.store import Store

_EVERYTHING = 2**62
_COARSE: tuple[Grain, ...] = ("month", "school_year")
_WITH_HOURS = ("web", "software")
_COUNTED_IN_JOURNAL = tuple(
    family for family in JOURNAL_FAMILIES if not family.startswith("observed.") and family != "diagnostics"
)
"""Observation and diagnostics tell of the agent's own work: that is not done again."""


class Recount(NamedTuple):
    """What came of it. `files_gone`: known files that are gone or end earlier; `days_gone`: days that were left as they were.

    `periods_left`: (grain, first day) of the months and school years that hold such a day, left as they were too.
    """

    files_gone: list[int]
    days_gone: list[date]
    periods_left: list[tuple[Grain, date]]


class _Plan:
    """Which periods of one source are counted again."""

    def __init__(self, since: date, known: set[date], told: set[date]) -> None:
        self.since = since
        self._held = {(grain, period_start(grain, day)) for day in known | told for grain in _COARSE}
        self.gone = {day for day in known - told if day >= period_start("school_year", since)}
        self.left: set[tuple[Grain, date]] = {
            (grain, start)
            for day in self.gone
            for grain in _COARSE
            if (start := period_start(grain, day)) >= period_start(grain, since)
        }

    def chosen(self, grain: Grain, start: date) -> bool:
        if grain in {"hour", "day"}:
            return start >= self.since and start not in self.gone
        if (grain, start) not in self._held:
            return False  # nothing of it was ever counted here: it was imported
        return start >= period_start(grain, self.since) and (grain, start) not in self.left


class _OverAgain(FollowedSource):
    """Reads known files from their beginning to where they were left, and adds what they say under a restatement."""

    def __init__(self, establishment: EstablishmentSettings, number: int, store: Store, restatement: int) -> None:
        super().__init__(establishment, number, store)
        self._restatement = restatement
        self._chosen: Chosen
        self.reached: dict[int, int] = {}

    def recount(self, chosen: Chosen, now: datetime) -> None:
        """Count again what is chosen; to be called in a transaction."""
        self._chosen = chosen
        FollowedSource.turn(self, now, budget=_EVERYTHING, to_the_end=True)

    def telling(self) -> Telling:
        """What its files still tell of."""
        store, number = self._store, self._number
        paths, _ = files.find(self._establishment.folder, self.patterns)
        positions = {file: position for source, file, position in store.positions(number) if source == self.name}
        return telling(
            paths, store.heads(number, self.name), positions, self._establishment.zone, type(self).instant_of
        )

    def _open(self, follower: Follower, file: int | None) -> None:
        if file is None:
            self._finish(follower)  # never read, so nothing to count again
        else:
            follower.open(file, self.reached.setdefault(file, 0), limit=self._store.position(file))

    def _position(self, file: int | None) -> int:
        """How far this recount has come in a file: a copy that has more goes on from there."""
        return 0 if file is None else self.reached[file]

    def _new_count(self, now: datetime) -> Count:
        return Count(
            self._establishment,
            SmallProfiles(self._establishment.type, self._store.small_profiles(self._number)),
            self,
            now=now,
            dropped=(),  # a day dropped before the date still has its people in the school year
            heartbeats=Heartbeats(),
            chosen=self._chosen,
            source=self.name,
        )

    def _commit(self, count: Count, now: datetime, followers: Iterable[Follower] | None = None) -> int:
        for follower in self._followers.values() if followers is None else followers:
            if follower.file is not None:
                self.reached[follower.file] = follower.position
        self._add(count, now)
        return 0

    def _add(self, count: Count, now: datetime) -> None:
        self._store.add_gathered(self._number, count.gather(), now=now.timestamp(), restatement=self._restatement)
        count.forget_names()


class _Journal(_OverAgain, JournalSource):
    """The journal, over again."""


class _AccessLog(_OverAgain, AccessLogSource):
    """The access log, over again; sessions are put together anew."""

    def recount(self, chosen: Chosen, now: datetime) -> None:
        """What waits in the reorder buffer goes on waiting, and is counted from here; what was let out of it is let out again."""
        sessions, waiting = self._store.open_sessions, self._opened().waiting
        stored = sessions.of(self._number)
        sessions.save(self._number, AccessLog((), self.secret).state())
        self._log = None
        log = self._opened()
        super().recount(chosen, now)
        if not waiting:
            count = self._new_count(now)
            self._count(count, log.flush())
            self._add(count, now)
        sessions.save(self._number, stored if stored and not waiting else log.state())


def recount(establishment: EstablishmentSettings, store: Store, since: date, clock: AgentClock) -> Recount:
    """Recount one establishment under a restatement that is higher than any before: the UTC second of this one."""
    number = EstablishmentService(establishment, store).number
    known = store.memory.knowledge().standing(establishment.uai)
    restatement = max(int(clock.platform_now().timestamp()), store.restatements.highest(number) + 1, known + 1)
    return Restating(establishment, number, store, since, restatement).run(clock.now())


@dataclass(frozen=True)
class Restating:
    """One restatement of one establishment: all of it holds, or none."""

    establishment: EstablishmentSettings
    number: int
    store: Store
    since: date
    restatement: int

    def run(self, now: datetime) -> Recount:
        """Count again; on the disk when it returns, so that it cannot be lost once it is published."""
        with self.store.transaction():
            done = [self._source(source, families, now) for source, families in self._sources()]
            told = {day for told, _ in done for day in told.days}
            self.store.restatements.take_up(self.number, {day for day in told if day >= self.since})
        self.store.flush()
        return Recount(
            files_gone=sorted(file for told, _ in done for file in told.gone),
            days_gone=sorted({day for _, plan in done for day in plan.gone if day >= self.since}),
            periods_left=sorted({period for _, plan in done for period in plan.left}),
        )

    def _sources(self) -> Iterator[tuple[_OverAgain, tuple[str, ...]]]:
        """Each source with the families that it counts."""
        own, sources = (self.establishment, self.number, self.store, self.restatement), self.establishment.sources
        if sources.journal_paths:
            web = ("web",) if sources.connections_source == JOURNAL else ()
            yield _Journal(*own), (*web, *_COUNTED_IN_JOURNAL)
        if sources.connections_source == ACCESS_LOG:
            yield _AccessLog(*own), ("web",)

    def _source(self, source: _OverAgain, families: tuple[str, ...], now: datetime) -> tuple[Telling, _Plan]:
        dropped = self.store.restatements.dropped(self.number)
        told = source.telling()
        plan = _Plan(self.since, self.store.restatements.days(self.number, families) | dropped, told.days)
        self.store.restatements.restate(
            self.number, families, plan.chosen, now=now.timestamp(), restatement=self.restatement
        )
        for day in sorted(dropped & told.days):
            if day >= self.since:
                self._begin(day, families, now)
        source.recount(plan.chosen, now)
        return told, plan

    def _begin(self, day: date, families: tuple[str, ...], now: datetime) -> None:
        """A day that was dropped starts again, with nothing in it: what the platform holds of it is replaced, to zero if need be."""
        zone = self.establishment.zone.key
        recent = day > now.astimezone(self.establishment.zone).date() - HOUR_KEEPING
        for family in families:
            if self.establishment.grants_family(family, day):
                starts: list[tuple[Grain, str]] = [("day", day.isoformat())]
                if recent and family in _WITH_HOURS:
                    starts += [("hour", format_hour(hour, zone)) for hour in hours_of_day(day, zone)]
                for grain, start in starts:
                    period = Period(family, grain, start)
                    self.store.add(self.number, period, {}, now=now.timestamp(), restatement=self.restatement)
