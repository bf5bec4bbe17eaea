"""French order and search, in Python: the PostgreSQL of a bare machine carries no ICU.

Letters first, then accents, then capitals, as a French dictionary does; punctuation comes before digits and digits before
letters, in the order of CLDR's root collation. Weakness: only the Latin letters of French names are told apart with care;
other scripts fall back to their code points.
"""

from __future__ import annotations

import unicodedata

_PUNCTUATION = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$"
_PLACE = {" ": 0, **{char: place for place, char in enumerate(_PUNCTUATION, 1)}}
_SPELLED = str.maketrans(
    {"œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "’": "'", "‘": "'", "–": "-", "—": "-", "\u00a0": " "}
)
_FIRST_LETTER = 1000
"""Letters and digits sort after all punctuation."""

CollationKey = tuple[tuple[int, ...], str, str]


def collation_key(text: str) -> CollationKey:
    """Sort by this key: base letters, then accents, then small letters before capitals."""
    spelled = unicodedata.normalize("NFC", text).translate(_SPELLED)
    decomposed = unicodedata.normalize("NFD", spelled)
    return _letters(_plain(spelled)), decomposed.casefold(), spelled.swapcase()


def fold(text: str) -> str:
    """The text without case and accents: what a search compares."""
    return _plain(unicodedata.normalize("NFC", text).translate(_SPELLED))


def _plain(spelled: str) -> str:
    decomposed = unicodedata.normalize("NFKD", spelled.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _letters(plain: str) -> tuple[int, ...]:
    return tuple(_PLACE.get(char, _FIRST_LETTER + ord(char)) for char in plain)
