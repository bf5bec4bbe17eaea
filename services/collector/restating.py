"""`agent restate`: what was read already is read once more, and what lies since a date counted anew under a new restatement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.periods import period_start
from services.collector.counting import Count
from services.collector.observation import Heartbeats
from services.collector.reading import Follower, JournalSource
from services.collector.service import EstablishmentService
from services.collector.small import SmallProfiles
from services.collector.sources import JOURNAL

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from contracts.catalogue import Grain
    from services.collector.clock import AgentClock
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
        self._reached: dict[int, int] = {}

    def recount(self, now: datetime) -> list[int]:
        """Count again; returns the known files that are gone or end earlier, of which lines are missing from now on."""
        store, number = self._store, self._number
        with store.transaction():
            store.restatements.restate(
                number, self._starts(), now=now.timestamp(), restatement=self._restatement, kept=self._not_ours
            )
            self.turn(now, budget=_EVERYTHING, to_the_end=True)
        store.flush()
        known = ((file, position) for source, file, position in store.positions(number) if source == self.name)
        return sorted(file for file, position in known if self._reached.get(file, 0) < position)

    @property
    def _not_ours(self) -> str:
        """Connections that an access log counts: no journal can tell them again."""
        return "" if self._establishment.sources.connections_source == JOURNAL else "web"

    def _starts(self) -> dict[str, str]:
        """First days of the periods to count again, by grain; what is held for a school year follows the year."""
        starts: dict[str, str] = {
            grain: period_start("day" if grain == "hour" else grain, self._since).isoformat() for grain in _GRAINS
        }
        return {**starts, "held": starts["school_year"]}

    def _open(self, follower: Follower, file: int | None) -> None:
        if file is None:
            self._finish(follower)  # never read, so nothing to count again
        else:
            follower.open(file, self._reached.setdefault(file, 0), limit=self._store.position(file))

    def _position(self, file: int | None) -> int:
        """How far this recount has come in a file: a copy that has more goes on from there."""
        return 0 if file is None else self._reached[file]

    def _new_count(self, now: datetime) -> Count:
        return Count(
            self._establishment,
            SmallProfiles(self._establishment.type, self._store.small_profiles(self._number)),
            self,
            now=now,
            dropped=(),  # a day dropped before the date still has its people in the school year
            heartbeats=Heartbeats(),
            since=self._since,
        )

    def _commit(self, count: Count, now: datetime, followers: Iterable[Follower] | None = None) -> int:
        gathered = count.gather()
        for follower in self._followers.values() if followers is None else followers:
            if follower.file is not None:
                self._reached[follower.file] = follower.position
        self._store.add_gathered(self._number, gathered, now=now.timestamp(), restatement=self._restatement)
        count.forget_names()
        return 0


def recount(establishment: EstablishmentSettings, store: Store, since: date, clock: AgentClock) -> list[int]:
    """Recount one establishment under a restatement that is higher than any before: the UTC second of this one."""
    number = EstablishmentService(establishment, store).number
    known = store.memory.knowledge().standing(establishment.uai)
    restatement = max(int(clock.platform_now().timestamp()), store.restatements.highest(number) + 1, known + 1)
    recounting = Recounting(establishment, number, store, since=since, restatement=restatement)
    return recounting.recount(clock.now())
