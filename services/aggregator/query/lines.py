"""The lines of a page: the establishments of a scope, ready to be ordered, searched and compared with dates at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from contracts.answers import AnswerRow
from contracts.catalogue import CATALOGUE, Grain
from contracts.establishment_type import KINDS, kind_of, may_hold
from contracts.periods import bounds, period_start
from contracts.registry import Establishment, Grant
from contracts.scope import Scope, VisibleEstablishment
from services.aggregator.query.errors import UnknownEstablishmentError
from services.aggregator.query.french import CollationKey, collation_key, fold
from services.aggregator.query.states import Flags

_encode = msgspec.json.Encoder().encode
Ordinals = NDArray[np.int64]
"""Days as proleptic Gregorian ordinals."""


@dataclass(frozen=True)
class Line:
    """One establishment under a convention in force, as one reader may see it."""

    visible: VisibleEstablishment

    @property
    def establishment(self) -> Establishment:
        return self.visible.establishment

    @property
    def uai(self) -> str:
        return self.visible.establishment.uai

    @property
    def zone(self) -> str:
        return self.visible.establishment.zone

    @cached_property
    def name_key(self) -> tuple[CollationKey, str]:
        """French order of names, then UAI: what breaks every tie."""
        return collation_key(self.establishment.name), self.uai

    @cached_property
    def searched(self) -> tuple[str, ...]:
        return tuple(map(fold, (self.uai, self.establishment.name, *self.establishment.postal_codes)))

    @cached_property
    def opening(self) -> bytes:
        """The JSON of a table's row, up to the value of its first cell."""
        who = self.establishment
        return _encode(AnswerRow(who.uai, who.name, who.postal_codes, [])).removesuffix(b"]}") + b'{"value":'


@dataclass(frozen=True)
class Grants:
    """The grants of one family: the line of each, its first and its last day."""

    line: NDArray[np.int64]
    first: Ordinals
    last: Ordinals

    @classmethod
    def of(cls, grants: Sequence[tuple[int, Grant]]) -> Grants:
        lines = np.array([line for line, _ in grants], np.int64)
        first = np.array([(grant.from_day or date.min).toordinal() for _, grant in grants], np.int64)
        last = np.array([(grant.to_day or date.max).toordinal() for _, grant in grants], np.int64)
        return cls(lines, first, last)

    def take(self, places: NDArray[np.int64]) -> Grants:
        """The grants of some lines; `places` gives each line's new place, or -1."""
        place = places[self.line]
        kept = place >= 0
        return Grants(place[kept], self.first[kept], self.last[kept])


class Roll:
    """Lines in an order, and as arrays what is compared for all of them at once."""

    def __init__(self, lines: Sequence[Line], opened: Ordinals, closed: Ordinals, grants: dict[str, Grants]) -> None:
        self.lines = tuple(lines)
        self.opened = opened
        self.closed = closed
        self.grants = grants

    @classmethod
    def of(cls, lines: Sequence[Line]) -> Roll:
        opened = [(line.establishment.opened or date.min).toordinal() for line in lines]
        closed = [(line.establishment.closed or date.max).toordinal() for line in lines]
        return cls(lines, np.array(opened, np.int64), np.array(closed, np.int64), _grants_by_family(lines))

    def __len__(self) -> int:
        return len(self.lines)

    @cached_property
    def uais(self) -> list[str]:
        return [line.uai for line in self.lines]

    @cached_property
    def place(self) -> dict[str, int]:
        """Place of each UAI."""
        return {uai: place for place, uai in enumerate(self.uais)}

    @cached_property
    def zones(self) -> dict[str, NDArray[np.int64]]:
        """Places of the lines of each zone."""
        of_zone: dict[str, list[int]] = {}
        for place, line in enumerate(self.lines):
            of_zone.setdefault(line.zone, []).append(place)
        return {zone: np.array(places, np.int64) for zone, places in of_zone.items()}

    @cached_property
    def zone_of(self) -> NDArray[np.int64]:
        """Number of each line's zone, in the order of `zones`."""
        numbers = np.zeros(len(self), np.int64)
        for number, places in enumerate(self.zones.values()):
            numbers[places] = number
        return numbers

    @cached_property
    def exact(self) -> Flags:
        """Lines whose exact values this reader may see."""
        return np.array([line.visible.exact for line in self.lines], np.bool_)

    def take(self, kept: NDArray[np.int64]) -> Roll:
        """The lines at these places, in this order."""
        places = np.full(len(self), -1, np.int64)
        places[kept] = np.arange(len(kept))
        lines = [self.lines[place] for place in kept.tolist()]
        grants = {family: grants.take(places) for family, grants in self.grants.items()}
        return Roll(lines, self.opened[kept], self.closed[kept], grants)

    def outside(self, first: date, last: date) -> Flags:
        """No day of [first, last] is within the opening dates."""
        return (self.opened > last.toordinal()) | (self.closed < first.toordinal())

    def granted_days(self, family: str, first: date, last: date) -> NDArray[np.int64]:
        """How many days of [first, last], within the opening dates, some agent may report `family` for."""
        days = np.zeros(len(self), np.int64)
        if (grants := self.grants.get(family)) is not None:
            begin = np.maximum(np.maximum(grants.first, first.toordinal()), self.opened[grants.line])
            end = np.minimum(np.minimum(grants.last, last.toordinal()), self.closed[grants.line])
            np.add.at(days, grants.line, np.maximum(end - begin + 1, 0))
        return days

    def open_days(self, first: date, last: date) -> NDArray[np.int64]:
        """How many days of [first, last] are within the opening dates."""
        begin = np.maximum(self.opened, first.toordinal())
        days: Ordinals = np.maximum(np.minimum(self.closed, last.toordinal()) - begin + 1, 0)
        return days

    def none_over(self, grain: Grain, first: date, now: datetime) -> Flags:
        """Lines where no local `grain` is over yet since `first`, or since the opening."""
        flags = np.zeros(len(self), np.bool_)
        for zone, places in self.zones.items():
            flags[places] = bounds(grain, first, zone)[1] > now
        for place in np.flatnonzero(self.opened > first.toordinal()).tolist():
            opened = period_start(grain, date.fromordinal(int(self.opened[place])))
            flags[place] = bounds(grain, opened, self.lines[place].zone)[1] > now
        return flags

    def lacks(self, level: str) -> Flags:
        """Lines whose type of establishment does not have this level; a type that nobody knows may have any."""
        types = CATALOGUE.levels[level].types
        return np.isin(self._kinds, [kind for kind in KINDS if not may_hold(kind, types)])

    @cached_property
    def _kinds(self) -> NDArray[np.str_]:
        return np.array([kind_of(line.establishment.type) or "" for line in self.lines], np.str_)

    def unfinished(self, last: date, now: datetime) -> Flags:
        """Lines open on the local day `last`, which has not ended there."""
        flags = np.zeros(len(self), np.bool_)
        for zone, places in self.zones.items():
            flags[places] = bounds("day", last, zone)[1] > now
        return flags & (self.closed >= last.toordinal())


def _grants_by_family(lines: Sequence[Line]) -> dict[str, Grants]:
    by_family: dict[str, list[tuple[int, Grant]]] = {}
    for place, line in enumerate(lines):
        for grant in line.visible.grants:
            by_family.setdefault(grant.family, []).append((place, grant))
    return {family: Grants.of(grants) for family, grants in by_family.items()}


class ScopedLines:
    """All lines of one scope in the default order; built once per scope, since names are slow to compare."""

    def __init__(self, scope: Scope, key: str = "") -> None:
        """`key`: equal for equal scopes, and only for them."""
        self.scope = scope
        self.key = key
        lines = sorted(map(Line, scope.establishments), key=lambda line: line.name_key)
        self.all = Roll.of(lines)

    def chosen(self, establishments: Iterable[str] = (), search: str = "") -> Roll:
        """The lines shown, in the default order; `UnknownEstablishmentError` for one that is not in the scope."""
        wanted = {self._known(text) for text in establishments}
        sought = fold(search.strip())
        if not wanted and not sought:
            return self.all
        kept = [place for place, line in enumerate(self.all.lines) if _matches(line, wanted, sought)]
        return self.all.take(np.array(kept, np.int64))

    def _known(self, text: str) -> str:
        uai = text.strip().upper()
        if uai not in self.all.place:
            raise UnknownEstablishmentError(f"{text!r}")
        return uai


def _matches(line: Line, wanted: set[str], sought: str) -> bool:
    return (not wanted or line.uai in wanted) and (not sought or any(sought in text for text in line.searched))
