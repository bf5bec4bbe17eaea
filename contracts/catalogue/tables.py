"""tables.toml into tables: groups that stand for several profiles and tables by levels are written out here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from contracts.catalogue.formulas import Formulas
from contracts.catalogue.model import By, Column, Display, Level, Table, Unit
from contracts.catalogue.reading import toml_of

if TYPE_CHECKING:
    from contracts.catalogue import Catalogue

OTHER_LEVEL = "AUTRE"
"""What bears no level, or one that nobody knows; only flows have it, since a census refuses a row of an unknown level."""


class _Column(msgspec.Struct, forbid_unknown_fields=True):
    label: str
    indicator: int | list[int]
    value: str = ""
    rate: str = ""
    unit: Unit | None = None
    on_page: bool = True


class _Group(msgspec.Struct, forbid_unknown_fields=True):
    widget: str
    columns: dict[str, _Column]
    label: str = ""
    profiles: list[str] = []


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    label: str
    by: By
    displays: tuple[Display, ...]
    groups: list[_Group]
    reference: int | None = None


class _OfMeasure(msgspec.Struct, forbid_unknown_fields=True):
    label: str = ""
    value: str = ""
    rate: str = ""


class _ByLevel(msgspec.Struct, forbid_unknown_fields=True):
    table: str
    like: list[str]
    by: By
    measures: dict[str, _OfMeasure]
    other: bool = False


class _File(msgspec.Struct, forbid_unknown_fields=True):
    terms: dict[str, str]
    table: list[_Table]
    by_level: list[_ByLevel]


def read_tables(catalogue: Catalogue) -> dict[str, Table]:
    """Every table by id, those by levels behind the one of their page whose columns they are like."""
    file = msgspec.convert(toml_of("tables.toml"), _File)
    writer = _Writer(catalogue, Formulas(catalogue, file.terms))
    tables = {table.id: writer.table(table) for table in file.table}
    by_level = [table for each in file.by_level for table in writer.by_level(each, tables)]
    every = {**tables, **{table.id: table for table in by_level}}
    pages = list(dict.fromkeys(table.page for table in tables.values()))
    return dict(sorted(every.items(), key=lambda item: pages.index(item[1].page)))


class _Writer:
    """Writes tables out in full."""

    def __init__(self, catalogue: Catalogue, formulas: Formulas) -> None:
        self._catalogue = catalogue
        self._formulas = formulas

    def table(self, table: _Table) -> Table:
        columns = tuple(column for group in table.groups for column in self._group(group))
        return Table(table.id, _page(table.id), table.label, table.by, table.displays, columns, table.reference)

    def _group(self, group: _Group) -> Iterator[Column]:
        for number, profile in enumerate(group.profiles or [""]):
            label = self._catalogue.profiles[profile].label if profile else group.label
            for name, column in group.columns.items():
                indicator = column.indicator if isinstance(column.indicator, int) else column.indicator[number]
                value, rate = (text.replace("{profile}", profile) for text in (column.value or name, column.rate))
                yield Column(
                    id=name.replace("{profile}", profile),
                    group=label,
                    label=column.label,
                    indicator=indicator,
                    widget=group.widget,
                    value=self._formulas.read(value, column.unit),
                    rate=self._formulas.read(rate) if rate else None,
                    on_page=column.on_page,
                )

    def by_level(self, asked: _ByLevel, tables: dict[str, Table]) -> Iterator[Table]:
        like = {column.id: column for table in asked.like for column in tables[table].columns}
        levels = [level for level in self._catalogue.levels.values() if asked.other or level.id != OTHER_LEVEL]
        for measure, of_measure in asked.measures.items():
            name = asked.table.replace("{measure}", measure)
            columns = tuple(self._level(measure, of_measure, like[measure], level) for level in levels)
            label = of_measure.label or like[measure].label
            reference = tables[asked.like[0]].reference
            yield Table(name, _page(name), label, asked.by, ("values", "rates"), columns, reference)

    def _level(self, measure: str, of_measure: _OfMeasure, like: Column, level: Level) -> Column:
        value, rate = (
            of_measure.value or f"{measure}({{level}})",
            of_measure.rate or f"{measure}({{level}}) / {measure}",
        )
        return Column(
            id=level.id,
            group=level.group,
            label=level.label,
            indicator=like.indicator,
            widget=like.widget,
            value=self._formulas.read(value.replace("{level}", level.id)),
            rate=self._formulas.read(rate.replace("{level}", level.id)),
            level=level.id,
        )


def _page(table: str) -> str:
    return table.partition(".")[0]
