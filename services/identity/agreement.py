"""Conventions over time: what has to change for an establishment to stand under the convention one asks for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from contracts.registry import Convention, ConventionKind


class StoredConvention(msgspec.Struct, frozen=True):
    """A convention and the id of its row."""

    id: int
    convention: Convention


class Amendment(msgspec.Struct, frozen=True):
    """Conventions to end now, and one to begin."""

    end: tuple[int, ...] = ()
    begin: Convention | None = None


def amend(
    known: Sequence[StoredConvention], territory: str, uai: str, kind: ConventionKind | None, now: datetime
) -> Amendment:
    """Bring (territory, UAI) under a convention of `kind` from now on, or under none.

    A first convention has no start: history may be collected and shown as soon as one is in force (architecture: a convention
    gates by the clock, not by period). One that follows others starts now and stops where the next begins.
    """
    current = next((row for row in known if row.convention.in_force(now)), None)
    if (current.convention.kind if current else None) == kind:
        return Amendment()
    end = (current.id,) if current else ()
    if kind is None:
        return Amendment(end)
    later = [start for row in known if (start := row.convention.valid_from) and start > now]
    return Amendment(end, Convention(territory, uai, kind, now if known else None, min(later, default=None)))


def overlap(left: Convention, right: Convention) -> bool:
    """Whether some instant lies in both."""
    return _before(left.valid_from, right.valid_to) and _before(right.valid_from, left.valid_to)


def _before(start: datetime | None, end: datetime | None) -> bool:
    return start is None or end is None or start < end
