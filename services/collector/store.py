"""The agent's state: one SQLite file, all its SQL. A store never commits by itself; the service opens the transactions."""

from __future__ import annotations

import secrets
import sqlite3
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from services.collector.access_log.open_sessions import OpenSessions
from services.collector.census.records import CensusRecords
from services.collector.errors import StateUnavailableError
from services.collector.files import KnownHead
from services.collector.knowledge import Memory
from services.collector.local_calendar import Period
from services.collector.people import DAY_PATIENCE, LONG_PATIENCE, StoredSet
from services.collector.problems import Problems
from services.collector.restatements import Restatements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from contracts.catalogue import Grain
    from services.collector.counting import Gathered
    from services.collector.observation import Span
    from services.collector.people import SetKey

SCHEMA_VERSION = 2
_UPGRADES = {1: "ALTER TABLE dropped_day ADD COLUMN counted INTEGER NOT NULL DEFAULT 1"}
"""What brings a state of a version to the next one."""
_NO_CENSUS = "family NOT LIKE 'census.%'"
"""A census stands until a newer one does: no day of it is dropped, nothing of it restated, and its month is not counted in."""

_COUNTED = "family NOT LIKE 'observed.%' AND family <> 'diagnostics'"
"""What lines say; the others tell of the reading itself."""

_SEE = """INSERT INTO person SELECT ?, value, ? FROM json_each(?) WHERE true
          ON CONFLICT DO UPDATE SET mask = mask | excluded.mask"""
"""Many people in one statement: a third of the time of a row each."""


class SourceState(NamedTuple):
    """Where a source stands: first and newest accepted instants, when its end was last stood at, until when that was counted."""

    earliest: float | None = None
    newest: float | None = None
    stood: float | None = None
    observed: float | None = None


class DuePeriod(NamedTuple):
    """A period whose state changed since Kafka last acknowledged it."""

    id: int
    family: str
    grain: Grain
    start: str
    restatement: int
    revision: int
    published: int


class Store:
    """One connection, used by one thread at a time."""

    secret = b""

    def __init__(self, path: Path | str, *, read_only: bool = False) -> None:
        """`read_only`: the state as it stands, while its agent may be running."""
        if read_only:
            self._connection = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)
            self._share(self._connection)
            return
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self._share(self._connection)
        try:
            self._prepare()
        except sqlite3.DatabaseError:
            self._connection.close()
            raise

    def _share(self, connection: sqlite3.Connection) -> None:
        self.censuses, self.problems = CensusRecords(connection), Problems(connection)
        self.open_sessions, self.memory = OpenSessions(connection), Memory(connection)
        self.restatements = Restatements(connection)

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        run("PRAGMA secure_delete = ON")  # what is purged of people is overwritten, not only forgotten
        run("PRAGMA cache_size = -4096")
        version = run("PRAGMA user_version").fetchone()[0]
        for older in range(version, SCHEMA_VERSION) if version else ():
            run(_UPGRADES[older])
        self._connection.executescript((files(__package__) / "schema.sql").read_text("utf-8"))
        run(f"PRAGMA user_version = {SCHEMA_VERSION}")
        run("INSERT OR IGNORE INTO meta VALUES ('secret', ?)", (secrets.token_bytes(32),))
        self.secret = run("SELECT value FROM meta WHERE name = 'secret'").fetchone()[0]

    def quick_check(self) -> str | None:
        """What SQLite finds wrong with the file; None when it is sound."""
        found = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        return None if found == "ok" else str(found)

    def close(self) -> None:
        """Close the file; what was not committed is forgotten."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; `StateUnavailableError` when the disk does not take it."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._roll_back()
            raise StateUnavailableError(f"the state cannot be written: {error}") from error
        except BaseException:
            self._roll_back()
            raise

    def flush(self) -> None:
        """Have on the disk what was committed, against a power cut too: else the last commits may be those of before."""
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError as error:
            raise StateUnavailableError(f"the state cannot be written: {error}") from error

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    # --- establishments and sources

    def establishment(self, uai: str) -> int:
        """Row of an establishment, made when it is new (inside a transaction)."""
        self._connection.execute("INSERT OR IGNORE INTO establishment (uai) VALUES (?)", (uai,))
        return int(self._connection.execute("SELECT id FROM establishment WHERE uai = ?", (uai,)).fetchone()[0])

    def find_establishment(self, uai: str) -> int | None:
        """Row of an establishment, None while nothing of it was read."""
        row = self._connection.execute("SELECT id FROM establishment WHERE uai = ?", (uai,)).fetchone()
        return int(row[0]) if row else None

    def acknowledged(self, establishment: int) -> float | None:
        """Real instant of Kafka's last acknowledgement."""
        query = "SELECT acknowledged FROM establishment WHERE id = ?"
        row: tuple[float | None] = self._connection.execute(query, (establishment,)).fetchone()
        return row[0]

    def source(self, establishment: int, name: str) -> SourceState:
        query = "SELECT earliest, newest, stood, observed FROM source WHERE establishment = ? AND name = ?"
        row = self._connection.execute(query, (establishment, name)).fetchone()
        return SourceState(*row) if row else SourceState()

    def save_source(self, establishment: int, name: str, state: SourceState) -> None:
        query = "INSERT OR REPLACE INTO source VALUES (?, ?, ?, ?, ?, ?)"
        self._connection.execute(query, (establishment, name, *state))

    def heartbeats(self, establishment: int, source: str) -> list[Span]:
        query = "SELECT first, last FROM heartbeat WHERE establishment = ? AND source = ? ORDER BY first"
        return self._connection.execute(query, (establishment, source)).fetchall()

    def save_heartbeats(self, establishment: int, source: str, spans: Iterable[Span]) -> None:
        query = "DELETE FROM heartbeat WHERE establishment = ? AND source = ?"
        self._connection.execute(query, (establishment, source))
        rows = ((establishment, source, first, last) for first, last in spans)
        self._connection.executemany("INSERT INTO heartbeat VALUES (?, ?, ?, ?)", rows)

    # --- files

    def heads(self, establishment: int, source: str) -> list[KnownHead]:
        """How the known files of a source begin."""
        query = """SELECT head.file, length, digest, current FROM head JOIN file ON file.id = head.file
                   WHERE establishment = ? AND source = ? ORDER BY position DESC"""
        rows = self._connection.execute(query, (establishment, source))
        return [KnownHead(file, length, digest, bool(current)) for file, length, digest, current in rows]

    def position(self, file: int) -> int:
        return int(self._connection.execute("SELECT position FROM file WHERE id = ?", (file,)).fetchone()[0])

    def positions(self, establishment: int) -> list[tuple[str, int, int]]:
        """(source, file, position) of every known file."""
        query = "SELECT source, id, position FROM file WHERE establishment = ? ORDER BY id"
        return self._connection.execute(query, (establishment,)).fetchall()

    def add_file(self, establishment: int, source: str) -> int:
        query = "INSERT INTO file (establishment, source, position) VALUES (?, ?, 0)"
        return int(self._connection.execute(query, (establishment, source)).lastrowid or 0)

    def save_file(self, file: int, position: int, length: int, digest: bytes) -> None:
        """Move a file's position on, and remember how it begins now."""
        run = self._connection.execute
        run("UPDATE file SET position = max(position, ?) WHERE id = ?", (position, file))
        run("UPDATE head SET current = 0 WHERE file = ? AND length < ?", (file, length))
        run("INSERT OR IGNORE INTO head VALUES (?, ?, ?, 1)", (file, length, digest))

    # --- counts

    def add_gathered(self, establishment: int, gathered: Gathered, *, now: float, restatement: int) -> None:
        """Everything that a batch of lines adds."""
        for period, counts in gathered.increments.items():
            self.add(establishment, period, counts, now=now, restatement=restatement)
        for key, closes, masks in gathered.people:
            self.save_people(establishment, key, closes, masks, now=now)

    def add(
        self, establishment: int, period: Period, counts: Mapping[int, int], *, now: float, restatement: int
    ) -> None:
        """Add to a period's cells; it is then to be published."""
        number = self._touch(establishment, period, now, restatement)
        rows = ((number, code, count) for code, count in counts.items())
        query = "INSERT INTO cell VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"
        self._connection.executemany(query, rows)

    def raise_to(self, establishment: int, period: Period, counts: Mapping[int, int], *, now: float) -> None:
        """Raise a period's cells to at least these counts; untouched when none grows."""
        found = self.cells_of(establishment, period)
        grown = {code: count for code, count in counts.items() if count > found.get(code, 0)}
        if grown:
            number = self._touch(establishment, period, now, 0)
            rows = ((number, code, count) for code, count in grown.items())
            query = "INSERT INTO cell VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = excluded.count"
            self._connection.executemany(query, rows)

    def _touch(self, establishment: int, period: Period, now: float, restatement: int) -> int:
        query = """INSERT INTO period (establishment, family, grain, start, held, changed, restatement)
                   VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET revision = revision + 1, changed = excluded.changed
                   RETURNING id"""
        key = (establishment, period.family, period.grain, period.start, period.held)
        return int(self._connection.execute(query, (*key, now, restatement)).fetchone()[0])

    def cells_of(self, establishment: int, period: Period) -> dict[int, int]:
        query = """SELECT code, count FROM cell JOIN period ON period.id = cell.period
                   WHERE establishment = ? AND family = ? AND grain = ? AND start = ? AND held = ?"""
        key = (establishment, period.family, period.grain, period.start, period.held)
        return dict(self._connection.execute(query, key))

    def periods(self, establishment: int, family: str | None = None) -> list[Period]:
        """Every period counted in, of one family or of all."""
        query = """SELECT family, grain, start, held FROM period WHERE establishment = ? AND (?2 IS NULL OR family = ?2)
                   ORDER BY family, grain, start"""
        rows = self._connection.execute(query, (establishment, family))
        return [Period(family, grain, start, bool(held)) for family, grain, start, held in rows]

    def take_held(self, establishment: int, month: str) -> dict[Period, dict[int, int]]:
        """What small profiles add to a month, by the period it goes to; it is held no more."""
        found = {}
        for period in self.periods(establishment):
            if period.held and period.start == month:
                found[replace(period, held=False)] = self.cells_of(establishment, period)
                self._forget(establishment, "held = 1 AND family = ? AND start = ?", period.family, month)
        return found

    def held_months(self, establishment: int) -> list[str]:
        query = """SELECT start FROM period WHERE establishment = ?1 AND held = 1
                   UNION SELECT start FROM people_set WHERE establishment = ?1 AND grain = 'held'"""
        return [start for (start,) in self._connection.execute(query, (establishment,))]

    def drop_days(self, establishment: int, unchanged_since: float) -> int:
        """Forget the days that did not change since, and that Kafka has; their lines are too old from now on."""
        query = f"""SELECT substr(start, 1, 10) AS day, max({_COUNTED}) FROM period WHERE establishment = ? AND grain IN ('hour', 'day')
                   AND {_NO_CENSUS} GROUP BY day HAVING max(changed) <= ? AND min(published >= revision)"""  # noqa: S608 - a constant
        days = self._connection.execute(query, (establishment, unchanged_since)).fetchall()
        for day, counted in days:
            self._forget(establishment, f"grain IN ('hour', 'day') AND {_NO_CENSUS} AND substr(start, 1, 10) = ?", day)
            self._connection.execute(
                "INSERT OR IGNORE INTO dropped_day VALUES (?, ?, ?)", (establishment, day, counted)
            )
        return len(days)

    def _forget(self, establishment: int, which: str, *values: str) -> None:
        periods = f"SELECT id FROM period WHERE establishment = ? AND {which}"  # noqa: S608 - `which` is one of the above
        self._connection.execute(f"DELETE FROM cell WHERE period IN ({periods})", (establishment, *values))  # noqa: S608
        self._connection.execute(f"DELETE FROM period WHERE id IN ({periods})", (establishment, *values))  # noqa: S608

    def dropped_days(self, establishment: int) -> set[date]:
        query = "SELECT day FROM dropped_day WHERE establishment = ?"
        return {date.fromisoformat(day) for (day,) in self._connection.execute(query, (establishment,))}

    def small_profiles(self, establishment: int) -> dict[date, tuple[str, ...]]:
        """Small profiles by the first month to which a census applies."""
        query = "SELECT month, profiles FROM small_profile WHERE establishment = ?"
        rows = self._connection.execute(query, (establishment,))
        return {date.fromisoformat(month): tuple(profiles.split()) for month, profiles in rows}

    def months(self, establishment: int) -> set[str]:
        """First days of the months in which anything was counted or observed."""
        query = f"""SELECT DISTINCT substr(start, 1, 7) || '-01' FROM period
                    WHERE establishment = ? AND grain <> 'school_year' AND {_NO_CENSUS}"""  # noqa: S608 - a constant
        return {month for (month,) in self._connection.execute(query, (establishment,))}

    # --- publication

    def due(self, establishment: int) -> list[DuePeriod]:
        """Periods to publish, oldest first; held ones never are."""
        query = """SELECT id, family, grain, start, restatement, revision, published FROM period
                   WHERE establishment = ? AND published < revision AND held = 0 ORDER BY start, grain, family"""
        return [DuePeriod(*row) for row in self._connection.execute(query, (establishment,))]

    def cells(self, period: int) -> list[tuple[int, int]]:
        """Cells of a period in ascending order of code."""
        query = "SELECT code, count FROM cell WHERE period = ? ORDER BY code"
        return self._connection.execute(query, (period,)).fetchall()

    def mark_published(self, establishment: int, sent: Iterable[DuePeriod], *, real_now: float) -> None:
        """What Kafka acknowledged; a period that changed meanwhile stays marked, its revision being greater."""
        rows = [(period.revision, period.id) for period in sent]
        self._connection.executemany("UPDATE period SET published = max(published, ?) WHERE id = ?", rows)
        self._connection.execute("UPDATE establishment SET acknowledged = ? WHERE id = ?", (real_now, establishment))

    def waiting(self) -> int:
        """Periods to publish, of all establishments."""
        query = "SELECT count(*) FROM period WHERE published < revision AND held = 0"
        return int(self._connection.execute(query).fetchone()[0])

    # --- people

    def stored_set(self, establishment: int, key: SetKey) -> StoredSet | None:
        """A set that was entered in before, and how to ask it about a digest."""
        query = "SELECT id, closes FROM people_set WHERE establishment = ? AND profile = ? AND grain = ? AND start = ?"
        run = self._connection.execute
        found = run(query, (establishment, key.profile, key.grain, key.start.isoformat())).fetchone()
        if found is None:
            return None

        def known(digest: int) -> int:
            row = run("SELECT mask FROM person WHERE people_set = ? AND digest = ?", (found[0], digest)).fetchone()
            return int(row[0]) if row else 0

        return StoredSet(found[1], known)

    def save_people(
        self, establishment: int, key: SetKey, closes: float, masks: Mapping[int, int], *, now: float
    ) -> None:
        """Write masks that grew; a set that was opened late is kept for its patience from `now` on."""
        query = """INSERT INTO people_set (establishment, profile, grain, start, closes, kept_until)
                   VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET profile = profile RETURNING id"""
        patience = DAY_PATIENCE if key.grain == "day" else LONG_PATIENCE
        values = (establishment, key.profile, key.grain, key.start.isoformat(), closes, now + patience)
        number = self._connection.execute(query, values).fetchone()[0]
        for mask, digests in _by_mask(masks).items():
            self._connection.execute(_SEE, (number, mask, msgspec.json.encode(sorted(digests)).decode()))

    def sets(self, establishment: int, grain: str) -> list[tuple[int, str, date]]:
        """(set, profile, start) of the sets of one grain that hold people."""
        query = """SELECT id, profile, start FROM people_set WHERE establishment = ? AND grain = ? AND NOT purged
                   ORDER BY start, profile"""
        rows = self._connection.execute(query, (establishment, grain))
        return [(number, profile, date.fromisoformat(start)) for number, profile, start in rows]

    def masks(self, people_set: int) -> dict[int, int]:
        return dict(self._connection.execute("SELECT digest, mask FROM person WHERE people_set = ?", (people_set,)))

    def purge_sets(self, establishment: int, newest: float, now: float) -> bool:
        """Forget the people of sets that the source's time, or for those opened late the clock, has passed; whether there were any.

        That they were there is remembered: such a set never opens again. The journal of the file still holds them until `flush`.
        """
        which = """establishment = ? AND NOT purged AND grain <> 'held'
                   AND (closes < ? OR (closes = 9e999 AND kept_until < ?))"""
        key = (establishment, newest, now)
        sets = f"SELECT id FROM people_set WHERE {which}"  # noqa: S608 - a constant
        purged = self._connection.execute(f"DELETE FROM person WHERE people_set IN ({sets})", key).rowcount  # noqa: S608
        self._connection.execute(f"UPDATE people_set SET purged = 1, closes = -9e999 WHERE {which}", key)  # noqa: S608
        return purged > 0

    def forget_before(self, establishment: int, oldest: date) -> None:
        """What is remembered of days whose lines are too old anyway."""
        key = (establishment, oldest.isoformat())
        self._connection.execute("DELETE FROM people_set WHERE establishment = ? AND purged AND start < ?", key)
        self._connection.execute("DELETE FROM dropped_day WHERE establishment = ? AND day < ?", key)

    def forget_set(self, people_set: int) -> None:
        self._connection.execute("DELETE FROM person WHERE people_set = ?", (people_set,))
        self._connection.execute("DELETE FROM people_set WHERE id = ?", (people_set,))


def _by_mask(masks: Mapping[int, int]) -> dict[int, list[int]]:
    found = defaultdict(list)
    for digest, mask in masks.items():
        found[mask].append(digest)
    return found
