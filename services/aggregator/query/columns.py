"""Columns as cell codes: what the catalogue says of a table, ready to be read from sheets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from contracts.catalogue import CATALOGUE, Column, Family, Selector
from services.aggregator.query.matrix import Codes
from services.aggregator.query.observation import MINUTES

PROFILES = tuple(profile.id for profile in CATALOGUE.profiles.values())
SMALL = {
    cell.profile: cell.code
    for cell in CATALOGUE.cells.values()
    if (cell.family, cell.measure) == ("diagnostics", "small_profile")
}
"""Code that says in a month's sheet that a profile is small there, by profile."""
READ = {cell.family: cell.code for cell in CATALOGUE.cells.values() if cell.measure == "read"}
"""Code that says that a census file was read, by family: what it counts and is absent is then 0."""
BY_ACCESS = {
    access: CATALOGUE.select("web", "connections", accesses=[access]) for access in ("direct", "ent", "unknown")
}
_CONNECTS_AS = dict.fromkeys(("administratif", "vie_scolaire", "autre"), "personnel")
"""Kinds of accounts that connect as one profile: where that profile waits, so do their accounts in a total's rate."""
_THROUGH_WEB = frozenset({"web", "mobile", "net", "any"})


@dataclass(frozen=True, eq=False)
class Part:
    """Cells of one family that are added up: codes by profile ('' where the measure has none).

    One object per selector, compared by identity, so that sums of parts can be kept by part.
    """

    family: Family
    codes: dict[str, tuple[int, ...]]
    through_web: bool
    through_ent: bool

    @classmethod
    @lru_cache(maxsize=1024)
    def of(cls, selector: Selector) -> Part:
        cells = [CATALOGUE.cells[code] for code in CATALOGUE.codes(selector)]
        by_profile: dict[str, list[int]] = {}
        for cell in cells:
            by_profile.setdefault(_CONNECTS_AS.get(cell.profile, cell.profile), []).append(cell.code)
        return cls(
            family=CATALOGUE.families[selector.family],
            codes={profile: tuple(codes) for profile, codes in by_profile.items()},
            through_web=any(cell.channel in _THROUGH_WEB for cell in cells),
            through_ent=bool(cells) and all(cell.access == "ent" for cell in cells),
        )

    @property
    def of_who(self) -> bool:
        """People who came through the Web: unknown wherever an access log counts the connections."""
        return self.family.kind == "people" and self.through_web

    @cached_property
    def all_codes(self) -> tuple[int, ...]:
        return tuple(code for codes in self.codes.values() for code in codes)


@dataclass(frozen=True)
class ReadyColumn:
    """A catalogue column and the parts of its number and, in Taux, of what it is divided by."""

    column: Column
    parts: tuple[Part, ...]
    over: tuple[Part, ...]

    @classmethod
    def of(cls, column: Column, *, rates: bool) -> ReadyColumn:
        over = column.over if rates else ()
        return cls(column, tuple(map(Part.of, column.parts)), tuple(map(Part.of, over)))

    @property
    def all_parts(self) -> tuple[Part, ...]:
        return self.parts + self.over


class Plan:
    """The columns of one question and every code that answering it takes."""

    def __init__(self, columns: Iterable[Column], *, rates: bool = False) -> None:
        self.columns: Sequence[ReadyColumn] = [ReadyColumn.of(column, rates=rates) for column in columns]
        self.codes = Codes(self._wanted())

    @property
    def parts(self) -> list[Part]:
        return [part for column in self.columns for part in column.all_parts]

    @cached_property
    def censuses(self) -> frozenset[str]:
        """Families read from the newest census of the window's school year."""
        return frozenset(part.family.id for part in self.parts if part.family.kind == "level")

    def _wanted(self) -> Iterable[int]:
        for part in self.parts:
            yield from part.all_codes
            if part.family.kind == "level":
                yield READ[part.family.id]
            if part.through_ent:
                yield from (code for codes in BY_ACCESS.values() for code in codes)
        yield from (code for codes in MINUTES.values() for code in codes)
        yield from SMALL.values()
