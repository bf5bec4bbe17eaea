"""The access log as a source of an agent: its files read together line by line in the order of time, open sessions kept with positions."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, ClassVar

from services.collector.access_log.facts import Connection
from services.collector.access_log.log import AccessLog
from services.collector.access_log.places import Establishment
from services.collector.access_log.rules import REORDERED
from services.collector.access_log.stamps import instant_of
from services.collector.reading import FollowedSource
from services.collector.sources import ACCESS_LOG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from services.collector.access_log.facts import Fact
    from services.collector.config import EstablishmentSettings
    from services.collector.counting import Count
    from services.collector.files import InstantOf
    from services.collector.reading import Follower
    from services.collector.store import Store


class AccessLogSource(FollowedSource):
    """The access log of one establishment, which may hold those of others too: each counts its own hosts.

    `timer`: seconds of the machine, by which the end of the files has been stood at for a minute.
    """

    name = ACCESS_LOG
    text = False
    instant_of: ClassVar[InstantOf] = staticmethod(instant_of)

    def __init__(
        self,
        establishment: EstablishmentSettings,
        number: int,
        store: Store,
        *,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(establishment, number, store)
        self._timer = timer
        self._quiet_since = timer()
        self._log: AccessLog | None = None

    @property
    def patterns(self) -> tuple[str, ...]:
        return self._establishment.sources.access_log_paths

    def turn(self, now: datetime, *, budget: int, to_the_end: bool) -> bool:
        """As any source; at the end of the files the reorder buffer is emptied after a minute, or at once with `to_the_end`."""
        before = self.lines
        at_the_end = super().turn(now, budget=budget, to_the_end=to_the_end)
        if self.lines != before:
            self._quiet_since = self._timer()
        waited = to_the_end or self._timer() - self._quiet_since >= REORDERED
        if waited and not self._followers and self._opened().waiting:
            self._flush(now)
        return at_the_end

    def close(self) -> None:
        super().close()
        self._log = None  # it may know more than was committed

    # --- reading

    def _opened(self) -> AccessLog:
        if self._log is None:
            places = [_place(each) for each in (self._establishment, *self._establishment.neighbours)]
            state = self._store.open_sessions.of(self._number)
            first = self._establishment.sources.host_first
            self._log = AccessLog(places, self.secret, host_first=first, state=state)
        return self._log

    def _advance(self, count: Count, follower: Follower, now: datetime) -> int:
        """Count what comes next in a file, up to the line that stands next in another one."""
        before = follower.position
        lines = self._next_lines(follower)
        if not lines:
            self._ended(count, follower, now)
            return 0
        until = min((other.clock for other in self._followers.values() if other is not follower), default=math.inf)
        taken = len(lines) if until == math.inf else _run(lines, until)
        if taken:
            self._understand(count, lines[:taken], follower, now)
            follower.take(taken)
            self.lines += taken
        stands = lines[taken:] or lines[-1:]
        follower.clock = _first(stands, follower.clock)
        return follower.position - before

    def _take_tail(self, count: Count, follower: Follower, now: datetime) -> None:
        self._understand(count, follower.tail(), follower, now)

    def _understand(self, count: Count, lines: Sequence[bytes], follower: Follower, now: datetime) -> None:
        if follower.file is None:  # the log remembers an IIS file's columns by it
            with self._store.transaction():
                follower.file = self._store.add_file(self._number, self.name)
        log = self._opened()
        self._count(count, log.read(lines, file=str(follower.file), now=now.timestamp()))
        if found := log.accepted.pop(self._establishment.uai, None):
            count.accept(max(found[0], count.oldest), found[1])
        log.accepted.clear()

    def _count(self, count: Count, facts: Iterable[Fact]) -> None:
        """What concerns this establishment, or nobody."""
        mine = self._establishment.uai
        for fact in facts:
            if isinstance(fact, Connection):
                if fact.uai == mine:
                    count.connect(fact.at, fact.profile, fact.channel, fact.access)
            elif fact.uai in {None, mine}:
                count.set_aside[fact.reason] += 1

    # --- committing

    def _flush(self, now: datetime) -> None:
        try:
            count = self._new_count(now)
            self._count(count, self._opened().flush())
            self._write(count, now)
        except BaseException:
            self.close()
            raise

    def _save_source(self, count: Count) -> None:
        super()._save_source(count)
        self._store.open_sessions.save(self._number, self._opened().state())


def _place(establishment: EstablishmentSettings) -> Establishment:
    sources = establishment.sources
    return Establishment(establishment.uai, sources.hosts_of(establishment.uai), sources.cas)


def _run(lines: Sequence[bytes], until: float) -> int:
    """How many lines come before the first one after `until`; those without an instant follow the one before."""
    for place, line in enumerate(lines):
        at = instant_of(line)
        if at is not None and at > until:
            return place
    return len(lines)


def _first(lines: Iterable[bytes], otherwise: float) -> float:
    found = (instant_of(line) for line in lines)
    return next((at for at in found if at is not None), otherwise)
