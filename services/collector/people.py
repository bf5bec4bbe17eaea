"""Distinct people without keeping who: keyed digests, and which cells grow when someone is seen in a new way. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b, blake2s
from typing import TYPE_CHECKING, NamedTuple

from contracts.catalogue import CATALOGUE
from contracts.periods import school_year_start
from services.collector.journal import ACCESSES, CHANNELS, SOFTWARE_PROFILES

if TYPE_CHECKING:
    from datetime import date

    from services.collector.local_calendar import Period

DIGEST_BYTES = 8
"""64 bits, an SQLite integer: among 10,000 people of a set the odds that two share one are 1 in 10^11."""

DAY_PATIENCE = 7 * 86_400
LONG_PATIENCE = 31 * 86_400
"""Seconds of the source's own time that a set is kept after its day, or its month or school year, is over (rules.md 5)."""


def set_key(secret: bytes, uai: str, profile: str, grain: str, start: str) -> bytes:
    """Key of one set's digests: another for each period, so that windows cannot be linked to one another."""
    return blake2b(f"{uai} {profile} {grain} {start}".encode(), key=secret, digest_size=32).digest()


def _mask(channels: tuple[str, ...], accesses: tuple[str, ...]) -> int:
    places = ((CHANNELS.index(channel), ACCESSES.index(access)) for channel in channels for access in accesses)
    return sum(1 << (channel * len(ACCESSES) + access) for channel, access in places)


_SCOPE_CHANNELS = {"web": ("web",), "mobile": ("mobile",), "net": ("web", "mobile"), "software": ("software",)}
SOFTWARE_MASK = _mask(("software",), ACCESSES)


@lru_cache(maxsize=16)
def scopes(profile: str, *, software_only: bool) -> tuple[tuple[int, int], ...]:
    """(cell, mask) of each scope in which a profile's people are counted: someone is in it once a bit of the mask is seen.

    `software_only`: connections come from the access log, which knows nobody, so only the desktop client's people are known.
    """
    channels = ["web", "mobile", "net", *(("software", "any") if profile in SOFTWARE_PROFILES else ())]
    wanted = [("software", "any")] if software_only else [(channel, "any") for channel in channels]
    if not software_only:
        wanted += [(channel, "ent") for channel in ("web", "mobile", "net")]
    elif profile not in SOFTWARE_PROFILES:
        return ()
    return tuple(
        (
            CATALOGUE.code("people", "people", profile, channel, access),
            _mask(_SCOPE_CHANNELS.get(channel, CHANNELS), ACCESSES if access == "any" else (access,)),
        )
        for channel, access in wanted
    )


@lru_cache(maxsize=4096)
def entered(profile: str, before: int, after: int, *, software_only: bool) -> tuple[int, ...]:
    """Cells that grow by one when what is seen of someone goes from `before` to `after`."""
    return tuple(
        cell for cell, mask in scopes(profile, software_only=software_only) if not before & mask and after & mask
    )


@dataclass(frozen=True)
class SetKey:
    """One set of people: a profile in a day, month or school year.

    Grain `held`: what a small profile's month will add to its school year once the month is over; `start` is that month.
    """

    profile: str
    grain: str
    start: date

    def digest_key(self, secret: bytes, uai: str) -> bytes:
        """Key of the digests; what is held for a school year is already written under the year's key."""
        grain, start = (
            ("school_year", school_year_start(self.start)) if self.grain == "held" else (self.grain, self.start)
        )
        return set_key(secret, uai, self.profile, grain, start.isoformat())


Known = Callable[[int], int]
"""What a stored set knows of a digest: the mask of what was seen, 0 for nobody."""


class StoredSet(NamedTuple):
    """A set that lines were entered in before: when it closes, and how to ask it about a digest."""

    closes: float
    known: Known


class PeopleSet:
    """A set being filled: what is stored of it is asked once a person, what grows is kept until it is written.

    `closes` is the instant of the source's own time after which the set is purged and lines leave it as it is. `seen` is what
    this reading has seen of whom, `grown` the masks to write by digest, `moves` how many went from which mask to which.
    `period` is where they are counted, None where nothing is counted yet.
    """

    __slots__ = ("_hash", "_known", "closes", "grown", "key", "moves", "period", "seen")

    def __init__(
        self, key: SetKey, digest_key: bytes, *, known: Known | None, closes: float, period: Period | None
    ) -> None:
        self.key, self.closes, self.period = key, closes, period
        self.grown: dict[int, int] = {}
        self.moves: dict[tuple[int, int], int] = {}
        self.seen: dict[str, int] = {}
        self._hash, self._known = blake2s(key=digest_key, digest_size=DIGEST_BYTES), known

    def add(self, who: str, bit: int) -> None:
        """See `who` in a way that is not in `seen`."""
        keyed = self._hash.copy()
        keyed.update(who.encode())
        mark = int.from_bytes(keyed.digest(), "big", signed=True)
        before = self.seen.get(who)
        if before is None:
            before = self._known(mark) if self._known else 0
        self.seen[who] = after = before | bit
        if after != before:
            self.grown[mark] = after
            move = before, after
            self.moves[move] = self.moves.get(move, 0) + 1
