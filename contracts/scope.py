"""What one reader may see now: made by the identity service, obeyed by the one door of release and rights."""

from __future__ import annotations

from datetime import datetime

import msgspec

from contracts.registry import ConventionKind, Establishment, Grant, Territory


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


class Scope(msgspec.Struct, frozen=True):
    """`rights_version` grows with each change of rights; past `valid_until` (the next convention edge) ask again.

    `without_convention`: how many establishments of the perimeter no convention in force covers. They have no line, and count
    in Accueil's coverage only.
    """

    territory: Territory
    rights_version: int
    establishments: tuple[VisibleEstablishment, ...]
    valid_until: datetime | None = None
    without_convention: int = 0
