"""Territories to import, small and valid; tests change what they are about."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.uai import key_letter
from services.identity.territory_file import TerritoryFile, read

FAMILIES = ("web", "software", "people", "observed.journal")
KEY = base64.b64encode(Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()).decode()


def uai(number: int) -> str:
    digits = f"{number:07d}"
    return digits + key_letter(digits)


A, B, C = uai(750001), uai(750002), uai(750003)


def territory(*uais: str, **changes: Any) -> dict[str, Any]:
    """A document with these establishments, one agent that may report all of them, and what `changes` replaces."""
    return {
        "territory": {"id": "d086", "name": "Vienne", "zone": "Europe/Paris"},
        "establishments": [
            {"uai": each, "name": f"Collège {each}", "type": "college", "zone": "Europe/Paris"} for each in uais
        ],
        "agent": {"id": "agent-1", "public_key": KEY},
        "grants": [{"uai": each, "family": family} for each in uais for family in FAMILIES],
        **changes,
    }


def as_file(document: dict[str, Any]) -> TerritoryFile:
    return read(json.dumps(document))
