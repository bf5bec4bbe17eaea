"""The catalogue as one reader is told it: menus, tables, columns, definitions, so that no client needs a list of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from contracts.catalogue import CATALOGUE, By, Column, Display, Page, Table, Unit
from contracts.catalogue.definitions import Definition, Language

MaySee = Callable[[Column], bool]
"""Whether a reader may see a column of some establishment: they have its widget there and are in its audience."""


class PublishedColumn(msgspec.Struct, frozen=True):
    """`rate_unit`: what the column is in Taux. `on_page`: shown without asking for all. `definition`: id of its card."""

    id: str
    group: str
    label: str
    unit: Unit
    rate_unit: Unit
    indicator: int
    widget: str
    level: str
    on_page: bool
    definition: str


class PublishedTable(msgspec.Struct, frozen=True):
    """`by`: what a window is for it (the window, its days that are over, the school year of its last day)."""

    id: str
    label: str
    by: By
    displays: tuple[Display, ...]
    compares: bool
    reference: int | None
    columns: list[PublishedColumn]


class Named(msgspec.Struct, frozen=True):
    """Something by its name in the API and what it is called on a screen: a widget, a chart, a window, a state."""

    id: str
    label: str


class PublishedMenu(msgspec.Struct, frozen=True):
    """One menu: its summary's widgets, its charts and its tables."""

    id: str
    label: str
    by: By
    widgets: list[Named]
    series: list[Named]
    tables: list[PublishedTable]


class PublishedLevel(msgspec.Struct, frozen=True):
    id: str
    group: str
    label: str


class CatalogueAnswer(msgspec.Struct, frozen=True):
    """`definitions` by id."""

    version: int
    language: Language
    menus: list[PublishedMenu]
    windows: list[Named]
    states: list[Named]
    levels: list[PublishedLevel]
    definitions: dict[str, Definition]


def published(may_see: MaySee, language: Language = "fr") -> CatalogueAnswer:
    """What may be seen of the catalogue: a table without columns, a widget without cells, a menu without either are left out."""
    menus = [menu for page in CATALOGUE.pages.values() if (menu := _menu(page, may_see))]
    seen = {definition.id: definition for page in CATALOGUE.pages for definition in _cards(page, may_see, language)}
    levels = [PublishedLevel(level.id, level.group, level.label) for level in CATALOGUE.levels.values()]
    windows, states = _named(CATALOGUE.screens.windows), _named(CATALOGUE.screens.states)
    return CatalogueAnswer(CATALOGUE.version, language, menus, windows, states, levels, seen)


def _named(labels: Mapping[str, str]) -> list[Named]:
    return [Named(*item) for item in labels.items()]


def _menu(page: Page, may_see: MaySee) -> PublishedMenu | None:
    tables = [_table(table, columns) for table, columns in _seen(page.id, may_see)]
    widgets = [
        Named(widget.id, widget.label)
        for widget in page.widgets
        if any(may_see(cell.column) for line in widget.lines for cell in line.cells.values())
    ]
    seen = tables or widgets
    return PublishedMenu(page.id, page.label, page.by, widgets, _named(page.series), tables) if seen else None


def _seen(page: str, may_see: MaySee) -> Iterable[tuple[Table, list[Column]]]:
    """The page's tables and the columns of each that may be seen."""
    for table in CATALOGUE.tables.values():
        columns = [column for column in table.columns if may_see(column)]
        if table.page == page and columns:
            yield table, columns


def _table(table: Table, columns: Iterable[Column]) -> PublishedTable:
    told = [
        PublishedColumn(
            id=column.id,
            group=column.group,
            label=column.label,
            unit=column.value.unit,
            rate_unit=column.formula("rates").unit,
            indicator=column.indicator,
            widget=column.widget,
            level=column.level,
            on_page=column.on_page,
            definition=CATALOGUE.definitions.key(table, column),
        )
        for column in columns
    ]
    compares = table.by == "school-year"
    return PublishedTable(table.id, table.label, table.by, table.displays, compares, table.reference, told)


def _cards(page: str, may_see: MaySee, language: Language) -> Iterable[Definition]:
    for table, columns in _seen(page, may_see):
        cards = {CATALOGUE.definitions.key(table, column): column for column in columns}
        yield from (CATALOGUE.definitions.of(table, column, language) for column in cards.values())
