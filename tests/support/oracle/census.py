"""Census folders: which file answers for a school year, and which of its rows and cells count (rules.md 6)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from tests.support.oracle.days import SchoolYear, school_year
from tests.support.oracle.levels import EVERY_LEVEL, OTHER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REQUIRED = {
    "comptes": ("id", "profil"),
    "eleves": ("id", "niveau"),
    "personnels": ("id", "categorie"),
    "classes": ("nom", "niveau"),
    "salles": ("nom", "creneaux_occupes", "creneaux_ouverts"),
}
PROFILES = ("eleve", "responsable", "accompagnant", "enseignant", "administratif", "vie_scolaire")
CATEGORIES = ("administratif", "vie_scolaire", "accompagnant", "enseignant")
NAMED = {"profil": PROFILES, "categorie": CATEGORIES}
"""Doubt: "anything else = autre" is said of accounts; it is taken for staff too, where `autre` is a category as well."""
CODED = ("niveau", "sexe", "regime", "hors_secteur", "transport", "accompagne", "decrochage")
"""Doubt: coded values are compared without case."""


@dataclass(frozen=True)
class CensusFile:
    """The accepted rows of one file; `columns` are those that it has, known or not."""

    day: date
    columns: frozenset[str]
    rows: tuple[dict[str, str], ...]

    def of_level(self, level: str) -> CensusFile:
        return replace(self, rows=tuple(row for row in self.rows if row["niveau"] == level))


Census = dict[tuple[SchoolYear, str], CensusFile]
Measure = Callable[[CensusFile], int | None]
"""What a file says; None where it lacks the column."""


def read_census(folder: Path | None, today: date) -> Census:
    """The newest usable file of each kind and school year. `today` is the establishment's own date.

    A file that is refused leaves the older one where it was; files of one folder bear one date.
    """
    found: Census = {}
    for day, path in sorted(_dated(folder)) if folder else []:
        file = _file(day, path) if day <= today else None
        if file is not None:
            found[school_year(day), path.stem] = file
    return found


def _dated(folder: Path) -> Iterator[tuple[date, Path]]:
    for path in folder.glob("*/*.csv"):
        if path.stem in REQUIRED:
            yield date.fromisoformat(path.parent.name), path


def _file(day: date, path: Path) -> CensusFile | None:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252")
    header, *lines = csv.reader(io.StringIO(text, newline=""), delimiter=";")
    columns = [name.strip().lower() for name in header]
    if not set(REQUIRED[path.stem]) <= set(columns):
        return None
    rows = [dict.fromkeys(columns, "") | dict(zip(columns, map(str.strip, line), strict=False)) for line in lines]
    return CensusFile(day, frozenset(columns), tuple(_accepted(rows, REQUIRED[path.stem][0])))


def _accepted(rows: list[dict[str, str]], key: str) -> Iterator[dict[str, str]]:
    """The first row of each id, if its level is known.

    Doubt: the id of a class or a room is its name. An empty id is nobody's again; an empty level leaves the row out of the
    levels, not out of the pupils. A row that is refused for its level was there all the same: its id is used up.
    """
    seen = set()
    for row in rows:
        level = row.get("niveau", "").upper()
        if any(row.values()) and row[key] not in seen and level in ("", OTHER, *EVERY_LEVEL):
            yield {column: _canonical(column, value) for column, value in row.items()}
        if row[key]:
            seen.add(row[key])


def _canonical(column: str, value: str) -> str:
    """Doubt: an account without profile is an other one, by difference; staff without category is in none."""
    if column in CODED:
        return value.upper()
    named = NAMED.get(column, ())
    if not named or (column == "categorie" and not value):
        return value
    return value.lower() if value.lower() in named else "autre"


# --- what may be asked of a file


def rows(file: CensusFile) -> int | None:
    return len(file.rows)


def where(column: str, *values: str) -> Measure:
    """Rows that have one of these values there."""
    return lambda file: None if column not in file.columns else sum(row[column] in values for row in file.rows)


def pupils_accounts(sexe: str) -> Measure:
    """Accounts of pupils, by gender."""

    def count(file: CensusFile) -> int | None:
        if "sexe" not in file.columns:
            return None
        return sum(row["profil"] == "eleve" and row["sexe"] == sexe for row in file.rows)

    return count


def valued(column: str) -> Measure:
    """Rows that have a number there: the denominator of bands."""
    return within(column, 0, None)


def within(column: str, least: int, most: int | None) -> Measure:
    """Rows whose number lies between both, ends included; without `most`, at least `least`."""

    def count(file: CensusFile) -> int | None:
        numbers = _numbers(file, column)
        return None if numbers is None else sum(n >= least and (most is None or n <= most) for n in numbers)

    return count


def added(column: str) -> Measure:
    """Sum of a column's numbers.

    Doubt: a room with only one of its two numbers is left out of the other's column alone, as the rule is written.
    """

    def count(file: CensusFile) -> int | None:
        numbers = _numbers(file, column)
        return None if numbers is None else sum(numbers)

    return count


def _numbers(file: CensusFile, column: str) -> list[int] | None:
    """Doubt: what is no whole number leaves the row out of that column, as an empty cell does."""
    if column not in file.columns:
        return None
    return [int(row[column]) for row in file.rows if row[column].isdigit()]
