"""What may be written in the registry: ids, names, zones, postal codes, keys, families. Pure checks, each with its named error."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime
from functools import cache
from zoneinfo import available_timezones

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from contracts.catalogue import CATALOGUE
from contracts.signing import public_from_text, public_to_text
from contracts.uai import InvalidUaiError, parse_uai
from services.identity import errors

MAX_TEXT = 200
"""Longest name of a territory or an establishment: the official register's longest has 100 characters."""
MIN_THRESHOLD = 5
"""rules.md 9: a territory may raise what the Social menu hides, never lower it."""
_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", re.ASCII)
_POSTAL_CODE = re.compile(r"[0-9]{5}", re.ASCII)
_TOKEN = re.compile(r"[!-~]{32,200}", re.ASCII)


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def an_id(text: str) -> str:
    if not is_id(text):
        raise errors.InvalidIdError(f"{text!r} is not an id: lower-case letters, digits and hyphens are expected")
    return text


def a_text(text: str, what: str) -> str:
    """Trimmed text of 1 to MAX_TEXT characters without control characters or lone surrogates: it reaches tables, CSV and e-mails."""
    trimmed = text.strip()
    if not 0 < len(trimmed) <= MAX_TEXT or any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} for c in trimmed):
        raise errors.InvalidTextError(f"{what} {text!r} is empty, longer than {MAX_TEXT} or holds control characters")
    return trimmed


@cache
def _zones() -> frozenset[str]:
    """Read once: the library looks into hundreds of files each time."""
    return frozenset(available_timezones())


def a_zone(name: str) -> str:
    if name not in _zones():
        raise errors.InvalidZoneError(f"{name!r} is not a time zone such as Europe/Paris or Indian/Reunion")
    return name


def a_uai(text: str) -> str:
    try:
        return parse_uai(text)
    except InvalidUaiError as error:
        raise errors.InvalidEstablishmentError(str(error)) from error


def postal_codes(codes: tuple[str, ...]) -> tuple[str, ...]:
    if bad := [code for code in codes if not _POSTAL_CODE.fullmatch(code)]:
        raise errors.InvalidPostalCodeError(f"{bad[0]!r} is not a postal code of five digits")
    return tuple(dict.fromkeys(codes))


def a_threshold(threshold: int) -> int:
    if not MIN_THRESHOLD <= threshold <= 1000:  # noqa: PLR2004 - beyond any school's size, certainly a mistake
        raise errors.InvalidThresholdError(f"{threshold} is not a threshold from {MIN_THRESHOLD} to 1000")
    return threshold


def a_family(family: str) -> str:
    """A family that an agent can be granted; observation and diagnostics follow their sources and may be granted too."""
    if family not in CATALOGUE.families:
        raise errors.UnknownFamilyError(f"no family {family!r}; there are {', '.join(CATALOGUE.families)}")
    return family


def a_token(token: str) -> str:
    if not _TOKEN.fullmatch(token):
        raise errors.InvalidTokenError
    return token


def a_public_key(text: str) -> str:
    """The key as the registry keeps it (base64 of 32 bytes), from that text or from PEM."""
    try:
        return public_to_text(_from_pem(text) if "-----BEGIN" in text else public_from_text(text.strip()))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise errors.InvalidKeyError from error


def _from_pem(text: str) -> Ed25519PublicKey:
    key = load_pem_public_key(text.encode())
    if not isinstance(key, Ed25519PublicKey):
        raise errors.InvalidKeyError(f"the PEM holds another kind of key ({type(key).__name__})")
    return key


def in_order(start: date | datetime | None, end: date | datetime | None, what: str) -> None:
    """Refuse an end before its start."""
    if start is not None and end is not None and end < start:
        raise errors.InvalidDatesError(f"{what}: the end {end.isoformat()} comes before the start {start.isoformat()}")


def slug(name: str) -> str:
    """An id made from a name: `Département de démonstration` gives `departement-de-demonstration`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-") or "territory"
