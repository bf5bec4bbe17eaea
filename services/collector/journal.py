"""A journal's lines: what they say, or why they are set aside (rules.md 3). Pure; reasons are tried in the order of the rule."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from contracts.catalogue import CATALOGUE

LONGEST_LINE = 64 * 1024
"""Bytes; a fact takes about 150. What is longer is one unreadable line, passed over without being held."""
BOM = b"\xef\xbb\xbf"

PROFILES = ("eleve", "responsable", "accompagnant", "enseignant", "personnel")
CHANNELS = ("web", "mobile", "software")
ACCESSES = ("direct", "ent", "unknown")
SOFTWARE_PROFILES = ("enseignant", "personnel")
GREATEST_N = 1_000_000
NO_LEVEL = "AUTRE"
"""Counted where a line names no level, or one that is not known (rules.md 6)."""

REASONS = (
    "unreadable",
    "no_offset",
    "future",
    "too_old",
    "unknown_kind",
    "unknown_profile",
    "no_who",
    "unknown_channel_or_access",
    "channel_not_for_profile",
    "unknown_measure",
    "bad_n",
)
"""Why a line is set aside."""


class Line(msgspec.Struct, gc=False):
    """One line as it stands, types checked; `n` is 0 where it was no integer."""

    at: datetime
    kind: str = ""
    who: str = ""
    profile: str = ""
    channel: str = ""
    access: str = ""
    measure: str = ""
    level: str | None = None
    n: int = 1


class Combination(msgspec.Struct, frozen=True):
    """A way to connect: profile, channel and access, the family and cells that count it."""

    number: int
    profile: str
    profile_number: int
    channel: str
    family: str
    cell: int
    hour_cell: int
    bit: int


decode = msgspec.json.Decoder(Line).decode
"""Decode one line the fast way; anything it refuses is looked at again by `decode_slowly`."""

_decode_any = msgspec.json.Decoder().decode


def decode_slowly(raw: bytes) -> Line | str | None:
    """A line that the fast decoder refused: the line with what is usable of it, the reason to set it aside, or None when blank."""
    text = raw.removeprefix(BOM).strip()
    if not text:
        return None
    try:
        text.decode()
        found = _decode_any(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "unreadable"
    return _from_object(found) if isinstance(found, dict) else "unreadable"


def _from_object(found: dict[str, Any]) -> Line | str:
    at = _instant(found.get("at"))
    if at is None:
        return "unreadable"
    texts = {name: _text(found.get(name)) for name in ("kind", "who", "profile", "channel", "access", "measure")}
    n = found.get("n", 1)
    return Line(at=at, level=_text(found.get("level")), n=n if type(n) is int else 0, **texts)


def _instant(at: object) -> datetime | None:
    try:
        return datetime.fromisoformat(at) if isinstance(at, str) else None
    except ValueError:
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def instant_of(raw: bytes) -> float | None:
    """When a line says it happened, as a UTC timestamp; None when it does not say."""
    try:
        line: Line | str | None = decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        line = decode_slowly(raw)
    return line.at.timestamp() if isinstance(line, Line) and line.at.tzinfo else None


def refusal_of(line: Line) -> str:
    """Why a connection that matches no combination, or says no `who`, does not count."""
    if line.profile not in PROFILES:
        return "unknown_profile"
    if not line.who:
        return "no_who"
    if line.channel not in CHANNELS or line.access not in ACCESSES:
        return "unknown_channel_or_access"
    return "channel_not_for_profile"


def _combinations() -> dict[tuple[str, str, str], Combination]:
    keys = [
        (profile, channel, access)
        for profile in PROFILES
        for channel in CHANNELS
        for access in ACCESSES
        if channel != "software" or (profile in SOFTWARE_PROFILES and access != "ent")
    ]
    return {key: _combination(number, *key) for number, key in enumerate(keys)}


def _combination(number: int, profile: str, channel: str, access: str) -> Combination:
    family = "software" if channel == "software" else "web"
    # The desktop client knows no ENT: whatever else its lines say of access, the catalogue has one cell for it.
    counted_access = "direct" if channel == "software" else access
    return Combination(
        number=number,
        profile=profile,
        profile_number=PROFILES.index(profile),
        channel=channel,
        family=family,
        cell=CATALOGUE.code(family, "connections", profile, channel, counted_access),
        hour_cell=CATALOGUE.code(family, "connections_hour", CATALOGUE.profiles[profile].group, channel),
        bit=1 << (CHANNELS.index(channel) * len(ACCESSES) + ACCESSES.index(access)),
    )


COMBINATIONS = _combinations()
"""Every way to connect that counts, by what a line says of it."""


@lru_cache(maxsize=4096)
def activity_cell(measure: str, level: str | None) -> tuple[str, int] | None:
    """Family and cell of an activity; None when the measure is unknown."""
    found = CATALOGUE.activity_measures.get(measure)
    if found is None:
        return None
    known = level if level in CATALOGUE.levels else NO_LEVEL
    return found.family, CATALOGUE.code(found.family, found.id, level=known or NO_LEVEL)
