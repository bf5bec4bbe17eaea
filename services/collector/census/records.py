"""What an agent remembers of censuses: which files it has read, what was wrong with them, which date stands. SQL on the agent's state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import msgspec

from contracts.periods import school_year_start
from services.collector.census.faults import FileFault, RowFault
from services.collector.census.folder import CensusFile, Stamp

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

WHOLE_FOLDER = ""
"""Stands for a file's name where a fault is a dated folder's, or the census folder's."""

_SAVE = """INSERT INTO census_file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
           size = excluded.size, written = excluded.written, story = excluded.story,
           counted = max(counted, excluded.counted), rows = CASE WHEN excluded.counted THEN excluded.rows ELSE rows END"""
"""A file that cannot count any more leaves standing what it said before."""


class Story(msgspec.Struct, frozen=True):
    """What was wrong with a file: why it does not count, or rows by reason and the first of them, line by line."""

    refused: FileFault | None = None
    reasons: dict[str, int] = {}
    faults: tuple[RowFault, ...] = ()


_decode = msgspec.json.Decoder(Story).decode


@dataclass(frozen=True)
class Record:
    """A file that was looked at. `counted`: what this date and name says stands, be it of an earlier writing of the file."""

    day: str
    name: str
    stamp: Stamp
    counted: bool
    rows: int
    story: Story


class CensusRecords:
    """Part of the store, on its connection; never commits by itself."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def records(self, establishment: int) -> dict[tuple[str, str], Record]:
        """By date and file name, oldest first."""
        query = """SELECT day, file, name, size, written, counted, rows, story FROM census_file
                   WHERE establishment = ? ORDER BY day, file"""
        return {
            (day, file): Record(day, name, Stamp(size, written), bool(counted), rows, _decode(story))
            for day, file, name, size, written, counted, rows, story in self._connection.execute(
                query, (establishment,)
            )
        }

    def save_counted(self, establishment: int, file: CensusFile, rows: int, story: Story) -> None:
        self._save(establishment, file, rows, story, counted=True)

    def save_uncounted(self, establishment: int, file: CensusFile, story: Story) -> None:
        """A file that was refused, or passed over for another one of its date and name; it is not looked at again."""
        self._save(establishment, file, 0, story, counted=False)

    def _save(self, establishment: int, file: CensusFile, rows: int, story: Story, *, counted: bool) -> None:
        key = (establishment, file.day.isoformat(), file.path.name)
        self._connection.execute(_SAVE, (*key, file.name, *file.stamp, counted, rows, msgspec.json.encode(story)))

    def save_folder_faults(self, establishment: int, faults: Iterable[FileFault]) -> None:
        """What is wrong with the folders now; earlier faults of theirs are over."""
        run = self._connection.execute
        run("DELETE FROM census_file WHERE establishment = ? AND file = ?", (establishment, WHOLE_FOLDER))
        for fault in faults:
            values = (establishment, fault.day, WHOLE_FOLDER, "", 0, 0, False, 0, msgspec.json.encode(Story(fault)))
            run("INSERT INTO census_file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    def save_small_profiles(self, establishment: int, month: date, profiles: Iterable[str]) -> None:
        """Profiles that are small from this month on."""
        values = (establishment, month.isoformat(), " ".join(sorted(profiles)))
        self._connection.execute("INSERT OR REPLACE INTO small_profile VALUES (?, ?, ?)", values)

    def has_counted(self, establishment: int) -> bool:
        """Whether anything was counted to which small profiles matter."""
        query = "SELECT 1 FROM period WHERE establishment = ? AND family IN ('web', 'software', 'people') LIMIT 1"
        return self._connection.execute(query, (establishment,)).fetchone() is not None


def standing(records: Iterable[Record]) -> dict[tuple[date, str], date]:
    """The newest counted date of each school year and file."""
    found: dict[tuple[date, str], date] = {}
    for record in records:
        if record.counted:
            day = date.fromisoformat(record.day)
            key = school_year_start(day), record.name
            found[key] = max(found.get(key, day), day)
    return found
