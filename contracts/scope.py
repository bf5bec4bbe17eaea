"""What one reader may see now: made by the identity service, obeyed by the one door of release and rights."""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple

import msgspec

from contracts.registry import ConventionKind, Establishment, Grant, Territory

ALWAYS_GRANTED = frozenset({"accueil", "connexions"})
"""Pages, each a widget, that no right can withhold."""


class VisibleEstablishment(msgspec.Struct, frozen=True):
    """An establishment under a convention in force, what the reader may see of it, and who counts it.

    `widgets` are ids such as `social.eleves`; Accueil and Connexions are always granted and never listed.
    `own`: the reader is an account of this establishment (audience `establishment` included).
    """

    establishment: Establishment
    convention: ConventionKind
    widgets: frozenset[str] = frozenset()
    own: bool = False
    grants: tuple[Grant, ...] = ()

    @property
    def exact(self) -> bool:
        """Its exact values may be seen: by its own account, or by an authority that is joint controller for them."""
        return self.own or self.convention == "joint"


class Sight(NamedTuple):
    """What a reader may see of some establishment: widgets, and those of establishments whose exact values they may see."""

    widgets: frozenset[str]
    exact_widgets: frozenset[str]


class Opening(msgspec.Struct, frozen=True):
    """First and last local day of an establishment, None where unbounded, without saying which it is."""

    opened: date | None = None
    closed: date | None = None

    def overlaps(self, first: date, last: date) -> bool:
        """Whether it was open on some day of [first, last]."""
        return (self.opened is None or self.opened <= last) and (self.closed is None or first <= self.closed)


class Scope(msgspec.Struct, frozen=True):
    """`rights_version` grows with each change of rights; past `valid_until` (the next convention edge) ask again.

    `without_convention`: one entry per establishment of the perimeter that no convention in force covers, in no order that
    could tell which. They have no line, and count in Accueil's coverage only.
    """

    territory: Territory
    rights_version: int
    establishments: tuple[VisibleEstablishment, ...]
    valid_until: datetime | None = None
    without_convention: tuple[Opening, ...] = ()

    @property
    def sight(self) -> Sight:
        """What may be seen of one establishment or another."""
        widgets = [each.widgets for each in self.establishments]
        exact = [each.widgets | ALWAYS_GRANTED for each in self.establishments if each.exact]
        return Sight(ALWAYS_GRANTED.union(*widgets), frozenset().union(*exact))
