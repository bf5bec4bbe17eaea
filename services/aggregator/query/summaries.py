"""Summaries: a page's widgets, each a few columns over all the lines chosen, in rows of a profile, a channel, an access. Pure.

A widget is made of catalogue columns; a page is a list of widgets. What is not there (pupils have no desktop client) is `na`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from contracts.answers import AnswerCell, AnswerColumn, SummaryAnswer, Widget, WidgetRow
from contracts.catalogue import CATALOGUE, Column, Formula, Selector, Unit
from services.aggregator.query.cells import total_cell
from services.aggregator.query.columns import Plan, ReadyColumn
from services.aggregator.query.errors import UnknownPageError
from services.aggregator.query.figures import Door, total
from services.aggregator.query.readings import Readings
from services.aggregator.query.tables import notes

_TABLE = {column.id: column for column in CATALOGUE.tables["connexions.authentifiees"].columns}
_CONNECTING = ("eleve", "responsable", "accompagnant", "enseignant", "personnel")
_NOT_THERE = AnswerCell(None, "na")


@dataclass(frozen=True)
class Head:
    """One column of a widget."""

    id: str
    label: str
    unit: Unit


@dataclass(frozen=True)
class WidgetShape:
    """`cells[row][head]`: the catalogue column that fills a cell, absent where there is nothing to count."""

    id: str
    label: str
    heads: tuple[Head, ...]
    labels: Mapping[str, str]
    cells: Mapping[str, Mapping[str, Column]]

    @property
    def columns(self) -> Sequence[Column]:
        return [column for cells in self.cells.values() for column in cells.values()]


_CONNECTIONS = Head("connections", "Connexions", "count")
_SHARE = Head("share", "Part", "rate")


def _by_profile() -> WidgetShape:
    """Each profile's connections by channel, and of those by the Web the share made on a mobile device."""
    labels = {"total": "Total", **{profile: CATALOGUE.profiles[profile].label for profile in _CONNECTING}}
    heads = (
        Head("all", "Total", "count"),
        Head("net", ".Net", "count"),
        Head("mobile", ".Net mobile", "count"),
        Head("software", "Logiciel", "count"),
        Head("mobile_share", "Part du mobile", "rate"),
    )
    return WidgetShape("profils", "Par profil", heads, labels, {row: _of_profile(row) for row in labels})


def _of_profile(row: str) -> dict[str, Column]:
    found = {
        head: _TABLE[f"{row}.{head}"] for head in ("all", "net", "mobile", "software") if f"{row}.{head}" in _TABLE
    }
    mobile = found["mobile"]
    return {"all": found["net"], **found, "mobile_share": msgspec.structs.replace(mobile, value=mobile.rate)}


def _by_channel() -> WidgetShape:
    """All connections by channel, and each channel's share of them."""
    every = _TABLE["total.all"]
    parts = {
        "web": _narrowed(_TABLE["total.net"], channels=("web",)),
        "mobile": _TABLE["total.mobile"].value.parts,
        "software": _TABLE["total.software"].value.parts,
    }
    cells = {channel: _with_share(every, parts[channel], every.value.parts) for channel in parts}
    labels = {channel: CATALOGUE.channels[channel].label for channel in parts}
    return WidgetShape("supports", "Par support", (_CONNECTIONS, _SHARE), labels, cells)


def _by_access() -> WidgetShape:
    """Connections by `.Net` according to the way in: directly, through the ENT, unknown."""
    net = _TABLE["total.net"]
    accesses = ("direct", "ent", "unknown")
    cells = {access: _with_share(net, _narrowed(net, accesses=(access,)), net.value.parts) for access in accesses}
    labels = {access: CATALOGUE.accesses[access].label for access in accesses}
    return WidgetShape("acces", ".Net par accès", (_CONNECTIONS, _SHARE), labels, cells)


def _narrowed(column: Column, **dimensions: tuple[str, ...]) -> tuple[Selector, ...]:
    return tuple(msgspec.structs.replace(part, **dimensions) for part in column.value.parts)


def _with_share(column: Column, parts: tuple[Selector, ...], over: tuple[Selector, ...]) -> dict[str, Column]:
    counted, share = Formula(parts), Formula(parts, over, "rate")
    return {
        "connections": msgspec.structs.replace(column, value=counted),
        "share": msgspec.structs.replace(column, value=share),
    }


PAGES: Mapping[str, tuple[WidgetShape, ...]] = {"connexions": (_by_profile(), _by_channel(), _by_access())}


def plan(page: str) -> Plan:
    """The columns of a page's widgets; `UnknownPageError` for a page without a summary."""
    if page not in PAGES:
        raise UnknownPageError(f"{page!r}")
    return _plan(page)


@lru_cache(maxsize=16)
def _plan(page: str) -> Plan:
    return Plan([column for widget in PAGES[page] for column in widget.columns])


def answer(page: str, readings: Readings, *, threshold: int) -> SummaryAnswer:
    """The page's widgets over the lines chosen."""
    window = readings.window
    return SummaryAnswer(
        page=page,
        window=window.name,
        first_day=window.first_day,
        last_day=window.last_day,
        complete=window.complete,
        as_of=readings.as_of,
        widgets=[_widget(shape, readings, threshold) for shape in PAGES[page]],
        notes=notes(plan(page), readings),
    )


def _widget(shape: WidgetShape, readings: Readings, threshold: int) -> Widget:
    door = Door(readings, threshold)
    columns = [AnswerColumn(head.id, head.label, shape.label, head.unit, None) for head in shape.heads]
    rows = [
        WidgetRow(row, label, [_cell(door, shape.cells[row].get(head.id)) for head in shape.heads])
        for row, label in shape.labels.items()
    ]
    return Widget(shape.id, shape.label, columns, rows)


def _cell(door: Door, column: Column | None) -> AnswerCell:
    if column is None:
        return _NOT_THERE
    return total_cell(total(door.figures(ReadyColumn.of(column))), unit=column.value.unit)
