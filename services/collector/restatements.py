"""Periods counted again, or to be sent again: their restatement numbers in the agent's state. SQL on that state."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from contracts.catalogue import GRAINS, Grain
from contracts.periods import period_start

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from services.collector.counting import Chosen
    from services.collector.local_calendar import Period


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
                       AND establishment = ?2 AND family = ?3 AND grain = ?4 AND start >= ?5 AND start < ?5 || '~'"""
            self._connection.execute(query, (restatement, establishment, family, grain, _start(grain, day)))

    def mark_all(self, since: date) -> None:
        """Publish again every period that ends on a day or later, of all establishments."""
        for grain in GRAINS:
            query = (
                "UPDATE period SET revision = revision + 1 WHERE held = 0 AND grain = ? AND substr(start, 1, 10) >= ?"
            )
            self._connection.execute(query, (grain, _start(grain, since)))

    def days(self, establishment: int, families: Iterable[str]) -> set[date]:
        """Days of which something of these families was counted and is kept."""
        query = "SELECT DISTINCT family, substr(start, 1, 10) FROM period WHERE establishment = ? AND grain IN ('hour', 'day')"
        wanted = set(families)
        rows = self._connection.execute(query, (establishment,))
        return {date.fromisoformat(day) for family, day in rows if family in wanted}

    def replace(
        self, establishment: int, period: Period, counts: Mapping[int, int], *, now: float, restatement: int
    ) -> None:
        """Put these counts in the place of whatever the period held before; it is then to be published."""
        query = """INSERT INTO period (establishment, family, grain, start, held, changed, restatement)
                   VALUES (?, ?, ?, ?, 0, ?, ?) ON CONFLICT DO UPDATE SET revision = revision + 1,
                   changed = excluded.changed, restatement = excluded.restatement RETURNING id"""
        run = self._connection.execute
        key = (establishment, period.family, period.grain, period.start)
        number = run(query, (*key, now, restatement)).fetchone()[0]
        run("DELETE FROM cell WHERE period = ?", (number,))
        rows = ((number, code, count) for code, count in counts.items())
        self._connection.executemany("INSERT INTO cell VALUES (?, ?, ?)", rows)

    def dropped(self, establishment: int) -> set[date]:
        """Days that were dropped and of which something was counted."""
        query = "SELECT day FROM dropped_day WHERE establishment = ? AND counted"
        return {date.fromisoformat(day) for (day,) in self._connection.execute(query, (establishment,))}

    def restate(
        self, establishment: int, families: Iterable[str], chosen: Chosen, *, now: float, restatement: int
    ) -> None:
        """Start chosen periods of these families again: cells at 0 under a new restatement, sets of people empty."""
        wanted = set(families)
        run = self._connection.execute
        rows = run("SELECT id, family, grain, start FROM period WHERE establishment = ?", (establishment,)).fetchall()
        for period, family, grain, start in rows:
            if family in wanted and chosen(grain, date.fromisoformat(start[:10])):
                run("UPDATE cell SET count = 0 WHERE period = ?", (period,))
                query = "UPDATE period SET restatement = ?, revision = revision + 1, changed = ? WHERE id = ?"
                run(query, (restatement, now, period))
        if "people" in wanted:
            self._empty_sets(establishment, chosen)

    def _empty_sets(self, establishment: int, chosen: Chosen) -> None:
        """What a small profile's month holds for its school year follows the year."""
        run = self._connection.execute
        rows = run("SELECT id, grain, start FROM people_set WHERE establishment = ?", (establishment,)).fetchall()
        for people_set, grain, start in rows:
            day = date.fromisoformat(start)
            if chosen("school_year", period_start("school_year", day)) if grain == "held" else chosen(grain, day):
                run("DELETE FROM person WHERE people_set = ?", (people_set,))
                run("DELETE FROM people_set WHERE id = ?", (people_set,))

    def take_up(self, establishment: int, days: Iterable[date]) -> None:
        """Days that were dropped are counted in again."""
        rows = ((establishment, day.isoformat()) for day in days)
        self._connection.executemany("DELETE FROM dropped_day WHERE establishment = ? AND day = ?", rows)


def _start(grain: Grain, day: date) -> str:
    return period_start("day" if grain == "hour" else grain, day).isoformat()
