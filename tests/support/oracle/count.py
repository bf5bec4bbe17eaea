"""Every table and series for one territory at one instant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from tests.support.oracle import series
from tests.support.oracle.cells import SOME_SHARE, Cell, extremes, rate, total, without_value
from tests.support.oracle.counted import Counted, component_missing
from tests.support.oracle.days import Window, school_year, window_of
from tests.support.oracle.levels import plain
from tests.support.oracle.pages import BY_SCHOOL_YEAR, PAGES, WITHOUT_RATES
from tests.support.oracle.territory import read_territory

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date, datetime
    from pathlib import Path

PROFILE_CHANNELS = {
    "total": ("all", "net", "mobile", "software"),
    "eleve": ("net", "mobile"),
    "responsable": ("net", "mobile"),
    "accompagnant": ("net", "mobile"),
    "enseignant": ("all", "net", "mobile", "software"),
    "personnel": ("all", "net", "mobile", "software"),
}
COLUMNS = [f"{profile}.{channel}" for profile, channels in PROFILE_CHANNELS.items() for channel in channels]
ENT_COLUMNS = [f"{profile}.{channel}" for profile in PROFILE_CHANNELS for channel in ("net", "mobile")]
TABLES = {
    "connexions.authentifiees": COLUMNS,
    "connexions.individus": COLUMNS,
    "connexions.individus-ent": ENT_COLUMNS,
}
EVERY_TABLE = (*TABLES, *PAGES)
OVER = {"net": "all", "software": "all", "mobile": "net"}
"""A channel's rate is its share of this one; `all` keeps its value in Taux."""


BY_ID = {table: {column.id: column for column in columns} for table, columns in PAGES.items()}


def displays_of(table: str) -> tuple[str, ...]:
    """Asked for the other one, a table answers 422."""
    return ("values",) if table in WITHOUT_RATES else ("values", "rates")


def columns_of(table: str, display: str) -> dict[str, str]:
    """Column → unit."""
    if table in PAGES:
        return {column.id: column.unit(display) for column in PAGES[table]}
    people = table != "connexions.authentifiees"
    shares = {column: people or column.partition(".")[2] in OVER for column in TABLES[table]}
    return {column: "rate" if display == "rates" and share else "count" for column, share in shares.items()}


@dataclass(frozen=True)
class ExpectedTable:
    table: str
    display: str
    window: Window
    columns: dict[str, str]
    """Column → unit."""
    order: list[str]
    rows: dict[str, dict[str, Cell]]
    total: dict[str, Cell]
    extremes: dict[str, tuple[set[str], set[str]]]


class Oracle:
    """`Oracle(folder, now)` answers what the gateway must answer about the territory in `folder` at the instant `now`."""

    def __init__(self, folder: Path, now: datetime) -> None:
        self.territory = read_territory(folder)
        self.now = now
        self.counted = {each.uai: Counted(each, now) for each in self.territory.lines}

    @cached_property
    def today(self) -> date:
        return self.now.astimezone(self.territory.zone).date()

    def window(self, *, window: str | None = None, year: str | None = None) -> Window:
        return window_of(self.today, window=window, year=year)

    def table(
        self,
        table: str,
        *,
        window: str | None = None,
        year: str | None = None,
        display: str = "values",
        establishments: Collection[str] | None = None,
        search: str = "",
        sort: str = "name",
    ) -> ExpectedTable:
        asked = self._window_of(table, window, year)
        shown = [uai for uai in self.counted if self._shown(uai, establishments, search)]
        columns = columns_of(table, display)
        rows = {
            uai: {column: self._cell(self.counted[uai], table, column, asked, display) for column in columns}
            for uai in shown
        }
        by_column = {column: {uai: cells[column] for uai, cells in rows.items()} for column in columns}
        return ExpectedTable(
            table=table,
            display=display,
            window=asked,
            columns=columns,
            order=self._sorted(shown, rows, sort),
            rows=rows,
            total={column: total(list(cells.values())) for column, cells in by_column.items()},
            extremes={column: extremes(cells) for column, cells in by_column.items()},
        )

    def _window_of(self, table: str, window: str | None, year: str | None) -> Window:
        """The window asked for; its school year for pages by school year; to yesterday for Social.

        Doubt: windows "end today", Social "is shown to yesterday": its answers say that they go to yesterday, on the first day of a
        window to that day, of which nothing is known.
        """
        asked = self.window(window=window, year=year)
        if table.startswith("social."):
            yesterday = max(asked.first, self.today - timedelta(days=1))
            return replace(asked, last=min(asked.last, yesterday))
        return self.window(year=school_year(asked.last).label) if table in BY_SCHOOL_YEAR else asked

    def _cell(self, counted: Counted, table: str, column: str, window: Window, display: str) -> Cell:
        if table in PAGES:
            return BY_ID[table][column].cell(counted, window, display)
        if table == "connexions.authentifiees":
            return self._connections(counted, column, window, display)
        cell = counted.people(column, window, ent=table.endswith("-ent"))
        if display == "rates" and cell.value is not None and component_missing(column, window):
            return without_value("nd")
        if display == "values" or cell.state == "na":  # what is not there at all stays so, whatever it is divided by
            return cell
        return rate(cell, counted.accounts_of(column, window))

    def _connections(self, counted: Counted, column: str, window: Window, display: str) -> Cell:
        profile, channel = column.split(".")
        cell = counted.connections(column, window)
        if display == "values" or channel not in OVER:
            return cell
        over = f"{profile}.{OVER[channel]}"
        lacking = counted.lacks_a_part(over, window) or component_missing(over, window)
        if lacking and cell.state != "na":
            return without_value("nd")  # divided by a sum that lacks a part
        found = rate(cell, counted.connections(over, window))
        if counted.beside and found.state == "partial":
            return replace(found, share=SOME_SHARE)  # of two sources with minutes of their own
        return found

    def _shown(self, uai: str, establishments: Collection[str] | None, search: str) -> bool:
        establishment = self.counted[uai].establishment
        if establishments and uai not in establishments:
            return False
        texts = (establishment.uai, establishment.name, *establishment.postal_codes)
        return any(plain(search) in plain(text) for text in texts)

    def _sorted(self, shown: list[str], rows: dict[str, dict[str, Cell]], sort: str) -> list[str]:
        """Null last both ways; ties by name in French order, then UAI, ascending both ways (doubt for the descending one)."""
        by, downwards = sort.removeprefix("-"), sort.startswith("-")
        ordered = sorted(shown, key=self._name_key)
        if by == "uai":
            return sorted(ordered, reverse=downwards)
        if by == "name":
            ordered.sort(key=lambda uai: self._name_key(uai)[:2], reverse=downwards)
            return ordered
        valued = [uai for uai in ordered if rows[uai][by].value is not None]
        valued.sort(key=lambda uai: rows[uai][by].value or 0, reverse=downwards)
        return valued + [uai for uai in ordered if rows[uai][by].value is None]

    def _name_key(self, uai: str) -> tuple[str, str, str]:
        name = self.counted[uai].establishment.name
        return plain(name), name, uai

    def daily(self, establishments: Collection[str] | None = None) -> dict[date, tuple[Cell, Cell]]:
        """Date → connections by all channels, distinct people by `.net`: 28 days, then today."""
        return series.daily(self._chosen(establishments), self.today)

    def hourly(self, establishments: Collection[str] | None = None) -> dict[tuple[date, int], Cell]:
        """(date, hour label) → connections, for 21 days before today."""
        return series.hourly(self._chosen(establishments), self.today)

    def observed_until(self) -> dict[str, datetime | None]:
        """Start of the last hour with an observed minute, by UAI: the platform knows how many, not which.

        Establishments of which no agent may report anything are not there.
        """
        read = {uai: counted for uai, counted in self.counted.items() if counted.establishment.is_read}
        return {uai: max(counted.minutes, default=None) for uai, counted in read.items()}

    def _chosen(self, establishments: Collection[str] | None) -> list[Counted]:
        return [each for uai, each in self.counted.items() if not establishments or uai in establishments]
