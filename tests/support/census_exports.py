"""What a school's software exports for a census: five files drawn from a seed, with the gaps and faults that real ones have."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = dict[str, str]

LEVELS = {
    "college": ("6EME", "5EME", "4EME", "3EME", "3EME-SEGPA"),
    "lycee": ("2NDE", "1ERE", "TALE", "BTS"),
    "ecole": ("PS", "CP", "CE1", "CM2", "ULIS"),
}
"""Not all that the type has: some stay empty."""
NUMBERS = {
    "plans": (0, 0, 0, 1, 2),
    "plans_medicaux": (0, 0, 0, 1),
    "absences": (0, 0, 1, 4, 5, 9, 10, 19, 20, 57),
    "retards": (0, 0, 0, 1, 4, 5, 9, 10, 19, 20),
    "sanctions": (0, 0, 0, 1, 2, 3, 5, 6, 11),
    "punitions": (0, 0, 0, 1, 2, 3, 5, 6),
    "incidents": (0, 0, 0, 0, 1, 2, 3, 5, 6),
}
CODES = {
    "sexe": "FM",
    "regime": ("DP", "DP", "INT", "EXT"),
    "hors_secteur": "OOONNNNNNN",
    "transport": "OON",
    "accompagne": "ONNNNN",
    "decrochage": "ONNNNNNN",
}
NONSENSE = ("?", "-1", "2,5", "oui", "X")
"""No value of any column."""


@dataclass
class Exports:
    """Draws the files of one establishment; every id and name begins with `canary`."""

    draw: random.Random
    canary: str
    type: str = "college"
    missing: float = 0.1
    """How often an optional column is not there."""

    def pupils(self, number: int) -> list[str]:
        rows = [self._pupil(index) for index in range(number)]
        again = [row | {"niveau": self.draw.choice(LEVELS[self.type])} for row in self.draw.sample(rows, 2)]
        unknown = [self._pupil(number + index) | {"niveau": f"{self.canary}-niveau"} for index in range(2)]
        return self._file(["id", "niveau", "classe", "nom"], [*CODES, *NUMBERS], [*rows, *again, *unknown])

    def _pupil(self, index: int) -> Row:
        level = (
            self.draw.choice(LEVELS[self.type]) if self.draw.random() < 0.95 else self.draw.choice(("", "CAP", "CP"))
        )
        row = {column: self._cell(values) for column, values in (*CODES.items(), *NUMBERS.items())}
        return row | {"id": f"{self.canary}-e{index}", "niveau": level, "nom": f"{self.canary} Zoé", "classe": "6 É"}

    def _cell(self, values: Iterable[object]) -> str:
        return self.draw.choices((str(self.draw.choice(list(values))), "", self.draw.choice(NONSENSE)), (92, 6, 2))[0]

    def accounts(self, held: dict[str, int]) -> list[str]:
        """Profiles now and then in capitals; the last row is of an id that was there."""
        rows = [
            {
                "id": f"{self.canary}-{profile}-{index}",
                "profil": self.draw.choice([profile, profile.upper()]),
                "sexe": self._cell("FM"),
                "nom": f"{self.canary} Zoé",
            }
            for profile, number in held.items()
            for index in range(number)
        ]
        self.draw.shuffle(rows)
        return self._file(["id", "profil", "nom"], ["sexe"], [*rows, rows[0] | {"profil": "autre"}])

    def staff(self, held: dict[str, int]) -> list[str]:
        rows = [
            {"id": f"{self.canary}-p-{category}-{index}", "categorie": category}
            for category, number in held.items()
            for index in range(number)
        ]
        return self._file(["id", "categorie"], [], [*rows, *rows[:1], {"id": f"{self.canary}-p", "categorie": ""}])

    def classes(self) -> list[str]:
        rows = [
            {"nom": f"{self.canary}-{level}-{letter}", "niveau": level}
            for level in LEVELS[self.type]
            for letter in "ABCD"[: self.draw.randint(1, 4)]
        ]
        return self._file(["nom", "niveau"], [], [*rows, *rows[:1], {"nom": "Z", "niveau": "7EME"}])

    def rooms(self, number: int) -> list[str]:
        rows = [
            {
                "nom": f"{self.canary};{index}",
                "creneaux_occupes": str(self.draw.randint(0, 30)),
                "creneaux_ouverts": str(self.draw.randint(30, 40)),
            }
            for index in range(number)
        ]
        rows[-1]["creneaux_occupes"] = ""
        return self._file(["nom", "creneaux_occupes", "creneaux_ouverts"], [], [*rows, rows[0]])

    def _file(self, required: list[str], optional: list[str], rows: list[Row]) -> list[str]:
        """Lines of the file: columns in any order, some of the optional ones missing."""
        columns = required + [column for column in optional if self.draw.random() >= self.missing]
        self.draw.shuffle(columns)
        return [";".join(columns), *(";".join(_quoted(row.get(column, "")) for column in columns) for row in rows)]


def _quoted(text: str) -> str:
    return f'"{text}"' if ";" in text else text
