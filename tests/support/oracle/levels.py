"""School levels, and which of them a type of establishment has (console.md 1, rules.md 6)."""

from __future__ import annotations

import unicodedata
from functools import cache

LEVELS = {
    "college": ("6EME", "5EME", "4EME", "3EME", "6EME-SEGPA", "5EME-SEGPA", "4EME-SEGPA", "3EME-SEGPA"),
    "lycee": ("2NDE", "1ERE", "TALE", "CAP", "BTS", "CPGE"),
    "ecole": ("TPS", "PS", "MS", "GS", "CP", "CE1", "CE2", "CM1", "CM2", "ULIS"),
}
"""Doubt: both documents list ULIS with the first degree, so a collège lacks it, although real collèges have ULIS."""

EVERY_LEVEL = tuple(level for levels in LEVELS.values() for level in levels)
OTHER = "AUTRE"
BOTH = ("eple", "erea", "cite scolaire")
"""Begin the types that may have pupils of a collège and of a lycée; so may whatever names the two."""
FIRST_DEGREE = ("ecole", "primaire", "maternelle", "elementaire")


def plain(text: str) -> str:
    """Without case or accents."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).casefold()


def is_ecole(written: str) -> bool:
    return any(word in plain(written) for word in FIRST_DEGREE)


def has_both(written: str) -> bool:
    text = plain(written).replace("_", " ").replace("-", " ")
    return text.startswith(BOTH) or ("college" in text and "lycee" in text)


@cache
def lacks(establishment_type: str, level: str) -> bool:
    """Doubt: the rules do not list the types; one that is neither école nor lycée nor collège lacks nothing.

    Nobody lacks AUTRE, which is no level.
    """
    if has_both(establishment_type):
        has = LEVELS["college"] + LEVELS["lycee"]
    else:
        kind = "ecole" if is_ecole(establishment_type) else plain(establishment_type)
        has = LEVELS.get(kind, EVERY_LEVEL)
    return level != OTHER and level not in has
