"""What the cells of census columns mean: which cells of the catalogue they add to. Pure.

Coded values are compared without case (rows come trimmed); a value that a column does not take leaves the row out of that column.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from contracts.catalogue import CATALOGUE

GREATEST_NUMBER = 1_000_000
"""As for a journal's `n`: one pupil's plans, half-days or punishments are never that many."""

Codes = Mapping[str, int]
"""Cell code by group of rows: a level, a profile, or '' where a file has no groups. A group that is absent is not counted."""
Meaning = Callable[[str], Sequence[tuple[Codes, int]] | None]
"""From a cell that is not empty to what it adds; None when it is no value of its column."""

GROUPS = ("", *CATALOGUE.levels, *CATALOGUE.profiles)


def codes(family: str, measure: str) -> Codes:
    """A measure's cells by level or profile; the same one for every group where the measure does not tell them apart."""
    if CATALOGUE.measures[family, measure].dims == "none":
        return dict.fromkeys(GROUPS, CATALOGUE.code(family, measure))
    cells = (CATALOGUE.cells[code] for code in CATALOGUE.select(family, measure))
    return {cell.level or cell.profile: cell.code for cell in cells}


@dataclass(frozen=True)
class Column:
    """One column of a file; optional ones tell that they are there, and of how many rows they say something."""

    meaning: Meaning
    present: int | None = None
    valued: Codes | None = None

    def additions(self, text: str) -> Sequence[tuple[Codes, int]] | None:
        """What a cell that is not empty adds; None when it is no value."""
        found = self.meaning(text)
        if found is None or self.valued is None:
            return found
        return (*found, (self.valued, 1))


def optional(family: str, name: str, meaning: Meaning, groups: Sequence[str] = GROUPS) -> Column:
    """A column that may be missing, counted in `groups` only."""
    valued = codes(family, f"valued.{name}")
    return Column(
        meaning=meaning,
        present=CATALOGUE.code(family, f"column.{name}"),
        valued={group: code for group, code in valued.items() if group in groups},
    )


def one_of(choices: Mapping[str, Codes | None]) -> Meaning:
    """A coded value, each counted in cells of its own or (None) nowhere."""
    added: dict[str, Sequence[tuple[Codes, int]]] = {
        text: ((found, 1),) if found else () for text, found in choices.items()
    }
    return lambda text: added.get(text.upper())


def yes_no(yes: Codes) -> Meaning:
    return one_of({"O": yes, "N": None})


def number_of(total: Codes, having: Codes | None = None) -> Meaning:
    """A number, added up in `total`; `having` counts the rows where it is not 0."""

    def meaning(text: str) -> Sequence[tuple[Codes, int]] | None:
        number = natural(text)
        if not number:
            return None if number is None else ()
        return ((total, number), (having, 1)) if having else ((total, number),)

    return meaning


def band_of(bands: Mapping[int, Codes]) -> Meaning:
    """A number, counted in the band that holds it; `bands` by their first number, ascending from 0."""
    firsts, cells = list(bands), list(bands.values())

    def meaning(text: str) -> Sequence[tuple[Codes, int]] | None:
        number = natural(text)
        return None if number is None else ((cells[bisect_right(firsts, number) - 1], 1),)

    return meaning


def natural(text: str) -> int | None:
    """A whole number from 0 to a million in ASCII digits; None for anything else, negative ones and decimals included."""
    if not (text.isascii() and text.isdecimal()):
        return None
    digits = text.lstrip("0")
    if len(digits) > len(str(GREATEST_NUMBER)):
        return None
    number = int(digits or "0")
    return number if number <= GREATEST_NUMBER else None
