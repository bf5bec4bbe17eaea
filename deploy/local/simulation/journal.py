"""The journal of one establishment: files of a month at most, that only ever grow, and go on where they stopped.

Files are named by the first local day they hold, so that they sort by age. The newest is plain and grows; a history file
(`history.py`) is whole from the start. What was written of a day is always the beginning of what `day_of` draws for it.
"""

from __future__ import annotations

import mmap
from datetime import date, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from contracts.periods import local_midnight, month_start, school_year_start
from deploy.local.simulation.traffic import HEARTBEAT, day_of

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from deploy.local.simulation.territory import Establishment
    from deploy.local.simulation.traffic import Day

OPENING = "journal-0-opening.ndjson"
"""Sorts before every dated file."""


class Journal:
    """Writes what happens in one establishment, up to an instant that only moves forward."""

    def __init__(self, folder: Path, establishment: Establishment, since: date, seed: int) -> None:
        """`folder` is the establishment's own; `since` its first day in plain files, the days before are history."""
        self.folder = folder
        self.establishment = establishment
        self._since = since
        self._seed = seed
        self._day: Day | None = None
        self._written = 0

    def open(self, today: date) -> None:
        """Write the opening line, once.

        An agent flags a report as cut when the first line it ever read lies late in the report's period. The eight weeks
        come first here and older months stream in behind, so the first file of all says that the journal began with the previous
        school year; hours without heartbeats are not observed all the same until their lines are there. The field `export`,
        which agents ignore, keeps these first bytes apart from those of every other file: agents know files by them.
        """
        path = self.folder / OPENING
        if path.exists():
            return
        start = max(previous_school_year(today), self.establishment.joined or date.min)
        line = day_of(self.establishment, start, self._seed).lines[0].rstrip()
        draft = self.folder / f".{OPENING}"
        draft.write_text(f'{line[:-1]},"export":"simulation {self.establishment.uai}"}}\n', encoding="utf-8")
        draft.replace(path)

    def advance(self, to: datetime) -> int:
        """Append what has happened since the last call or the last run, up to `to` included; returns how many lines."""
        day = self._day or self._resume()
        added = 0
        while True:
            happened = day.until(to)
            added += self._append(day, happened)
            if to < day.end:
                return added
            day = self._turn_to(day.date + timedelta(days=1), 0)

    def _append(self, day: Day, happened: int) -> int:
        lines = day.lines[self._written : happened]
        if lines:
            with self._file_of(day.date).open("ab") as file:
                file.write("".join(lines).encode())
            self._written = happened
        return len(lines)

    def _turn_to(self, day: date, written: int) -> Day:
        self._day = day_of(self.establishment, day, self._seed)
        self._written = written
        return self._day

    def _file_of(self, day: date) -> Path:
        return self.folder / f"journal-{max(self._since, month_start(day))}.ndjson"

    def _resume(self) -> Day:
        """The day at which the files stop, after the repair of a line torn by a kill or a full disk."""
        files = sorted(self.folder.glob("journal-[1-9]*.ndjson"))
        if not files:
            return self._turn_to(self._since, 0)
        newest = files[-1]
        repair(newest)
        if not newest.stat().st_size:
            return self._turn_to(date.fromisoformat(newest.stem.removeprefix("journal-")), 0)
        return self._turn_to(*_position(newest, self.establishment.zone))


def previous_school_year(today: date) -> date:
    """1 September of the school year before that of `today`: agents set aside what is older."""
    start = school_year_start(today)
    return start.replace(year=start.year - 1)


def repair(path: Path) -> None:
    """Cut a torn last line off, back to the last newline."""
    with path.open("r+b") as file:
        if size := path.stat().st_size:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                whole = data.rfind(b"\n") + 1
            if whole < size:
                file.truncate(whole)


def _position(path: Path, zone: str) -> tuple[date, int]:
    """Last day of a file of whole lines, and how many lines of it are there: each day begins with its midnight heartbeat."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        last = data[data.rfind(b"\n", 0, len(data) - 1) + 1 :].decode()
        day = date.fromisoformat(last.removeprefix('{"at":"')[:10])
        return day, data[data.rfind(_midnight(day, zone)) :].count(b"\n")


def _midnight(day: date, zone: str) -> bytes:
    local = local_midnight(day, zone).astimezone(ZoneInfo(zone))
    return f'{{"at":"{local.isoformat()}","kind":"{HEARTBEAT}'.encode()
