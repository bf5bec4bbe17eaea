"""Periods counted again, or to be sent again: their restatement numbers in the agent's state. SQL on that state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.catalogue import GRAINS, Grain
from contracts.periods import period_start

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from datetime import date

_COUNTED = "family NOT LIKE 'observed.%' AND family <> 'diagnostics' AND family NOT LIKE 'census.%'"
"""What lines say; observation and diagnostics tell of the agent itself, a census is read again by itself."""


class Restatements:
    """Part of the store, on its connection; never commits by itself."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def highest(self, establishment: int) -> int:
        """The highest restatement so far."""
        query = "SELECT coalesce(max(restatement), 0) FROM period WHERE establishment = ?"
        return int(self._connection.execute(query, (establishment,)).fetchone()[0])

    def raise_to(self, establishment: int, family: str, day: date, restatement: int) -> None:
        """Periods of a family that hold a day are at least of this restatement; those that were not are published again."""
        for grain in GRAINS:
            query = """UPDATE period SET restatement = ?1, revision = revision + 1 WHERE restatement < ?1
                       AND establishment = ?2 AND family = ?3 AND grain = ?4 AND substr(start, 1, 10) = ?5"""
            self._connection.execute(query, (restatement, establishment, family, grain, _start(grain, day)))

    def mark_all(self, since: date) -> None:
        """Publish again every period that ends on a day or later, of all establishments."""
        for grain in GRAINS:
            query = (
                "UPDATE period SET revision = revision + 1 WHERE held = 0 AND grain = ? AND substr(start, 1, 10) >= ?"
            )
            self._connection.execute(query, (grain, _start(grain, since)))

    def restate(
        self, establishment: int, since: Mapping[str, str], *, now: float, restatement: int, kept: str = ""
    ) -> None:
        """Start again what lies since these first days, by grain: cells at 0 under a new restatement, sets empty; not family `kept`."""
        run = self._connection.execute
        for grain, start in since.items():
            which = f"establishment = ? AND grain = ? AND substr(start, 1, 10) >= ? AND family <> ? AND {_COUNTED}"
            key = (establishment, grain, start, kept)
            run(f"UPDATE cell SET count = 0 WHERE period IN (SELECT id FROM period WHERE {which})", key)  # noqa: S608
            query = f"UPDATE period SET restatement = ?, revision = revision + 1, changed = ? WHERE {which}"  # noqa: S608
            run(query, (restatement, now, *key))
            sets = "SELECT id FROM people_set WHERE establishment = ? AND grain = ? AND start >= ?"
            run(f"DELETE FROM person WHERE people_set IN ({sets})", key[:3])  # noqa: S608 - a constant
            run("DELETE FROM people_set WHERE establishment = ? AND grain = ? AND start >= ?", key[:3])
        run("DELETE FROM dropped_day WHERE establishment = ? AND day >= ?", (establishment, since["day"]))


def _start(grain: Grain, day: date) -> str:
    return period_start("day" if grain == "hour" else grain, day).isoformat()
