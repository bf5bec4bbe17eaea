"""The registry's snapshot: territories, establishments, conventions, agents' keys and grants, with their dates."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

import msgspec

ConventionKind = Literal["consent", "joint"]


class Territory(msgspec.Struct, frozen=True):
    """One authority, one tenant; `zone` decides the date of its windows, `threshold` what the Social menu hides."""

    id: str
    name: str
    zone: str
    threshold: int = 5


class Establishment(msgspec.Struct, frozen=True):
    """`opened` and `closed` are its first and last local days, None where unbounded."""

    uai: str
    name: str
    type: str
    zone: str
    postal_codes: tuple[str, ...] = ()
    opened: date | None = None
    closed: date | None = None


class Convention(msgspec.Struct, frozen=True):
    """In force from `valid_from` (included) to `valid_to` (excluded), by the clock."""

    territory: str
    uai: str
    kind: ConventionKind
    valid_from: datetime | None = None
    valid_to: datetime | None = None

    def in_force(self, now: datetime) -> bool:
        return (self.valid_from is None or self.valid_from <= now) and (self.valid_to is None or now < self.valid_to)


class AgentKey(msgspec.Struct, frozen=True):
    """A public key (base64 of 32 bytes) and the instants between which messages may be signed with it."""

    agent: str
    public_key: str
    valid_from: datetime | None = None
    valid_to: datetime | None = None

    def valid_at(self, instant: datetime) -> bool:
        return (self.valid_from is None or self.valid_from <= instant) and (
            self.valid_to is None or instant < self.valid_to
        )


class Grant(msgspec.Struct, frozen=True, rename={"from_day": "from", "to_day": "to"}):
    """Agent may report `family` of `uai` for local days from `from_day` to `to_day`, both included, None where unbounded."""

    agent: str
    uai: str
    family: str
    from_day: date | None = None
    to_day: date | None = None

    def overlaps(self, first: date, last: date) -> bool:
        """Whether some day of [first, last] is granted."""
        return (self.from_day is None or self.from_day <= last) and (self.to_day is None or first <= self.to_day)


class Registry(msgspec.Struct, frozen=True):
    """Everything the platform obeys, as of `version` (grows with each change)."""

    version: int
    territories: list[Territory] = []
    establishments: list[Establishment] = []
    conventions: list[Convention] = []
    keys: list[AgentKey] = []
    grants: list[Grant] = []
