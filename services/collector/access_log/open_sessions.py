"""What an access log leaves open where it was left, stored beside its position. SQL on the agent's state."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


class OpenSessions:
    """Part of the store, on its connection; never commits by itself."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def of(self, establishment: int) -> bytes | None:
        """The state of the establishment's log; None at the beginning."""
        query = "SELECT state FROM open_sessions WHERE establishment = ?"
        row = self._connection.execute(query, (establishment,)).fetchone()
        return row[0] if row else None

    def save(self, establishment: int, state: bytes) -> None:
        self._connection.execute("INSERT OR REPLACE INTO open_sessions VALUES (?, ?)", (establishment, state))
