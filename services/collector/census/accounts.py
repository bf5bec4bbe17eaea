"""Which profiles an account census finds small (rules.md 5). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.catalogue import CATALOGUE

if TYPE_CHECKING:
    from services.collector.census.reading import Census

FEWEST_ACCOUNTS = 5
"""A profile with fewer account holders leaves the agent per month, once the month is over."""
ACCOUNTS_OF = {
    "eleve": ("eleve",),
    "responsable": ("responsable",),
    "accompagnant": ("accompagnant",),
    "enseignant": ("enseignant",),
    "personnel": ("administratif", "vie_scolaire", "autre"),
}
"""Profiles of accounts behind each profile of connections."""


def accounts_by_profile(census: Census) -> dict[str, int]:
    """Account holders of each profile of connections; `census` is one of comptes.csv."""
    return {
        profile: sum(
            census.counts.get(code, 0) for code in CATALOGUE.select("census.comptes", "accounts", profiles=of_accounts)
        )
        for profile, of_accounts in ACCOUNTS_OF.items()
    }


def small_profiles(census: Census) -> frozenset[str]:
    """Profiles of connections with fewer than five accounts, none included."""
    return frozenset(profile for profile, held in accounts_by_profile(census).items() if held < FEWEST_ACCOUNTS)
