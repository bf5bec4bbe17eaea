"""What kind of establishment a registry's free-text type names: école, collège or lycée; levels and secrecy depend on it."""

from __future__ import annotations

import unicodedata
from typing import Literal

Kind = Literal["ecole", "college", "lycee"]

_BEGINNINGS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("college", ("college", "clg", "segpa")),
    ("lycee", ("lycee", "lyc", "lp", "lgt", "legt", "erea", "eple", "cite scolaire")),
    ("ecole", ("ecole", "primaire", "maternelle", "elementaire", "premier degre", "1er degre", "rpi")),
)
"""How types begin, without case, accents or separators, in the order in which they are tried."""


def kind_of(establishment_type: str) -> Kind | None:
    """The kind, whatever the case and accents; None for a type that nobody here knows."""
    plain = unicodedata.normalize("NFD", establishment_type.casefold().strip().replace("_", " ").replace("-", " "))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return next((kind for kind, beginnings in _BEGINNINGS if plain.startswith(beginnings)), None)
