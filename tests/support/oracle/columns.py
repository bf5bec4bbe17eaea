"""A column of a page: which number it shows, over which other one, since when and for whom (rules.md 7 to 9)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from tests.support.oracle.activities import flow
from tests.support.oracle.cells import Cell, added, rate, without_value
from tests.support.oracle.days import school_year
from tests.support.oracle.levels import lacks

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.oracle.census import Measure
    from tests.support.oracle.counted import Counted
    from tests.support.oracle.days import Window

    Count = Callable[[Counted, Window], Cell]

FEWEST_SHOWN = 5


@dataclass(frozen=True)
class Since:
    """First and complete year of an indicator, and whether only the establishment's own accounts may see it."""

    year: int = 2010
    complete: int = 0
    own: bool = False


@dataclass(frozen=True)
class Number:
    """A count with what the law says of it; `social` ones are released before anything is made of them."""

    count: Count
    since: Since = Since()
    social: bool = False

    def cell(self, counted: Counted, window: Window) -> Cell:
        exact = counted.establishment.convention == "joint"
        if self.since.own and not exact:
            return without_value("nc")
        year = school_year(window.last).first.year
        if year < self.since.year:
            return without_value("nd")
        cell = self.count(counted, window)
        if self.social and not exact:
            cell = released(cell)
        return replace(cell, state="partial") if cell.value is not None and year < self.since.complete else cell


@dataclass(frozen=True)
class Column:
    """`over` is the denominator of its rate; `always` says that it is a quotient in both displays, and of which unit."""

    id: str
    number: Number
    over: Number | None = None
    always: str | None = None

    def unit(self, display: str) -> str:
        return self.always or ("rate" if self.over and display == "rates" else "count")

    def cell(self, counted: Counted, window: Window, display: str) -> Cell:
        cell = self.number.cell(counted, window)
        if self.over is None or self.unit(display) == "count":
            return cell
        return rate(cell, self.over.cell(counted, window))


def released(cell: Cell) -> Cell:
    """0 stays 0, 1 to 4 are hidden, others go to the nearest 5.

    Doubt: a released denominator of 0 has no quotient, `na`; "below 5: `s`" is read as the hidden ones, 1 to 4. Else every
    collège without SEGPA would be left out of the rates of its levels for a secret it does not have.
    """
    if cell.value is None or cell.value == 0:
        return cell
    if cell.value < FEWEST_SHOWN:
        return without_value("s")
    return replace(cell, value=Fraction(5 * round(cell.value / 5)))


# --- where numbers come from


def census(name: str, measure: Measure) -> Count:
    """What the newest census of the window's school year says.

    Doubt: a census has no minutes, so it is never `partial`, not even in a window that is over in the territory's zone only.
    """

    def count(counted: Counted, window: Window) -> Cell:
        if not counted.establishment.open_in(window):
            return without_value("na")
        file = counted.census_file(name, window)
        value = None if file is None else measure(file)
        return without_value("nd") if value is None else Cell(Fraction(value))

    return count


def journal(*measures: str, level: str | None = None) -> Count:
    return lambda counted, window: flow(counted, measures, window, level)


def of_level(level: str, count: Count) -> Count:
    """A level that the establishment's type lacks and that counts 0 is without object."""

    def without_foreign(counted: Counted, window: Window) -> Cell:
        cell = count(counted, window)
        foreign = cell.value == 0 and lacks(counted.establishment.type, level)
        return without_value("na") if foreign else cell

    return without_foreign


def sum_of(*numbers: Number) -> Count:
    """A sum of numbers that have their own first years: with a part that is not available, the known part, `partial`."""

    def count(counted: Counted, window: Window) -> Cell:
        if not counted.establishment.open_in(window):
            return without_value("na")
        return added([number.cell(counted, window) for number in numbers])

    return count
