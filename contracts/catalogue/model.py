"""What the catalogue is made of: dimensions, families, measures, cells, indicators, tables and their columns.

Labels are French, as screens show them; `en` is the English that definition cards speak on demand.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Grain = Literal["hour", "day", "month", "school_year"]
GRAINS: tuple[Grain, ...] = ("hour", "day", "month", "school_year")
Kind = Literal["counter", "people", "level", "minutes"]
Unit = Literal["count", "rate", "ratio"]
Display = Literal["values", "rates"]


class Profile(msgspec.Struct, frozen=True):
    """Who connects or has an account; `group` is what hour cells keep of it."""

    id: str
    number: int
    label: str
    en: str
    group: str = ""


class Channel(msgspec.Struct, frozen=True):
    """A way in, or (for people) a union of ways."""

    id: str
    number: int
    label: str
    en: str


class Access(msgspec.Struct, frozen=True):
    """Direct, through the ENT, unknown; for people also any."""

    id: str
    number: int
    label: str
    en: str


class Level(msgspec.Struct, frozen=True):
    """A school level, the types of establishment that have it, and what heads its columns."""

    id: str
    number: int
    group: str
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
    """Something counted; `code` is the first of its block of cell codes, `column` the optional census column it comes from."""

    id: str
    family: str
    code: int
    dims: Literal["audience", "level", "hour", "none"] = "none"
    label: str = ""
    en: str = ""
    column: str = ""
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


class Formula(msgspec.Struct, frozen=True):
    """The sum of `parts`, divided by the sum of `over` where there is something to divide by."""

    parts: tuple[Selector, ...]
    over: tuple[Selector, ...] = ()
    unit: Unit = "count"


class Column(msgspec.Struct, frozen=True):
    """What a table shows of each establishment: `value`, and what replaces it in Taux (None: it keeps its value).

    `indicator` is the one of the 80 that it is or details, `widget` the right that it takes, `level` the school level of a
    column of a table by levels. One that is not `on_page` is answered to those who ask for all columns.
    """

    id: str
    group: str
    label: str
    indicator: int
    widget: str
    value: Formula
    rate: Formula | None = None
    level: str = ""
    on_page: bool = True

    def formula(self, display: Display) -> Formula:
        """What the column is in this display."""
        return self.rate if display == "rates" and self.rate else self.value


By = Literal["window", "past-days", "school-year"]


class Table(msgspec.Struct, frozen=True):
    """A page's table: columns in the order shown; `reference` is the indicator that is the table as a whole.

    `by`: what a window is for it: the window itself, its days that are over, or the school year of its last day.
    """

    id: str
    page: str
    label: str
    by: By
    displays: tuple[Display, ...]
    columns: tuple[Column, ...]
    reference: int | None = None


Aspect = Literal["value", "rate", "previous", "difference"]


class CellOf(msgspec.Struct, frozen=True):
    """A column as a widget shows it: its value, what replaces it in Taux, its value a school year before, the difference."""

    column: Column
    aspect: Aspect = "value"


class WidgetHead(msgspec.Struct, frozen=True):
    """One column of a widget."""

    id: str
    label: str


class WidgetLine(msgspec.Struct, frozen=True):
    """One row of a widget: what fills it, by head; nothing where there is nothing to count."""

    id: str
    label: str
    cells: dict[str, CellOf]


class WidgetShape(msgspec.Struct, frozen=True):
    """A small table of a page's summary. `years`: its one line is repeated, school year by school year."""

    id: str
    label: str
    table: str
    heads: tuple[WidgetHead, ...]
    lines: tuple[WidgetLine, ...]
    years: bool = False


class Page(msgspec.Struct, frozen=True):
    """A menu of the console, the widgets of its summary and its charts (their names in the API, with labels)."""

    id: str
    label: str
    by: By
    widgets: tuple[WidgetShape, ...]
    series: dict[str, str] = {}

    @property
    def columns(self) -> tuple[Column, ...]:
        """Every column that its widgets show, once each."""
        cells = (cell for widget in self.widgets for line in widget.lines for cell in line.cells.values())
        return tuple({(cell.column.id, cell.column.indicator): cell.column for cell in cells}.values())

    @property
    def compares(self) -> bool:
        """Some cell tells of the school year before."""
        lines = (line for widget in self.widgets for line in widget.lines)
        return any(cell.aspect in {"previous", "difference"} for line in lines for cell in line.cells.values())


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
