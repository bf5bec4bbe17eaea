"""What the platform said last, kept in the agent's state: the agent goes on with it while the platform is away."""

from __future__ import annotations

import secrets
import uuid
from collections import defaultdict
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from contracts.fleet import FamilyStanding, HelloAnswer

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_RANDOM_NODE = 1 << 40
"""Set in what `uuid.getnode` invents where it finds no network card; that changes with each process."""


class Knowledge(msgspec.Struct, frozen=True):
    """The last answer and when it came (UTC timestamp by the machine's clock), how many seconds this clock was ahead.

    `resent`: the last request to send again that was obeyed. `failure`: why the newest hello failed, '' if it did not.
    """

    answer: HelloAnswer | None = None
    heard_at: float | None = None
    ahead: float = 0.0
    resent: int = 0
    failure: str = ""
    failed_since: float | None = None

    def standing(self, uai: str, family: str | None = None) -> int:
        """The highest restatement that the platform knows, of one family or of all."""
        known = self.answer.standing if self.answer else ()
        return max(
            (each.restatement for each in known if each.uai == uai and family in {None, each.family}),
            default=0,
        )

    def standing_by_uai(self) -> dict[str, tuple[FamilyStanding, ...]]:
        """The same, as each establishment needs it turn by turn."""
        found: defaultdict[str, list[FamilyStanding]] = defaultdict(list)
        for each in self.answer.standing if self.answer else ():
            found[each.uai].append(each)
        return {uai: tuple(standing) for uai, standing in found.items()}


_decode = msgspec.json.Decoder(Knowledge).decode


class Memory:
    """Part of the store, on its connection; never commits by itself."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def knowledge(self) -> Knowledge:
        """What is known; nothing in a new state."""
        found = self._get("platform")
        try:
            return Knowledge() if found is None else _decode(found)
        except msgspec.DecodeError:  # of another version: the next hello says it again
            return Knowledge()

    def save(self, knowledge: Knowledge) -> None:
        self._set("platform", msgspec.json.encode(knowledge))

    def name(self, path: Path) -> str:
        """The state's random name. A state that was moved or copied takes another, so that two copies are told apart."""
        place = _place_of(path)
        known, name = self._get("place"), self._get("name")
        if name is None or (known is not None and place is not None and known != place):
            name = secrets.token_hex(8).encode()
            self._set("name", name)
        if place is not None and known != place:
            self._set("place", place)
        return name.decode()

    def stored_name(self) -> str:
        """The name as it stands, '' before the first hello."""
        return (self._get("name") or b"").decode()

    def _get(self, name: str) -> bytes | None:
        row = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def _set(self, name: str, value: bytes) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def _place_of(path: Path) -> bytes | None:
    """Which file of which machine; None where a machine does not say who it is."""
    node = uuid.getnode()
    if node & _RANDOM_NODE:
        return None
    return blake2b(f"{node} {path.stat().st_ino}".encode(), digest_size=16).digest()
