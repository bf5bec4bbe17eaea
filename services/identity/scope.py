"""What one reader may see now: the rights that are given, under the conventions in force. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

import msgspec

from contracts.registry import Convention, Establishment, Grant, Territory
from contracts.scope import Opening, Scope, VisibleEstablishment

WIDGETS = frozenset(
    {
        *(
            f"moyens.{widget}"
            for widget in ("eleves", "classes", "responsables", "enseignants", "personnels", "salles")
        ),
        *(f"social.{widget}" for widget in ("eleves", "assiduite", "discipline")),
        *(f"scolarite.{widget}" for widget in ("ressources", "cahier_de_textes", "evaluations", "stages")),
        "communications",
        "travaux",
    }
)
"""Every widget that can be given or withheld (console.md 3); Accueil and Connexions always are and never listed."""


class Rights(msgspec.Struct, frozen=True):
    """What a reader was given: the whole territory for an administrator or its machine, some of it for other accounts.

    `uais` None: all establishments. People's accounts bring theirs here; nothing after this point asks who the reader is.
    """

    territory: Territory
    uais: frozenset[str] | None = None
    widgets: frozenset[str] = WIDGETS
    own: bool = False

    def cover(self, uai: str) -> bool:
        return self.uais is None or uai in self.uais


class Agreed(msgspec.Struct, frozen=True):
    """An establishment, its convention with the reader's territory (past, in force or to come) and who may report for it."""

    establishment: Establishment
    convention: Convention
    grants: tuple[Grant, ...] = ()


def scope_of(
    rights: Rights, members: Iterable[Establishment], agreed: Iterable[Agreed], version: int, now: datetime
) -> Scope:
    """Keep what the rights name and a convention covers at `now`; `valid_until` is the next instant at which one starts or ends.

    `members`: the territory's establishments; of those that no convention covers nothing is kept but when they were open.
    """
    mine = [entry for entry in agreed if rights.cover(entry.establishment.uai)]
    visible = tuple(_visible(rights, entry) for entry in mine if entry.convention.in_force(now))
    covered = {each.establishment.uai for each in visible}
    others = [each for each in members if rights.cover(each.uai) and each.uai not in covered]
    edge = next_edge((entry.convention for entry in mine), now)
    return Scope(rights.territory, version, visible, edge, tuple(_openings(others)))


def _visible(rights: Rights, entry: Agreed) -> VisibleEstablishment:
    return VisibleEstablishment(
        entry.establishment, entry.convention.kind, rights.widgets, own=rights.own, grants=entry.grants
    )


def _openings(establishments: Iterable[Establishment]) -> list[Opening]:
    openings = [Opening(each.opened, each.closed) for each in establishments]
    return sorted(openings, key=lambda each: (each.opened or date.min, each.closed or date.max))


def next_edge(conventions: Iterable[Convention], now: datetime) -> datetime | None:
    """The first instant after `now` at which one of these conventions starts or ends."""
    edges = (edge for convention in conventions for edge in (convention.valid_from, convention.valid_to))
    return min((edge for edge in edges if edge is not None and edge > now), default=None)
