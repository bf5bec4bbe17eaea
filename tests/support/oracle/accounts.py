"""Accounts by profile from the census folder (rules.md 6), and which profiles they make small (rules.md 5)."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import date
from typing import TYPE_CHECKING

from tests.support.oracle.days import SchoolYear, school_year

if TYPE_CHECKING:
    from pathlib import Path

NAMED = ("eleve", "responsable", "accompagnant", "enseignant", "administratif", "vie_scolaire")
STAFF = ("administratif", "vie_scolaire", "autre")
FEWEST = 5

Accounts = Counter[str]
"""Account holders by profile of connections."""


def read_accounts(folder: Path | None, today: date) -> dict[SchoolYear, tuple[date, Accounts]]:
    """The newest usable comptes.csv of each school year. `today` is the establishment's own date."""
    found: dict[SchoolYear, tuple[date, Accounts]] = {}
    for path in sorted(folder.glob("*/comptes.csv")) if folder else []:
        day = date.fromisoformat(path.parent.name)
        accounts = _accounts(path.read_bytes()) if day <= today else None
        if accounts is not None:
            found[school_year(day)] = day, accounts
    return found


def _accounts(content: bytes) -> Accounts | None:
    """None where a required column is missing: the older file stays."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252")
    rows = list(csv.DictReader(io.StringIO(text), delimiter=";"))
    if not {"id", "profil"} <= set(text.split("\n", 1)[0].strip().split(";")):
        return None
    profiles = {row["id"].strip(): row["profil"].strip() for row in reversed(rows)}
    # Reversed, so that of rows of one id the first stands: the same id again is refused.
    return Counter(_profile(profile.lower()) for profile in profiles.values())


def _profile(written: str) -> str:
    """Personnels = administratif + vie_scolaire + autre, and whatever is not named is autre."""
    profile = written if written in NAMED else "autre"
    return "personnel" if profile in STAFF else profile


def small_profiles(read: dict[SchoolYear, tuple[date, Accounts]], establishment_type: str) -> tuple[str, ...]:
    """By the newest census read; all were read before the sources, so it applies to every month.

    None read: accompagnants, and in an école teachers and staff too.
    """
    if not read:
        few = ("enseignant", "personnel") if establishment_type in ("ecole", "école") else ()
        return ("accompagnant", *few)
    _, newest = max(read.values(), key=lambda each: each[0])
    return tuple(
        profile
        for profile in ("eleve", "responsable", "accompagnant", "enseignant", "personnel")
        if newest[profile] < FEWEST
    )
