"""What stands in the way of an establishment's sources, kept so that `agent status` can tell it. SQL on the agent's state."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence


class Problems:
    """Part of the store, on its connection; never commits by itself."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def save(self, establishment: int, event: str, details: Sequence[str]) -> None:
        """What `event` names now, in place of what it named before; nothing when all is well again."""
        self._connection.execute("DELETE FROM problem WHERE establishment = ? AND event = ?", (establishment, event))
        rows = ((establishment, event, place, detail) for place, detail in enumerate(details))
        self._connection.executemany("INSERT INTO problem VALUES (?, ?, ?, ?)", rows)

    def of(self, establishment: int) -> dict[str, list[str]]:
        """Details by event."""
        query = "SELECT event, detail FROM problem WHERE establishment = ? ORDER BY event, place"
        found: dict[str, list[str]] = {}
        for event, detail in self._connection.execute(query, (establishment,)):
            found.setdefault(event, []).append(detail)
        return found

    def number(self) -> int:
        """How many there are, of all establishments."""
        return int(self._connection.execute("SELECT count(*) FROM problem").fetchone()[0])
