"""The agent's private keys: Ed25519 in PEM files that nobody else reads. They are made here and never leave."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from contracts.signing import public_to_text, sign
from services.collector.errors import SettingsError, StateUnavailableError

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
    if is_open_to_others(path):
        _log.warning("key_readable_by_others", file=str(path), todo=f"chmod 600 {path}")
    return key


def is_open_to_others(path: Path) -> bool:
    """Whether others on the machine may read a file; Windows tells rights in another way, which is not looked at."""
    return os.name == "posix" and bool(path.stat().st_mode & 0o077)


def make_key(path: Path) -> Ed25519PrivateKey:
    """The key of this file, made if there is none: whole on the disk, and private from its first byte on."""
    if not path.exists():
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        fresh = path.with_name(path.name + ".new")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                fresh.unlink()
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:
            raise StateUnavailableError(f"{path} cannot be written: {error}") from error
    return read_key(path)


class KeyRing:
    """The key that signs and, while it is being replaced, the one that will: the file `<key>.next`.

    The next key signs once the platform has said that it knows it. A crash at any moment leaves both files, or the new one only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._key = read_key(path)

    @property
    def next_path(self) -> Path:
        return self.path.with_name(self.path.name + ".next")

    @property
    def has_next(self) -> bool:
        return self.next_path.exists()

    @property
    def public(self) -> str:
        """The public key as the registry writes it."""
        return public_to_text(self._key.public_key())

    @property
    def next_public(self) -> str:
        """The same of the next key; empty where there is none."""
        return public_to_text(read_key(self.next_path).public_key()) if self.has_next else ""

    def sign(self, value: bytes) -> bytes:
        """Signature by the key in force, base64."""
        return sign(self._key, value)

    def sign_with_next(self, value: bytes) -> bytes:
        """Signature by the key to come."""
        return sign(read_key(self.next_path), value)

    def prepare_next(self) -> None:
        """Make the next key, unless it is there already."""
        make_key(self.next_path)

    def forget_next(self) -> None:
        """Whatever was prepared is not the next key any more."""
        self.next_path.unlink(missing_ok=True)

    def switch(self) -> None:
        """The next key is the key from now on."""
        try:
            self.next_path.replace(self.path)
        except OSError as error:
            raise StateUnavailableError(f"{self.path} cannot be replaced: {error}") from error
        self._key = read_key(self.path)

    def is_older_than(self, age: timedelta, now: datetime) -> bool:
        """Whether the key was made longer ago; by its file's date, so that a copied key counts as new."""
        return now.timestamp() - self.path.stat().st_mtime > age.total_seconds()
