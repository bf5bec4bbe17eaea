"""The journal source: which lines count, which are set aside and why (rules.md 3)."""

from __future__ import annotations

import gzip
import heapq
import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.support.oracle.days import midnight, next_month, school_year

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from zoneinfo import ZoneInfo

PROFILES = ("eleve", "responsable", "accompagnant", "enseignant", "personnel")
MEASURES = {
    "scolarite": "quizzes quizzes_submitted documents web_links textbooks textbook_accesses_teachers textbook_accesses_pupils "
    "forums lesson_contents work_given work_online copies_handed_in copies_corrected marks evaluations_marked "
    "evaluations_competence evaluations_with_subject evaluations_with_key placements",
    "communications": "discussions messages messages_received informations polls printed_documents emails sms maileva_letters "
    "pdf_documents agenda_events locker_documents useful_links blog_posts",
    "travaux": "requests_maintenance requests_it requests_secretarial requests_order",
    "social": "absence_half_days lateness sanctions punishments incidents lesson_exclusions protective_measures",
}
THEME = {measure: theme for theme, measures in MEASURES.items() for measure in measures.split()}
LEVELS = {f"{level}EME{segpa}" for level in "6543" for segpa in ("", "-SEGPA")}
LEVELS |= {
    "2NDE",
    "1ERE",
    "TALE",
    "CAP",
    "BTS",
    "CPGE",
    "TPS",
    "PS",
    "MS",
    "GS",
    "CP",
    "CE1",
    "CE2",
    "CM1",
    "CM2",
    "ULIS",
}
LONGEST_LINE = 64 * 1024


@dataclass(frozen=True)
class Connection:
    """One accepted connection. `kept_by` says in which people's sets it could still be entered when it was read."""

    at: datetime
    day: date
    profile: str
    channel: str
    access: str
    who: str
    kept_by: frozenset[str]


@dataclass(frozen=True)
class Activity:
    at: datetime
    day: date
    theme: str
    measure: str
    level: str
    n: int


@dataclass
class Journal:
    connections: list[Connection] = field(default_factory=list)
    activities: list[Activity] = field(default_factory=list)
    heartbeats: list[datetime] = field(default_factory=list)
    set_aside: Counter[str] = field(default_factory=Counter)
    earliest: datetime | None = None
    source_time: datetime | None = None
    sets: dict[tuple[str, str, date], bool] = field(default_factory=dict)
    """People's sets that were opened, by profile, grain and first day; whether it was after their time."""


class SetAside(Exception):  # noqa: N818 -- a verdict, not an error
    """The line does not count; the argument is the reason."""


def read_journal(files: tuple[Path, ...], zone: ZoneInfo, now: datetime) -> Journal:
    journal = Journal()
    for line in _lines(files):
        if line.strip():
            _take(journal, line, zone, now)
    return journal


def _take(journal: Journal, line: bytes, zone: ZoneInfo, now: datetime) -> None:
    try:
        fact = decode(line, zone, now)
    except SetAside as reason:
        journal.set_aside[str(reason)] += 1
        return
    at = fact["at"]
    journal.earliest = min(journal.earliest or at, at)
    journal.source_time = max(journal.source_time or at, at)
    if fact["kind"] == "heartbeat":
        journal.heartbeats.append(at)
        return
    day = at.astimezone(zone).date()
    if fact["kind"] == "activity":
        theme = THEME[fact["measure"]]
        journal.activities.append(Activity(at, day, theme, fact["measure"], fact["level"], fact["n"]))
        return
    kept_by = sets_open(journal, fact["profile"], day, zone, journal.source_time)
    journal.connections.append(
        Connection(at, day, fact["profile"], fact["channel"], fact["access"], fact["who"], kept_by)
    )


def sets_open(journal: Journal, profile: str, day: date, zone: ZoneInfo, now: datetime) -> frozenset[str]:
    """The people's sets that a connection of this profile and day enters.

    They are kept for 7 days (day) or 31 (month, year) of the source's time after their end; then who comes late adds to
    connections and leaves people as they are. Doubt: "source's time" is the greatest accepted `at` so far of this journal, this
    line and heartbeats included, and the purge is immediate; a set of which no line had come before is not one that was
    purged, so it is opened late and takes its people as long as the reading lasts (history read after live lines).
    """
    starts = {"day": day, "month": day.replace(day=1), "school_year": school_year(day).first}
    ends = {
        "day": day + timedelta(days=1),
        "month": next_month(day),
        "school_year": school_year(day).last + timedelta(days=1),
    }
    found = set()
    for grain, start in starts.items():
        over = now - midnight(ends[grain], zone) > timedelta(days=7 if grain == "day" else 31)
        opened_late = journal.sets.setdefault((profile, grain, start), over)
        if opened_late or not over:
            found.add(grain)
    return frozenset(found)


def decode(line: bytes, zone: ZoneInfo, now: datetime) -> dict[str, Any]:
    """The checked fact of one line, or `SetAside`; reasons are tried in the order of the rule."""
    found = _object(line)
    at = _instant(found.get("at"))
    if at > now + timedelta(hours=24):
        raise SetAside("future")
    previous = school_year(now.astimezone(zone).date()).previous
    if at < midnight(previous.first, zone):
        raise SetAside("too_old")
    kind = found.get("kind")
    if kind == "heartbeat":
        return {"at": at, "kind": kind}
    if kind == "connection":
        return {"at": at, "kind": kind, **_connection(found)}
    if kind == "activity":
        return {"at": at, "kind": kind, **_activity(found)}
    raise SetAside("unknown_kind")


def _object(line: bytes) -> dict[str, Any]:
    if len(line) > LONGEST_LINE:
        raise SetAside("unreadable")
    try:
        found = json.loads(line.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise SetAside("unreadable") from None
    if not isinstance(found, dict):
        raise SetAside("unreadable")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _instant(at: object) -> datetime:
    """Doubt: an `at` that is absent, not text or not a date is `unreadable`; one without offset is `no_offset`."""
    try:
        instant = datetime.fromisoformat(at)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise SetAside("unreadable") from None
    if instant.tzinfo is None:
        raise SetAside("no_offset")
    return instant.astimezone(UTC)


def _connection(found: dict[str, Any]) -> dict[str, Any]:
    profile, who, channel, access = (found.get(name) for name in ("profile", "who", "channel", "access"))
    if profile not in PROFILES:
        raise SetAside("unknown_profile")
    if not isinstance(who, str) or not who:
        # Doubt: a `who` written as a number is not text; "compared as text, as it stands" could also mean str(12).
        raise SetAside("no_who")
    if channel not in ("web", "mobile", "software") or access not in ("direct", "ent", "unknown"):
        raise SetAside("unknown_channel_or_access")
    if channel == "software" and (profile not in ("enseignant", "personnel") or access == "ent"):
        raise SetAside("channel_not_for_profile")
    return {"profile": profile, "who": who, "channel": channel, "access": access}


def _activity(found: dict[str, Any]) -> dict[str, Any]:
    measure, level, n = found.get("measure"), found.get("level"), found.get("n", 1)
    if not isinstance(measure, str) or measure not in THEME:
        raise SetAside("unknown_measure")
    if type(n) is not int or not 1 <= n <= 1_000_000:
        raise SetAside("bad_n")
    return {"measure": measure, "level": level if isinstance(level, str) and level in LEVELS else "AUTRE", "n": n}


def _lines(files: tuple[Path, ...]) -> Iterator[bytes]:
    """Every line of every file, a file known by its beginning being read on, not again; several files abreast.

    The last line counts even without newline: the agent ran `--until-idle`.
    Doubt: "the source's time" of a source of several files that grow side by side is taken as that of its lines in the order
    of time, not of one file after the other, which would purge the sets of the second before it is read.
    """
    contents = sorted((_content(path) for path in files), key=_oldest)
    known: list[_Known] = []
    for content in contents:
        file = next((each for each in known if content.startswith(each.head)), None)
        if file is None:
            file = _Known()
            known.append(file)
        fresh = content[file.read :]
        if file.read == 0:
            fresh = fresh.removeprefix(b"\xef\xbb\xbf")
        file.read = max(file.read, len(content))
        file.head = max(file.head, content[:4096], key=len)
        file.lines += [line.removesuffix(b"\r") for line in fresh.split(b"\n")]
    timed = [list(_timed(file.lines)) for file in known]
    return (line for _, line in heapq.merge(*timed, key=lambda each: each[0]))


def _timed(lines: list[bytes]) -> Iterator[tuple[datetime, bytes]]:
    """Each line with the newest instant that its file has reached."""
    clock = datetime.min.replace(tzinfo=UTC)
    for line in lines:
        with suppress(SetAside):
            clock = max(clock, _instant(_object(line).get("at")))
        yield clock, line


@dataclass
class _Known:
    head: bytes = b"\x00never"
    read: int = 0
    lines: list[bytes] = field(default_factory=list)


def _content(path: Path) -> bytes:
    raw = path.read_bytes()
    return gzip.decompress(raw) if path.suffix == ".gz" else raw


def _oldest(content: bytes) -> tuple[datetime, int]:
    """Doubt: "oldest first" is decided by the first dated line, which a copy or a restore of the files cannot change.

    Of two files that begin alike the shorter comes first, so that a grown copy reads on.
    """
    for line in content.split(b"\n"):
        try:
            return _instant(_object(line.strip()).get("at")), len(content)
        except SetAside:
            continue
    return datetime.max.replace(tzinfo=UTC), len(content)
