"""The census as a source of an agent: each file is read once, counted where it lies, and what it says replaces what was said before."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from contracts.periods import next_start, school_year_start
from services.collector.census.accounts import small_profiles
from services.collector.census.faults import NotPutAwayError
from services.collector.census.folder import discover, put_away, read_newest
from services.collector.census.records import WHOLE_FOLDER, Story, standing
from services.collector.local_calendar import Period, oldest_day

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from services.collector.census.folder import CensusFile, Discovery, Reading
    from services.collector.census.reading import Census
    from services.collector.census.records import Record
    from services.collector.config import EstablishmentSettings
    from services.collector.store import Store

ARCHIVE = "archived"
"""Folder of the census folder in which files lie that were read; it bears no date, so nobody reads there."""
ACCOUNTS = "comptes"


class CensusSource:
    """The census folder of one establishment; `problems` says which files could not be put away, `faults` what does not count.

    `tidy`: put files away once they are read. A mere look at the sources does not.
    """

    def __init__(self, establishment: EstablishmentSettings, number: int, store: Store, *, tidy: bool) -> None:
        self._establishment, self._number, self._store, self._tidy = establishment, number, store, tidy
        self.problems: list[str] = []
        self.faults: list[str] = []

    def turn(self, now: datetime, real_now: datetime) -> None:
        """Read what changed since the last time; `real_now` orders readings, `now` says which dates are still to come."""
        sources = self._establishment.sources
        if sources.census:
            today = now.astimezone(self._establishment.zone).date()
            found = discover(self._establishment.folder / sources.census, today)
            self._take(found, today, now.timestamp(), real_now.timestamp())
            self._put_away(found.files)

    def _take(self, found: Discovery, today: date, now: float, real_now: float) -> None:
        records = self._store.censuses.records(self._number)
        fresh = self._fresh(found.files, records)
        known_faults = tuple(each.story.refused for (_, file), each in records.items() if file == WHOLE_FOLDER)
        if fresh or known_faults != tuple(sorted(found.faults)):
            reading = read_newest(self._to_read(fresh, records.values()))
            with self._store.transaction():
                self._store.censuses.save_folder_faults(self._number, found.faults)
                self._pass_over(fresh)
                self._save(reading, today, now, real_now)
                self._learn_small_profiles(reading, records.values(), today)
            records = self._store.censuses.records(self._number)
        self.faults = list(_told(records.values()))

    def _fresh(self, files: Iterable[CensusFile], records: dict[tuple[str, str], Record]) -> list[CensusFile]:
        """Files that are granted and were not looked at since they were last written."""
        return [
            file
            for file in files
            if self._establishment.grants_family(f"census.{file.name}", file.day)
            and not _is_known(file, records.get((file.day.isoformat(), file.path.name)))
        ]

    @staticmethod
    def _to_read(fresh: Iterable[CensusFile], records: Iterable[Record]) -> list[CensusFile]:
        """An older census that comes later does not replace; one of the same date does."""
        stands = standing(records)
        return [file for file in fresh if file.day >= stands.get((school_year_start(file.day), file.name), file.day)]

    def _pass_over(self, fresh: Iterable[CensusFile]) -> None:
        """All are looked at; those that are read say more below."""
        for file in fresh:
            self._store.censuses.save_uncounted(self._number, file, Story())

    def _save(self, reading: Reading, today: date, now: float, real_now: float) -> None:
        known = self._store.memory.knowledge().standing(self._establishment.uai)
        restatement = max(int(real_now), self._store.restatements.highest(self._number) + 1, known + 1)
        for file, fault in reading.refused:
            self._store.censuses.save_uncounted(self._number, file, Story(fault))
        for file, census in reading.read:
            story = Story(None, census.faults_by_reason, census.faults)
            self._store.censuses.save_counted(self._number, file, census.rows, story)
            if census.day >= oldest_day(today):  # older ones the platform refuses: they come by `agent import`
                period = Period(census.family, "day", census.day.isoformat())
                self._store.restatements.replace(self._number, period, census.counts, now=now, restatement=restatement)

    def _learn_small_profiles(self, reading: Reading, records: Iterable[Record], today: date) -> None:
        """The newest accounts of all years decide (rules.md 5).

        The first ones do so from the beginning; newer ones, or the first that come when months were counted without, from
        the next month on: a month that is being counted goes on as it began.
        """
        read = [(file.day, census) for file, census in reading.read if file.name == ACCOUNTS]
        before = [day for (_, name), day in standing(records).items() if name == ACCOUNTS]
        newest: Census | None = max(read, key=lambda each: each[0])[1] if read else None
        if newest is None or newest.day < max(before, default=newest.day):
            return
        begun = bool(before) or self._store.censuses.has_counted(self._number)
        month = next_start("month", today.replace(day=1)) if begun else today.min
        self._store.censuses.save_small_profiles(self._number, month, small_profiles(newest))

    def _put_away(self, files: Iterable[CensusFile]) -> None:
        """After the commit; a file that stayed because the agent stopped in between goes at the next turn."""
        sources, self.problems = self._establishment.sources, []
        if not self._tidy or sources.census_afterwards == "left":
            return
        records = self._store.censuses.records(self._number)
        archive = self._establishment.folder / sources.census / ARCHIVE
        for file in files:
            record = records.get((file.day.isoformat(), file.path.name))
            if record and record.counted and record.story.refused is None and _is_known(file, record):
                try:
                    put_away(file, sources.census_afterwards, archive)
                except NotPutAwayError as error:
                    self.problems.append(str(error))


def _is_known(file: CensusFile, record: Record | None) -> bool:
    return record is not None and record.stamp == file.stamp


def _told(records: Iterable[Record]) -> Iterable[str]:
    for record in records:
        if record.story.refused:
            yield str(record.story.refused)
        yield from map(str, record.story.faults)


def refused_files(records: Iterable[Record]) -> list[str]:
    """Files and folders that do not count, and why."""
    return [str(record.story.refused) for record in records if record.story.refused]


def summary(records: Iterable[Record]) -> dict[str, Any]:
    """What stands and what is wrong, for `agent check` and `agent status`: files, lines and reasons, never what a file says."""
    every = list(records)
    reasons: Counter[str] = Counter()
    for record in every:
        reasons.update(record.story.reasons)
        if record.story.refused:
            reasons[record.story.refused.reason] += 1
    faults = [fault for record in every for fault in (record.story.refused, *record.story.faults) if fault]
    return {
        "files": [{"date": each.day, "file": f"{each.name}.csv", "rows": each.rows} for each in every if each.counted],
        "refused": dict(sorted(reasons.items())),
        "faults": [
            {"date": each.day, "file": each.file, "line": each.line, "reason": each.reason, "column": each.column}
            for each in faults
        ],
    }
