"""Accounts by profile of connections, and which profiles they make small (rules.md 5)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.support.oracle.levels import is_ecole

if TYPE_CHECKING:
    from tests.support.oracle.census import Census, CensusFile

STAFF = ("administratif", "vie_scolaire", "autre")
FEWEST = 5


def accounts(file: CensusFile) -> Counter[str]:
    """Account holders by profile of connections: Personnels = administratif + vie_scolaire + autre."""
    return Counter("personnel" if row["profil"] in STAFF else row["profil"] for row in file.rows)


def small_profiles(census: Census, establishment_type: str) -> tuple[str, ...]:
    """By the newest census read; all were read before the sources, so it applies to every month.

    None read: accompagnants, and in an école teachers and staff too.
    """
    read = [file for (_, name), file in census.items() if name == "comptes"]
    if not read:
        return ("accompagnant", *(("enseignant", "personnel") if is_ecole(establishment_type) else ()))
    newest = accounts(max(read, key=lambda file: file.day))
    return tuple(
        profile
        for profile in ("eleve", "responsable", "accompagnant", "enseignant", "personnel")
        if newest[profile] < FEWEST
    )
