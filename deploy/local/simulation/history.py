"""What lies before the first eight weeks: one compressed file per establishment and school year, the newest first.

A file is written under a name that no agent's glob matches, then renamed: agents only ever see it whole, and so count a school
year's people in one pass, before the set of a year that is over is dropped. A run that was stopped goes on with the files that
are missing.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from contracts.periods import school_year_start
from deploy.local.simulation.journal import previous_school_year
from deploy.local.simulation.traffic import day_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from deploy.local.simulation.territory import Establishment


@dataclass(frozen=True)
class Span:
    """Local days from `first` to `end`, not included, all of one school year."""

    first: date
    end: date

    @property
    def school_year(self) -> str:
        """As it is written: 2025-2026."""
        year = school_year_start(self.first).year
        return f"{year}-{year + 1}"

    @property
    def file_name(self) -> str:
        return f"journal-{self.first}.ndjson.gz"

    def days(self) -> Iterator[date]:
        return (self.first + timedelta(days=place) for place in range((self.end - self.first).days))


def spans(since: date, today: date) -> list[Span]:
    """Parts of school years from just before `since` back to the start of the previous school year, newest first."""
    oldest = previous_school_year(today)
    found = []
    end = since
    while end > oldest:
        first = max(oldest, school_year_start(end - timedelta(days=1)))
        found.append(Span(first, end))
        end = first
    return found


def write_span(folder: Path, establishment: Establishment, span: Span, seed: int) -> bool:
    """Write one span of one establishment unless it is there or nothing was written in it; returns whether it was missing."""
    path = folder / span.file_name
    if path.exists() or not any(map(establishment.writes_on, span.days())):
        return False
    draft = folder / f".{span.file_name}"
    with draft.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as file:
        for day in span.days():
            file.write("".join(day_of(establishment, day, seed).lines).encode())
    draft.replace(path)
    return True
