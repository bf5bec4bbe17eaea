"""The catalogue: what is counted, how cells are numbered, what tables show. Data in the files beside, one reader here."""

from __future__ import annotations

import csv
import tomllib
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from itertools import product
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CATALOGUE_VERSION = 1
"""Grows with each addition; a message of a newer catalogue is parked until the platform knows it."""

Grain = Literal["hour", "day", "month", "school_year"]
GRAINS: tuple[Grain, ...] = ("hour", "day", "month", "school_year")
Kind = Literal["counter", "people", "level", "minutes"]

HOURS = tuple(str(hour) for hour in range(25))
"""Indexes of the hours of a local day; the 25th exists on the night clocks go back."""


class UnknownCellError(LookupError):
    """No such cell in the catalogue."""

    code = "unknown_cell"


class Profile(msgspec.Struct, frozen=True):
    """Who connects or has an account; `group` is what hour cells keep of it."""

    id: str
    number: int
    label: str
    group: str = ""


class Channel(msgspec.Struct, frozen=True):
    """A way in, or (for people) a union of ways."""

    id: str
    number: int
    label: str


class Access(msgspec.Struct, frozen=True):
    """Direct, through the ENT, unknown; for people also any."""

    id: str
    number: int
    label: str


class Level(msgspec.Struct, frozen=True):
    """A school level and the types of establishment that have it."""

    id: str
    number: int
    label: str
    types: tuple[str, ...]


class Family(msgspec.Struct, frozen=True):
    """What travels together: a report is one family, one grain, one period."""

    id: str
    number: int
    kind: Kind
    grains: tuple[Grain, ...]
    source: str

    @property
    def name(self) -> str:
        return self.id


class Shape(msgspec.Struct, frozen=True):
    """One rectangle of a measure's cells."""

    profiles: tuple[str, ...] = ("",)
    channels: tuple[str, ...] = ("",)
    accesses: tuple[str, ...] = ("",)


class Measure(msgspec.Struct, frozen=True):
    """Something counted; `code` is the first of its block of cell codes."""

    id: str
    family: str
    code: int
    dims: Literal["audience", "level", "hour", "none"]
    label: str = ""
    shapes: tuple[Shape, ...] = ()


class Cell(msgspec.Struct, frozen=True):
    """One number that can be reported; dimensions that do not apply are ''."""

    code: int
    family: str
    measure: str
    profile: str = ""
    channel: str = ""
    access: str = ""
    level: str = ""


class Selector(msgspec.Struct, frozen=True):
    """Cells of one measure, by dimensions; an absent dimension takes all."""

    family: str
    measure: str
    profiles: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    accesses: tuple[str, ...] | None = None
    levels: tuple[str, ...] | None = None


class Column(msgspec.Struct, frozen=True):
    """The sum of `parts`; in Taux divided by the sum of `over`, or kept as it is when there is none."""

    id: str
    group: str
    label: str
    indicator: int
    parts: tuple[Selector, ...]
    over: tuple[Selector, ...] = ()


class Table(msgspec.Struct, frozen=True):
    """A page's table: columns in the order shown."""

    id: str
    page: str
    label: str
    by: Literal["window", "school_year"]
    displays: tuple[str, ...]
    columns: tuple[Column, ...]


class Indicator(msgspec.Struct, frozen=True):
    """One of the 80: first years, audience, purpose and legal basis."""

    number: int
    theme: str
    title: str
    kind: str
    number_unit: bool
    rate_unit: bool
    available_since: int
    complete_since: int
    audience: tuple[str, ...]
    recipient_purpose: str
    legal_basis: str
    basis_purpose: str


class _Dimensions(msgspec.Struct):
    profile: list[Profile]
    channel: list[Channel]
    access: list[Access]
    level: list[Level]


class _Families(msgspec.Struct):
    family: list[Family]


class _Measures(msgspec.Struct):
    measure: list[Measure]


class _Tables(msgspec.Struct):
    table: list[Table]


_T = TypeVar("_T")


def _read(name: str, kind: type[_T]) -> _T:
    return msgspec.convert(tomllib.loads((files(__package__) / name).read_text("utf-8")), kind)


def _read_indicators() -> dict[int, Indicator]:
    text = (files(__package__) / "indicators.csv").read_text("utf-8")
    return {int(row["number"]): _indicator(row) for row in csv.DictReader(text.splitlines())}


def _indicator(row: dict[str, str]) -> Indicator:
    return Indicator(
        number=int(row["number"]),
        theme=row["theme"],
        title=row["title"],
        kind=row["kind"],
        number_unit=row["number_unit"] == "yes",
        rate_unit=row["rate_unit"] == "yes",
        available_since=int(row["available_since"]),
        complete_since=int(row["complete_since"]),
        audience=tuple(row["audience"].split("+")),
        recipient_purpose=row["recipient_purpose"],
        legal_basis=row["legal_basis"],
        basis_purpose=row["basis_purpose"],
    )


@dataclass(frozen=True)
class Catalogue:
    """Everything the product knows of what is counted; built once, at import of this module."""

    version: int
    profiles: dict[str, Profile]
    channels: dict[str, Channel]
    accesses: dict[str, Access]
    levels: dict[str, Level]
    families: dict[str, Family]
    measures: dict[tuple[str, str], Measure]
    indicators: dict[int, Indicator]
    tables: dict[str, Table]

    @cached_property
    def cells(self) -> dict[int, Cell]:
        """Every cell by its code, in ascending order."""
        cells = [cell for measure in self.measures.values() for cell in self._cells_of(measure)]
        return {cell.code: cell for cell in sorted(cells, key=lambda cell: cell.code)}

    @cached_property
    def _index(self) -> dict[tuple[str, str, str, str, str, str], int]:
        return {(c.family, c.measure, c.profile, c.channel, c.access, c.level): c.code for c in self.cells.values()}

    @cached_property
    def activity_measures(self) -> dict[str, Measure]:
        """The measures that a journal's `activity` line may name, by id."""
        return {m.id: m for m in self.measures.values() if m.family.startswith("activities.")}

    def code(
        self, family: str, measure: str, profile: str = "", channel: str = "", access: str = "", level: str = ""
    ) -> int:
        """Code of one cell; `UnknownCellError` when the catalogue has none."""
        try:
            return self._index[family, measure, profile, channel, access, level]
        except KeyError:
            raise UnknownCellError(f"no cell {family}/{measure} {profile} {channel} {access} {level}".strip()) from None

    def select(
        self,
        family: str,
        measure: str,
        *,
        profiles: Iterable[str] | None = None,
        channels: Iterable[str] | None = None,
        accesses: Iterable[str] | None = None,
        levels: Iterable[str] | None = None,
    ) -> list[int]:
        """Codes of a measure's cells whose dimensions are among those given (None = all), ascending."""
        wanted = [None if w is None else set(w) for w in (profiles, channels, accesses, levels)]
        return sorted(
            cell.code
            for cell in self._cells_of(self.measures[family, measure])
            if _among(wanted, (cell.profile, cell.channel, cell.access, cell.level))
        )

    def codes(self, selector: Selector) -> list[int]:
        """Codes that a column's selector names."""
        return self.select(
            selector.family,
            selector.measure,
            profiles=selector.profiles,
            channels=selector.channels,
            accesses=selector.accesses,
            levels=selector.levels,
        )

    def _cells_of(self, measure: Measure) -> list[Cell]:
        match measure.dims:
            case "none":
                return [Cell(measure.code, measure.family, measure.id)]
            case "hour":
                return [Cell(measure.code + int(h), measure.family, measure.id, level=h) for h in HOURS]
            case "level":
                return [
                    Cell(measure.code + level.number, measure.family, measure.id, level=level.id)
                    for level in self.levels.values()
                ]
            case "audience":
                return [self._audience_cell(measure, *key) for s in measure.shapes for key in _rectangle(s)]

    def _audience_cell(self, measure: Measure, profile: str, channel: str, access: str) -> Cell:
        place = (
            self.profiles[profile].number * 64
            + (self.channels[channel].number * 8 if channel else 0)
            + (self.accesses[access].number if access else 0)
        )
        return Cell(measure.code + place, measure.family, measure.id, profile, channel, access)


def _among(wanted: Sequence[set[str] | None], values: Sequence[str]) -> bool:
    return all(among is None or value in among for among, value in zip(wanted, values, strict=True))


def _rectangle(shape: Shape) -> Iterable[tuple[str, str, str]]:
    return product(shape.profiles, shape.channels, shape.accesses)


def load() -> Catalogue:
    """Read the catalogue's files; anything malformed raises at once."""
    dimensions = _read("dimensions.toml", _Dimensions)
    return Catalogue(
        version=CATALOGUE_VERSION,
        profiles={profile.id: profile for profile in dimensions.profile},
        channels={channel.id: channel for channel in dimensions.channel},
        accesses={access.id: access for access in dimensions.access},
        levels={level.id: level for level in dimensions.level},
        families={family.id: family for family in _read("families.toml", _Families).family},
        measures={(m.family, m.id): m for m in _read("measures.toml", _Measures).measure},
        indicators=_read_indicators(),
        tables={table.id: table for table in _read("tables.toml", _Tables).table},
    )


CATALOGUE = load()
