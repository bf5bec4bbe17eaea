"""The catalogue: what is counted, how cells are numbered, what tables show. Data in the files beside, one reader here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING

from contracts.catalogue.model import (
    GRAINS,
    Access,
    By,
    Cell,
    CellOf,
    Channel,
    Column,
    Display,
    Family,
    Formula,
    Grain,
    Indicator,
    Kind,
    Level,
    Measure,
    Page,
    Profile,
    Selector,
    Shape,
    Table,
    Unit,
    WidgetHead,
    WidgetLine,
    WidgetShape,
)
from contracts.catalogue.reading import entries, read_indicators, read_measures, toml_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from contracts.catalogue.definitions import Definitions
    from contracts.catalogue.pages import Pages

__all__ = [
    "CATALOGUE",
    "CATALOGUE_VERSION",
    "GRAINS",
    "HOURS",
    "Access",
    "By",
    "Catalogue",
    "Cell",
    "CellOf",
    "Channel",
    "Column",
    "Display",
    "Family",
    "Formula",
    "Grain",
    "Indicator",
    "Kind",
    "Level",
    "Measure",
    "Page",
    "Profile",
    "Selector",
    "Shape",
    "Table",
    "Unit",
    "UnknownCellError",
    "WidgetHead",
    "WidgetLine",
    "WidgetShape",
]

CATALOGUE_VERSION = 1
"""Grows with each addition; a message of a newer catalogue is parked until the platform knows it."""

HOURS = tuple(str(hour) for hour in range(25))
"""Indexes of the hours of a local day; the 25th exists on the night clocks go back."""


class UnknownCellError(LookupError):
    """No such cell in the catalogue."""

    code = "unknown_cell"


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

    @cached_property
    def cells(self) -> dict[int, Cell]:
        """Every cell by its code, in ascending order."""
        cells = [cell for measure in self.measures.values() for cell in self._cells_of(measure)]
        return {cell.code: cell for cell in sorted(cells, key=lambda cell: cell.code)}

    @cached_property
    def _index(self) -> dict[tuple[str, str, str, str, str, str], int]:
        return {(c.family, c.measure, c.profile, c.channel, c.access, c.level): c.code for c in self.cells.values()}

    @cached_property
    def tables(self) -> dict[str, Table]:
        """Every table by id; read when first asked for, since agents never do."""
        from contracts.catalogue.tables import read_tables  # noqa: PLC0415 - a thousand columns that no agent needs

        return read_tables(self)

    @cached_property
    def screens(self) -> Pages:
        """Menus, and how windows and states are called on screens."""
        from contracts.catalogue.pages import read_pages  # noqa: PLC0415 - as above

        return read_pages(self.tables)

    @property
    def pages(self) -> dict[str, Page]:
        """Every menu by id, in order."""
        return self.screens.pages

    @cached_property
    def definitions(self) -> Definitions:
        """The definition card of every column."""
        from contracts.catalogue.definitions import Definitions  # noqa: PLC0415 - as above

        return Definitions(self)

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
    dimensions = toml_of("dimensions.toml")
    return Catalogue(
        version=CATALOGUE_VERSION,
        profiles=entries(dimensions["profile"], Profile),
        channels=entries(dimensions["channel"], Channel),
        accesses=entries(dimensions["access"], Access),
        levels=entries(dimensions["level"], Level),
        families=entries(toml_of("families.toml"), Family),
        measures=read_measures(),
        indicators=read_indicators(),
    )


CATALOGUE = load()
