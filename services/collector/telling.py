"""Which local days a source's files still tell of, before they are counted again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from services.collector import files
from services.collector.errors import UnreadableSourceError
from services.collector.files import Content
from services.collector.local_calendar import QUARTER, day_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from services.collector.files import InstantOf, KnownHead


class Telling(NamedTuple):
    """`days`: those of which all lines are there, as far as one can tell; `gone`: known files that are gone or end earlier."""

    days: set[date]
    gone: list[int]


class _Told(NamedTuple):
    file: int | None
    whole: bool
    days: list[date]


def telling(
    paths: Sequence[Path], known: Sequence[KnownHead], positions: dict[int, int], zone: ZoneInfo, instant_of: InstantOf
) -> Telling:
    """Read `paths` as far as they were read before, or whole where they are new.

    Of a day whose lines were spread over a file that is gone and one that is left nothing says so. The first day that is left once
    a file is gone, and the last one of a file that ends earlier than it did, are taken for such days.
    """
    every = [each for path in paths if path.is_file() for each in _told(path, known, positions, zone, instant_of)]
    whole = {each.file for each in every if each.whole}
    gone = sorted(file for file, position in positions.items() if position and file not in whole)
    days = {day for each in every for day in each.days}
    if gone:
        fresh = {day for each in every if each.file is None for day in each.days}
        days -= {min(days, default=None)} - fresh
        days -= {each.days[-1] for each in every if each.days and each.file in gone} - fresh
    return Telling(days, gone)


def _told(
    path: Path, known: Sequence[KnownHead], positions: dict[int, int], zone: ZoneInfo, instant_of: InstantOf
) -> Iterator[_Told]:
    try:
        file = files.recognise(files.head_of(path), known)
    except UnreadableSourceError:
        return
    limit = math.inf if file is None else positions.get(file, 0)
    quarters: dict[float, None] = {}
    end = 0
    try:
        with Content(path, limit) as content:
            for stretch in files.stretches(content, 0, text=False):
                found = (instant_of(line) for line in stretch.lines)
                quarters.update(dict.fromkeys(at // QUARTER for at in found if at is not None))
                end = stretch.end
    except UnreadableSourceError:
        pass
    days = list(dict.fromkeys(day_of(quarter * QUARTER, zone) for quarter in quarters))
    yield _Told(file, file is not None and end >= limit, days)
