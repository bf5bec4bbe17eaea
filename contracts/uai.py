"""UAI: the identifier of a French establishment, seven digits and a key letter."""

from __future__ import annotations

import re

_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
_SHAPE = re.compile(r"[0-9]{7}[A-Z]", re.ASCII)


class InvalidUaiError(ValueError):
    """Not a UAI: wrong shape or wrong key letter."""

    code = "invalid_uai"
    status = 422


def key_letter(digits: str) -> str:
    """The letter that goes with seven digits."""
    return _LETTERS[int(digits) % len(_LETTERS)]


def parse_uai(text: str) -> str:
    """The UAI in capitals; `InvalidUaiError` says what is wrong with it."""
    uai = text.strip().upper()
    if not _SHAPE.fullmatch(uai):
        raise InvalidUaiError(f"{text!r} is not a UAI: seven digits and a letter are expected")
    if (letter := key_letter(uai[:7])) != uai[7]:
        raise InvalidUaiError(f"{text!r} is not a UAI: its key letter should be {letter}")
    return uai
