"""Reads journals as the format says, sharing nothing with what writes them."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from pathlib import Path
from typing import Any

PROFILES = {"eleve", "responsable", "accompagnant", "enseignant", "personnel"}
CHANNELS = {"web", "mobile", "software"}
ACCESSES = {"direct", "ent", "unknown"}
KEYS = {
    "heartbeat": {"at", "kind"},
    "connection": {"at", "kind", "who", "profile", "channel", "access"},
    "activity": {"at", "kind", "measure", "level", "n"},
}
OPENING = "journal-0-opening.ndjson"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its relative name, except the lock."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def journal_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("journal-*.ndjson*"))


def facts(path: Path, holding: str = "") -> list[dict[str, Any]]:
    """The facts of a file, those only whose line holds a text."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    assert raw.endswith(b"\n")
    return [json.loads(line) for line in raw.decode("utf-8").splitlines() if holding in line]


def dated_facts(folder: Path, pattern: str = "journal-2*", holding: str = "") -> list[dict[str, Any]]:
    """The facts of one establishment in the order of its files, without the opening line."""
    return [fact for path in sorted(folder.glob(pattern)) for fact in facts(path, holding)]


def heartbeats(folder: Path) -> list[datetime]:
    return [instant(fact) for fact in dated_facts(folder, holding='"heartbeat"')]


def instant(fact: dict[str, Any]) -> datetime:
    at = datetime.fromisoformat(fact["at"])
    assert at.tzinfo is not None
    return at


def complaint(fact: dict[str, Any], measures: set[str], levels: set[str]) -> str:
    """What is wrong with a fact, or nothing."""
    if set(fact) - KEYS[fact["kind"]]:
        return "field"
    if fact["kind"] == "connection":
        return _connection_complaint(fact)
    if fact["kind"] == "activity":
        return _activity_complaint(fact, measures, levels)
    return ""


def _connection_complaint(fact: dict[str, Any]) -> str:
    if not fact["who"] or fact["profile"] not in PROFILES:
        return "who or profile"
    if fact["channel"] not in CHANNELS or fact["access"] not in ACCESSES:
        return "channel or access"
    if fact["channel"] == "software" and (
        fact["profile"] not in {"enseignant", "personnel"} or fact["access"] != "direct"
    ):
        return "channel not for profile"
    return ""


def _activity_complaint(fact: dict[str, Any], measures: set[str], levels: set[str]) -> str:
    if fact["measure"] not in measures or fact.get("level", "6EME") not in levels:
        return "measure or level"
    return "" if 1 <= fact.get("n", 1) <= 1_000_000 else "n"
