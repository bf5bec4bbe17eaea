"""What the registry and the agent of a local stack are told about a territory."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from deploy.local.credentials import write_private
from deploy.local.territory import Establishment, Territory

AGENT = "local"
"""The one agent of a local stack. Its key and grants have no start: sources of any age may be brought."""

KEY, STATE, SETTINGS = "agent.key", "agent.sqlite", "agent.toml"
"""In the agent's folder."""


def registration(territory: Territory, public_key: str, token: str) -> dict[str, Any]:
    """The document that `territoriale admin import` reads."""
    return {
        "territory": {"name": territory.name, "zone": territory.zone},
        "establishments": [_entry(each) for each in territory.establishments],
        "agent": {"id": AGENT, "public_key": public_key},
        "grants": [{"uai": each.uai, "family": family} for each in territory.served for family in each.families],
        "token": token,
    }


def _entry(establishment: Establishment) -> dict[str, Any]:
    return {
        "uai": establishment.uai,
        "name": establishment.name,
        "type": establishment.type,
        "zone": establishment.zone,
        "postal_codes": establishment.postal_codes,
        "opened": _day(establishment.opened),
        "closed": _day(establishment.closed),
        "convention": establishment.convention,
    }


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None


def enrol(territory: Territory, folder: Path, *, kafka: str, cadence_s: float) -> str:
    """Write the agent's settings and, the first time, its key; returns the public key for the registry."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SETTINGS).write_text(_settings(territory, kafka, cadence_s), "utf-8")
    return _public_key(folder / KEY)


def _settings(territory: Territory, kafka: str, cadence_s: float) -> str:
    head = [
        f"agent = {_text(AGENT)}",
        f"state = {_text(STATE)}",
        f"key = {_text(KEY)}",
        f"cadence_seconds = {cadence_s}",
    ]
    lines = [*head, "", "[kafka]", f"bootstrap = {_text(kafka)}"]
    for each in territory.served:
        lines += ["", "[[establishment]]", f"uai = {_text(each.uai)}", f"zone = {_text(each.zone)}"]
        lines += [f"type = {_text(each.type)}", f"sources = {_text(str((each.sources or Path()).resolve()))}"]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """A TOML basic string: JSON's escapes are among TOML's."""
    return json.dumps(value, ensure_ascii=False)


def _public_key(path: Path) -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from contracts.signing import public_to_text

    if not path.exists():
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_private(path, pem.decode())
    private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(private, Ed25519PrivateKey)
    return public_to_text(private.public_key())
