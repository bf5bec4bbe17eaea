"""How these tests read a log: one establishment, one file, a log that ends."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from services.collector.access_log import AccessLog, Connection, Establishment, Fact, SetAside

UAI = "0750001U"
HOST = "pronote.college.example"
SECRET = b"a secret of at least sixteen bytes"
START = datetime(2026, 11, 20, 7, 12, 31, tzinfo=UTC)
NOW = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)


def at(seconds: float = 0, minutes: float = 0, hours: float = 0) -> datetime:
    """An instant of the story, from its start."""
    return START + timedelta(seconds=seconds, minutes=minutes, hours=hours)


def access_log(*, cas: bool = True, host_first: bool = False, state: bytes | None = None) -> AccessLog:
    return AccessLog([Establishment(UAI, (HOST,), cas)], SECRET, host_first=host_first, state=state)


def read(lines: list[bytes], log: AccessLog | None = None, *, file: str = "a", now: datetime = NOW) -> list[Fact]:
    """Read a log to its end, `--until-idle`."""
    log = log or access_log()
    return [*log.read(lines, file=file, now=now.timestamp()), *log.flush()]


def connections(facts: list[Fact]) -> list[tuple[datetime, str, str, str]]:
    """Instant, profile, channel and access of the connections, in the order in which they were counted."""
    return [
        (datetime.fromtimestamp(fact.at, UTC), fact.profile, fact.channel, fact.access)
        for fact in facts
        if isinstance(fact, Connection)
    ]


def reasons(facts: list[Fact]) -> dict[str, int]:
    """How many of each named counter."""
    return dict(Counter(fact.reason for fact in facts if isinstance(fact, SetAside)))


def multiset(facts: list[Fact]) -> Counter[str]:
    return Counter(map(repr, facts))
