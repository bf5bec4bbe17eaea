"""Columns as cell codes: what the catalogue says of a table, ready to be read from sheets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from contracts.catalogue import CATALOGUE, Column, Display, Family, Formula, Selector
from services.aggregator.query.matrix import Codes
from services.aggregator.query.observation import MINUTES

PROFILES = tuple(profile.id for profile in CATALOGUE.profiles.values())
SMALL = {
    cell.profile: cell.code
    for cell in CATALOGUE.cells.values()
    if (cell.family, cell.measure) == ("diagnostics", "small_profile")
}
"""Code that says in a month's sheet that a profile is small there, by profile."""
BY_ACCESS = {
    access: CATALOGUE.select("web", "connections", accesses=[access]) for access in ("direct", "ent", "unknown")
}
_CONNECTS_AS = dict.fromkeys(("administratif", "vie_scolaire", "autre"), "personnel")
"""Kinds of accounts that connect as one profile: where that profile waits, so do their accounts in a total's rate."""
_THROUGH_WEB = frozenset({"web", "mobile", "net", "any"})
_WHO_CONNECTS = frozenset({"web", "software", "people"})
"""Families whose figures wait, for secrecy's sake, where a profile has few account holders."""


@dataclass(frozen=True, eq=False)
class Part:
    """Cells of one family that are added up: codes by profile ('' where the measure has none).

    `marks`: cells of a census that all must be there for these to be known: its file was read, and has the column.
    One object per selector, compared by identity, so that sums of parts can be kept by part.
    """

    family: Family
    codes: dict[str, tuple[int, ...]]
    marks: tuple[int, ...]
    through_web: bool
    through_ent: bool
    since: int
    """First year of the column that shows it alone: before it, a sum goes without this part."""

    @classmethod
    @lru_cache(maxsize=4096)
    def of(cls, selector: Selector) -> Part:
        cells = [CATALOGUE.cells[code] for code in CATALOGUE.codes(selector)]
        by_profile: dict[str, list[int]] = {}
        for cell in cells:
            by_profile.setdefault(_CONNECTS_AS.get(cell.profile, cell.profile), []).append(cell.code)
        return cls(
            family=CATALOGUE.families[selector.family],
            codes={profile: tuple(codes) for profile, codes in by_profile.items()},
            marks=_marks(selector),
            through_web=any(cell.channel in _THROUGH_WEB for cell in cells),
            through_ent=bool(cells) and all(cell.access == "ent" for cell in cells),
            since=_first_years().get(selector, 0),
        )

    @property
    def of_who(self) -> bool:
        """People who came through the Web: unknown wherever an access log counts the connections."""
        return self.family.kind == "people" and self.through_web

    @cached_property
    def all_codes(self) -> tuple[int, ...]:
        return tuple(code for codes in self.codes.values() for code in codes)


@lru_cache(maxsize=1)
def _first_years() -> dict[Selector, int]:
    """Since when what a column shows alone exists; of several columns, the first."""
    found: dict[Selector, int] = {}
    for column in (column for table in CATALOGUE.tables.values() for column in table.columns):
        if len(column.value.parts) == 1 and not column.value.over:
            since = CATALOGUE.indicators[column.indicator].available_since
            part = column.value.parts[0]
            found[part] = min(found.get(part, since), since)
    return found


def _marks(selector: Selector) -> tuple[int, ...]:
    """Where the file was read, what it counts and is absent is 0; not so what comes from a column that it lacks."""
    family = selector.family
    if CATALOGUE.families[family].kind != "level":
        return ()
    column = CATALOGUE.measures[family, selector.measure].column
    return tuple(CATALOGUE.code(family, mark) for mark in ("read", f"column.{column}" if column else "") if mark)


@dataclass(frozen=True)
class ReadyColumn:
    """A catalogue column in one display, and the parts of its number and of what that is divided by, if anything."""

    column: Column
    formula: Formula
    parts: tuple[Part, ...]
    over: tuple[Part, ...]

    @classmethod
    def of(cls, column: Column, display: Display = "values") -> ReadyColumn:
        formula = column.formula(display)
        return cls(column, formula, tuple(map(Part.of, formula.parts)), tuple(map(Part.of, formula.over)))

    @property
    def all_parts(self) -> tuple[Part, ...]:
        return self.parts + self.over

    @property
    def waits(self) -> bool:
        """It tells who connects, so that profiles with few account holders are told late or not at all."""
        return any(part.family.id in _WHO_CONNECTS for part in self.parts)


class Plan:
    """The columns of one question and every code that answering it takes."""

    def __init__(self, columns: Iterable[Column], display: Display = "values") -> None:
        self.columns: Sequence[ReadyColumn] = [ReadyColumn.of(column, display) for column in columns]
        self.codes = Codes(self._wanted())

    @property
    def parts(self) -> list[Part]:
        return [part for column in self.columns for part in column.all_parts]

    @cached_property
    def has_census(self) -> bool:
        """Some part is read from the newest census of the window's school year."""
        return any(part.family.kind == "level" for part in self.parts)

    @cached_property
    def waits(self) -> bool:
        return any(column.waits for column in self.columns)

    def _wanted(self) -> Iterable[int]:
        for part in self.parts:
            yield from part.all_codes
            yield from part.marks
            if part.through_ent:
                yield from (code for codes in BY_ACCESS.values() for code in codes)
        yield from (code for codes in MINUTES.values() for code in codes)
        yield from SMALL.values()
