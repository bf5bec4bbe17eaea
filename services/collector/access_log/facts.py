"""What an access log says once it is understood."""

from __future__ import annotations

from typing import Literal

import msgspec

Access = Literal["direct", "ent", "unknown"]
Reason = Literal[
    "unreadable",
    "future",
    "other_host",
    "call_without_session",
    "script",
    "opened_not_authenticated",
    "outside_profiles",
    "unknown_espace",
]


class Connection(msgspec.Struct, frozen=True, gc=False):
    """A connection presumed authenticated, at the UTC second of its opening."""

    at: int
    uai: str
    host: str
    profile: str
    channel: Literal["web", "mobile"]
    access: Access


class SetAside(msgspec.Struct, frozen=True, gc=False):
    """One more for a named counter.

    `at`: UTC second of the line, or of the opening where a session is meant; None for what says no instant. `uai`: None for
    what is nobody's here (`other_host`) or cannot be told (`unreadable`).
    """

    reason: Reason
    at: int | None = None
    uai: str | None = None
    host: str = ""


Fact = Connection | SetAside
