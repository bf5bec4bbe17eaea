"""The agent's private key: an Ed25519 key in a PEM file that nobody else reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from services.collector.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

_log = structlog.get_logger(__name__)


def read_key(path: Path) -> Ed25519PrivateKey:
    """The agent's private key; `SettingsError` when there is none."""
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise SettingsError(str(path), "key", f"cannot be read ({error.strerror})") from error
    except (ValueError, TypeError) as error:
        raise SettingsError(str(path), "key", f"is not an unencrypted PEM key: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(str(path), "key", "is not an Ed25519 key")
    if path.stat().st_mode & 0o077:
        _log.warning("key_readable_by_others", file=str(path), todo=f"chmod 600 {path}")
    return key
