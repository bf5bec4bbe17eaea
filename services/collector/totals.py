"""`totals.csv`: what a year before the agents came to, a number a line (ADR 11). Pure: bytes in, cells or faults out.

mesure;profil;support;acces;niveau;nombre
connections;eleve;web;ent;;15230
people;eleve;net;any;;412
forums;;;;6EME;12
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from contracts.catalogue import CATALOGUE, UnknownCellError
from contracts.usage_reported import MAX_COUNT
from services.collector.census.rows import UnclosedQuoteError, rows_of, text_of
from services.collector.journal import NO_LEVEL

COLUMNS = ("mesure", "profil", "support", "acces", "niveau", "nombre")
MOST_FAULTS = 100
_FAMILIES = tuple(
    family.id for family in CATALOGUE.families.values() if "school_year" in family.grains and family.kind != "level"
)
_MEASURES = {id_ for family, id_ in CATALOGUE.measures if family in _FAMILIES and not id_.endswith("_hour")}


class Fault(NamedTuple):
    """What is wrong with a line, counted from 1, the line of the columns; 0 where it is the whole file."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}" if self.line else self.reason


class Totals(NamedTuple):
    """Counts by family and cell code, ascending; nothing of it is to be used where there are faults."""

    counts: dict[str, dict[int, int]]
    faults: list[Fault]


def read_totals(content: bytes) -> Totals:
    """Read a whole file; every fault is told, up to a hundred."""
    counts: defaultdict[str, dict[int, int]] = defaultdict(dict)
    faults: list[Fault] = []
    try:
        rows = rows_of(text_of(content))
        if tuple(next(rows, (1, []))[1] or ()) != COLUMNS:
            return Totals({}, [Fault(1, f"the columns are not {';'.join(COLUMNS)}")])
        for line, cells in rows:
            found = _line(cells)
            if isinstance(found, str):
                faults.append(Fault(line, found))
            elif found.code in counts[found.family]:
                faults.append(Fault(line, "the same number again"))
            else:
                counts[found.family][found.code] = found.number
    except UnclosedQuoteError as error:
        faults.append(Fault(error.line, "a quotation mark that opens here is not closed on its line"))
    sorted_counts = {family: dict(sorted(counts[family].items())) for family in _FAMILIES if counts.get(family)}
    return Totals(sorted_counts, faults[:MOST_FAULTS])


class _Number(NamedTuple):
    family: str
    code: int
    number: int


def _line(cells: list[str] | None) -> _Number | str:
    """What a line says, or what is wrong with it."""
    if cells is None or len(cells) != len(COLUMNS):
        return f"not {len(COLUMNS)} values"
    measure, profile, channel, access, level, number = cells
    if not (number.isascii() and number.isdigit() and int(number) <= MAX_COUNT):
        return f"nombre: {number[:40]!r} is no whole number"
    if fault := _unknown(measure, profile, channel, access, level):
        return fault
    for family in _FAMILIES:
        wanted = level or (NO_LEVEL if family.startswith("activities.") else "")
        try:
            return _Number(family, CATALOGUE.code(family, measure, profile, channel, access, wanted), int(number))
        except UnknownCellError:
            continue
    return f"{measure} is not counted by that profil, support, acces or niveau (territoriale catalogue lists what is)"


def _unknown(measure: str, profile: str, channel: str, access: str, level: str) -> str:
    known = {
        "mesure": (measure, _MEASURES),
        "profil": (profile, CATALOGUE.profiles),
        "support": (channel, CATALOGUE.channels),
        "acces": (access, CATALOGUE.accesses),
        "niveau": (level, CATALOGUE.levels),
    }
    for name, (value, values) in known.items():
        if value not in values and (value or name == "mesure"):
            return f"{name}: {value[:40]!r} is none of {', '.join(sorted(values))}"
    return ""
