"""`agent restate`: what was read already is read once more, and what lies since a date counted anew under a new restatement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.periods import period_start
from services.collector.counting import Count
from services.collector.observation import Heartbeats
from services.collector.reading import Follower, JournalSource
from services.collector.service import EstablishmentService
from services.collector.small import SmallProfiles

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from chassis.clock import Clock
    from contracts.catalogue import Grain
    from services.collector.config import EstablishmentSettings
    from services.collector.store import Store

_EVERYTHING = 2**62
_GRAINS: tuple[Grain, ...] = ("hour", "day", "month", "school_year")


class Recounting(JournalSource):
    """Reads known files from their beginning to where they were left, inside one transaction: all of it holds, or none."""

    def __init__(
        self, establishment: EstablishmentSettings, number: int, store: Store, *, since: date, restatement: int
    ) -> None:
        super().__init__(establishment, number, store)
        self._since, self._restatement = since, restatement
        self.recounted: set[int] = set()

    def recount(self, now: datetime) -> list[int]:
        """Count again; returns the known files that are no longer there, whose lines are missing from now on."""
        store, number = self._store, self._number
        with store.transaction():
            store.restate(number, self._starts(), now=now.timestamp(), restatement=self._restatement)
            self.turn(now, budget=_EVERYTHING, to_the_end=True)
        known = {file for source, file, _ in store.positions(number) if source == self.name}
        return sorted(known - self.recounted)

    def _starts(self) -> dict[str, str]:
        """First days of the periods to count again, by grain; what is held for a school year follows the year."""
        starts: dict[str, str] = {
            grain: period_start("day" if grain == "hour" else grain, self._since).isoformat() for grain in _GRAINS
        }
        return {**starts, "held": starts["school_year"]}

    def _identify(self, follower: Follower) -> None:
        file = self._recognise(follower)
        if file is None or file in self.recounted:
            self._finish(follower)  # never read, so nothing to count again; or a copy
        else:
            self.recounted.add(file)
            follower.open(file, 0, limit=self._store.position(file))

    def _position(self, file: int | None) -> int:
        """A tail lies where the known file was left: it was read as one, and is again."""
        return next(each.position for each in self._tails if each.file == file)

    def _new_count(self, now: datetime) -> Count:
        return Count(
            self._establishment,
            SmallProfiles(self._establishment.type, self._store.small_profiles(self._number)),
            self,
            now=now,
            dropped=self._store.dropped_days(self._number),
            heartbeats=Heartbeats(),
            since=self._since,
        )

    def _commit(self, count: Count, now: datetime, followers: Iterable[Follower] | None = None) -> int:  # noqa: ARG002
        gathered = count.gather()
        self._store.add_gathered(self._number, gathered, now=now.timestamp(), restatement=self._restatement)
        count.forget_names()
        return 0


def recount(establishment: EstablishmentSettings, store: Store, since: date, clock: Clock) -> list[int]:
    """Recount one establishment under a restatement that is higher than any before: the UTC second of this one."""
    number = EstablishmentService(establishment, store).number
    restatement = max(int(clock.real_now().timestamp()), store.restatement(number) + 1)
    recounting = Recounting(establishment, number, store, since=since, restatement=restatement)
    return recounting.recount(clock.now())
