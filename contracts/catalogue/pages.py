"""pages.toml into menus and the widgets of their summaries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from contracts.catalogue.model import Aspect, CellOf, Column, Page, Table, WidgetHead, WidgetLine, WidgetShape
from contracts.catalogue.reading import toml_of

_ASPECTS: Mapping[str, Aspect] = {"": "value", "%": "rate", "previous": "previous", "difference": "difference"}


class _Widget(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    label: str
    table: str
    heads: dict[str, str]
    cells: dict[str, str]
    rows: dict[str, str] = {}
    years: bool = False


class _Page(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    label: str
    widgets: list[_Widget]
    series: dict[str, str] = {}


class _File(msgspec.Struct, forbid_unknown_fields=True):
    windows: dict[str, str]
    states: dict[str, str]
    page: list[_Page]


class Pages(msgspec.Struct, frozen=True):
    """Every menu by id, in order, and what the names of windows and states read like on a screen."""

    pages: dict[str, Page]
    windows: dict[str, str]
    states: dict[str, str]


def read_pages(tables: Mapping[str, Table]) -> Pages:
    file = msgspec.convert(toml_of("pages.toml"), _File)
    return Pages({page.id: _page(page, tables) for page in file.page}, file.windows, file.states)


def _page(page: _Page, tables: Mapping[str, Table]) -> Page:
    widgets = tuple(_widget(widget, tables[widget.table]) for widget in page.widgets)
    return Page(page.id, page.label, tables[widgets[0].table].by, widgets, page.series)


def _widget(widget: _Widget, table: Table) -> WidgetShape:
    columns = {column.id: column for column in table.columns}
    heads = tuple(WidgetHead(*head) for head in widget.heads.items())
    rows = widget.rows or {"": ""}
    lines = tuple(WidgetLine(row, label, dict(_cells(widget, row, columns))) for row, label in rows.items())
    return WidgetShape(widget.id, widget.label, widget.table, heads, lines, widget.years)


def _cells(widget: _Widget, row: str, columns: Mapping[str, Column]) -> Iterator[tuple[str, CellOf]]:
    for head, text in widget.cells.items():
        told = (_cell(each, columns) for each in text.replace("{row}", row).split(" | "))
        if found := next(filter(None, told), None):
            yield head, found


def _cell(text: str, columns: Mapping[str, Column]) -> CellOf | None:
    """A cell; none where the table has no such column, or the column nothing for Taux."""
    name, _, aspect = text.partition(" ")
    column, found = columns.get(name), _ASPECTS[aspect]
    return None if column is None or (found == "rate" and column.rate is None) else CellOf(column, found)
