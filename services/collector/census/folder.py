"""The census folder: dated folders of files, which of them stands for its school year, and where they go once read."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from contracts.periods import school_year_start
from services.collector.census.faults import FileFault, NotPutAwayError, RefusedFileError
from services.collector.census.layouts import LAYOUTS
from services.collector.census.reading import Census, count

if TYPE_CHECKING:
    from collections.abc import Iterable

FIRST_DAY = date(2010, 9, 1)
"""Nothing is shown before the school year 2010-2011."""
LARGEST_FILE = 16 * 1024 * 1024
"""Bytes; 5,000 pupils take half a million. Read whole, so that a file is one state of itself."""
_DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Afterwards = Literal["left", "archived", "deleted"]


class Stamp(NamedTuple):
    """By which an unchanged file is known: its size, and when it was last written (ns)."""

    size: int
    written: int


@dataclass(frozen=True)
class CensusFile:
    """One of the five files of one date; an agent that remembers (`day`, `name`, `stamp`) reads only what changed."""

    day: date
    name: str
    path: Path
    stamp: Stamp


@dataclass(frozen=True)
class Discovery:
    """Files to read, oldest first, and what was found that cannot be one."""

    files: tuple[CensusFile, ...]
    faults: tuple[FileFault, ...]


@dataclass(frozen=True)
class Reading:
    """The censuses that stand, one a school year and file, each with the file it came from; files refused on the way."""

    read: tuple[tuple[CensusFile, Census], ...]
    refused: tuple[tuple[CensusFile, FileFault], ...]


def discover(folder: Path, today: date) -> Discovery:
    """Look through `<YYYY-MM-DD>/*.csv`; `today` is the establishment's local date. Other folders are nobody's business."""
    files: list[CensusFile] = []
    faults: list[FileFault] = []
    try:
        dated = sorted(entry for entry in folder.iterdir() if _DATED.fullmatch(entry.name) and entry.is_dir())
    except OSError:
        return Discovery((), (FileFault("", "", "unreadable"),))
    for entry in dated:
        found = _look_into(entry, today)
        files.extend(each for each in found if isinstance(each, CensusFile))
        faults.extend(each for each in found if isinstance(each, FileFault))
    return Discovery(tuple(files), tuple(faults))


def _look_into(entry: Path, today: date) -> list[CensusFile | FileFault]:
    day = _date(entry.name)
    if day is None:
        return [FileFault(entry.name, "", "not_a_date")]
    if not FIRST_DAY <= day <= today:
        return [FileFault(entry.name, "", "future" if day > today else "too_old")]
    try:
        names = {
            each: each.stem.lower() for each in entry.iterdir() if each.suffix.lower() == ".csv" and each.is_file()
        }
        known = [CensusFile(day, name, path, _stamp(path)) for path, name in names.items() if name in LAYOUTS]
    except OSError:
        return [FileFault(entry.name, "", "unreadable")]
    known.sort(key=lambda file: (file.name, file.stamp.written, file.path))
    strange = [FileFault(entry.name, "", "unknown_file")] if len(known) < len(names) else []
    return [*known, *strange]


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return Stamp(status.st_size, status.st_mtime_ns)


def read(file: CensusFile) -> Census:
    """Read one file, close it and count it; `RefusedFileError` when it cannot count."""
    layout = LAYOUTS[file.name]
    try:
        with file.path.open("rb") as opened:
            content = opened.read(LARGEST_FILE + 1)
    except OSError:
        raise RefusedFileError(FileFault(file.day.isoformat(), layout.file, "unreadable")) from None
    if len(content) > LARGEST_FILE:
        raise RefusedFileError(FileFault(file.day.isoformat(), layout.file, "too_big"))
    return count(layout, file.day, content)


def read_newest(files: Iterable[CensusFile]) -> Reading:
    """Of each school year and file the newest date that can count; older ones are not even opened."""
    candidates: defaultdict[tuple[date, str], list[CensusFile]] = defaultdict(list)
    for file in files:
        candidates[school_year_start(file.day), file.name].append(file)
    done: list[tuple[CensusFile, Census]] = []
    refused: list[tuple[CensusFile, FileFault]] = []
    for same in candidates.values():
        for file in sorted(same, key=lambda each: (each.day, each.stamp.written), reverse=True):
            try:
                done.append((file, read(file)))
            except RefusedFileError as error:
                refused.append((file, error.fault))
                continue
            break
    return Reading(tuple(done), tuple(refused))


def put_away(file: CensusFile, afterwards: Afterwards, archive: Path) -> bool:
    """Leave, archive or delete a file that was read; whether it is gone from its place. `NotPutAwayError` when it should be.

    A file written again since it was found stays: it has not been read yet. `archive` is on the file system of the census
    folder, so that a move is one rename; under it files keep their date, and a second of the same name takes a number.
    """
    if afterwards == "left":
        return False
    try:
        if _stamp(file.path) != file.stamp:
            return False
        if afterwards == "deleted":
            file.path.unlink()
        else:
            place = archive / file.day.isoformat()
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.path.rename(_free_name(place / file.path.name))
    except OSError as error:
        raise NotPutAwayError(f"census {file.day}, {LAYOUTS[file.name].file}: {error.strerror}") from None
    return True


def _free_name(wanted: Path) -> Path:
    """One agent serves a folder, so that nobody takes the name meanwhile."""
    name, number = wanted, 1
    while name.exists():
        number += 1
        name = wanted.with_name(f"{wanted.stem}.{number}{wanted.suffix}")
    return name
