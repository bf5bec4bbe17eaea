"""What the gateway answers: tables, series, freshness. Names are fixed (interfaces.md)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

import msgspec

from contracts.catalogue import Display, Unit

State = Literal["nc", "nd", "s", "na", "partial", "estimated"]


class AnswerCell(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A number, or None with the state that says why; `share` = observed part of the window, `left_out` = lines a total lacks."""

    value: float | int | None
    state: State | None = None
    share: float | None = None
    left_out: int | None = None


class AnswerColumn(msgspec.Struct, frozen=True, omit_defaults=True):
    """`notes`: what must be said wherever the column is shown, such as that it is rounded."""

    id: str
    label: str
    group: str
    unit: Unit
    indicator: int | None
    notes: tuple[str, ...] = ()


class AnswerRow(msgspec.Struct, frozen=True, gc=False):
    uai: str
    name: str
    postal_codes: tuple[str, ...]
    cells: list[AnswerCell]


class Extremes(msgspec.Struct, frozen=True):
    """UAIs of all lines that hold the column's greatest and smallest value."""

    max: list[str]
    min: list[str]


class TableAnswer(msgspec.Struct, frozen=True, rename={"first_day": "from", "last_day": "to"}):
    """One table as its reader sees it; `first_day` to `last_day` are the window's dates, both included."""

    table: str
    display: Display
    window: str
    first_day: date
    last_day: date
    complete: bool
    as_of: datetime | None
    columns: list[AnswerColumn]
    total: list[AnswerCell]
    rows: list[AnswerRow]
    extremes: dict[str, Extremes]
    notes: list[str] = []


class WidgetRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a widget: a profile, a measure, a school year; cells in the widget's column order.

    `notes`: what must be said beside it, such as what its figures are communicated for.
    """

    id: str
    label: str
    cells: list[AnswerCell]
    notes: tuple[str, ...] = ()


class Widget(msgspec.Struct, frozen=True):
    """A small table over all the establishments chosen; columns without an indicator of their own have none."""

    id: str
    label: str
    columns: list[AnswerColumn]
    rows: list[WidgetRow]


class SummaryAnswer(msgspec.Struct, frozen=True, rename={"first_day": "from", "last_day": "to"}):
    """A page's recap; `first_day` to `last_day` are the window's dates, both included."""

    page: str
    window: str
    first_day: date
    last_day: date
    complete: bool
    as_of: datetime | None
    widgets: list[Widget]
    notes: list[str] = []


class DailyPoint(msgspec.Struct, frozen=True):
    date: date
    connections: AnswerCell
    people: AnswerCell


class HourlyPoint(msgspec.Struct, frozen=True):
    """`hour` is the local label, 0 to 23: the hour lived twice is one label."""

    date: date
    hour: int
    connections: AnswerCell


class DailySeries(msgspec.Struct, frozen=True):
    points: list[DailyPoint]


class HourlySeries(msgspec.Struct, frozen=True):
    points: list[HourlyPoint]


class Freshness(msgspec.Struct, frozen=True):
    uai: str
    family: str
    observed_until: datetime | None
