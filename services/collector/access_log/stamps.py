"""Instants as access logs write them. Cached: a busy second is written thousands of times."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

_MONTHS = {name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_COMBINED_MINUTE = re.compile(rb"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d): ([+-])(\d\d)(\d\d)\] ")
_SECONDS = {b"%02d" % second: second for second in range(60)}
_COMBINED_LENGTH = 26
_W3C = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_W3C_LENGTH = 19
_JSON = re.compile(rb'"time_iso8601"\s*:\s*"([^"]{19,40})"')


def instant_of(line: bytes) -> int | None:
    """The UTC second a line says, whatever its format; None when it says none that is quickly found."""
    if line[:1] == b"{":
        found = _JSON.search(line)
        return of_iso(found[1]) if found else None
    if line[4:5] == b"-" and (at := of_w3c(line[:_W3C_LENGTH])) is not None:
        return at
    start = line.find(b"[") + 1
    return of_combined(line[start : start + _COMBINED_LENGTH]) if start else None


def of_combined(stamp: bytes) -> int | None:
    """`20/Nov/2026:08:12:31 +0100`."""
    return of_front(stamp + b"] ")


def of_front(ended: bytes) -> int | None:
    """`20/Nov/2026:08:12:31 +0100] `, the 28 bytes before a combined line's first quote. Each minute is worked out once."""
    second = _SECONDS.get(ended[18:20])
    minute = None if second is None else _minute(ended[:18] + ended[20:])
    return None if minute is None or second is None else minute + second


@lru_cache(maxsize=4096)
def _minute(stamp: bytes) -> int | None:
    found = _COMBINED_MINUTE.fullmatch(stamp)
    if not found:
        return None
    day, month, year, hour, minute, sign, hours, minutes = found.groups()
    ahead = timedelta(hours=int(hours), minutes=int(minutes))
    try:
        zone = timezone(-ahead if sign == b"-" else ahead)
        local = datetime(int(year), _MONTHS.get(month, 0), int(day), int(hour), int(minute), tzinfo=zone)
        return int(local.timestamp())
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=4096)
def of_iso(stamp: bytes) -> int | None:
    """`2026-11-20T08:12:31+01:00`; without offset it is no instant."""
    try:
        at = datetime.fromisoformat(stamp.decode("ascii"))
        return int(at.timestamp()) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=4096)
def of_w3c(stamp: bytes) -> int | None:
    """`2026-11-20 07:12:31`, in UTC as IIS writes it."""
    if not _W3C.fullmatch(stamp):
        return None
    try:
        return int(datetime.fromisoformat(stamp.decode("ascii")).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None
