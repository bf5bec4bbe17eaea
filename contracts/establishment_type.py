"""What kind of establishment a registry's free-text type names; levels and secrecy depend on it.

École, collège, lycée, or `secondaire`: one that holds the levels of a collège, of a lycée, or of both.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from typing import Final, Literal, get_args

Kind = Literal["ecole", "college", "lycee", "secondaire"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_BEGINNINGS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("secondaire", ("erea", "eple", "cite scolaire")),
    ("college", ("college", "clg", "segpa")),
    ("lycee", ("lycee", "lyc", "lp", "lgt", "legt")),
    ("ecole", ("ecole", "primaire", "maternelle", "elementaire", "premier degre", "1er degre", "rpi")),
)
"""How types begin, without case, accents or separators, in the order in which they are tried."""
_OF_SECOND_DEGREE: tuple[Kind, ...] = ("college", "lycee")
"""A type that names both, such as « collège et lycée privé », is neither alone."""


def kind_of(establishment_type: str) -> Kind | None:
    """The kind, whatever the case and accents; None for a type that nobody here knows."""
    plain = unicodedata.normalize("NFD", establishment_type.casefold().strip().replace("_", " ").replace("-", " "))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    if all(word in plain for word in _OF_SECOND_DEGREE):
        return "secondaire"
    return next((kind for kind, beginnings in _BEGINNINGS if plain.startswith(beginnings)), None)


def may_hold(kind: Kind | None, types: Collection[str]) -> bool:
    """Whether an establishment may have a level of these `types` (the catalogue's); one of no known kind may have any."""
    if kind == "secondaire":
        return any(each in types for each in _OF_SECOND_DEGREE)
    return kind is None or kind in types
