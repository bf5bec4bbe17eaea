"""A territory whose reports are written by hand and folded by the aggregator's own code: what query tests read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import numpy as np

from contracts.catalogue import CATALOGUE, GRAINS, Grain
from contracts.packed import pack, unpack
from contracts.periods import hours_of_day
from contracts.registry import ConventionKind, Establishment, Grant, Territory
from contracts.scope import Scope, VisibleEstablishment
from services.aggregator.periods import Periods
from services.aggregator.query.matrix import Codes
from services.aggregator.query.sheets import Batch, PeriodSheets
from services.aggregator.sheet import fold
from services.aggregator.states import Key, State, as_columns

FAMILIES = ("web", "software", "people", "observed.journal")
CENSUS_DAY = date(2026, 10, 5)
APPENDED = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Sheet(NamedTuple):
    """One row of `usage.sheets`, as far as it is read."""

    uai: str
    grain: Grain
    start: date
    cells: bytes
    cut_families: int
    as_of: datetime


def batches(sheets: Iterable[Sheet]) -> list[Batch]:
    """Sheets as the store hands them over, period by period."""
    by_period: dict[tuple[Grain, date], list[Sheet]] = {}
    for sheet in sheets:
        by_period.setdefault((sheet.grain, sheet.start), []).append(sheet)
    return [
        Batch(
            *period,
            [sheet.uai for sheet in found],
            [sheet.cells for sheet in found],
            [sheet.cut_families for sheet in found],
            [sheet.as_of for sheet in found],
            len(found),
        )
        for period, found in by_period.items()
    ]


def unpacked(sheets: Iterable[Sheet], codes: Codes) -> list[PeriodSheets]:
    """Sheets as answers are made of them."""
    return [PeriodSheets.of(batch, codes) for batch in batches(sheets)]


@dataclass
class Ledger:
    """Reports by key; `sheets()` folds them all."""

    states: dict[Key, State] = field(default_factory=dict)
    _folded: list[Sheet] | None = None

    def report(
        self,
        uai: str,
        family: str,
        grain: Grain,
        start: date,
        cells: Mapping[int, int],
        *,
        cut: bool = False,
        agent: int = 1,
        as_of: datetime = APPENDED,
    ) -> None:
        key = Key(uai, CATALOGUE.families[family].number, GRAINS.index(grain), start.toordinal(), agent)
        ordered = dict(sorted(cells.items()))
        packed = pack(list(ordered), list(ordered.values()))
        self.states[key] = State(0, cut, int(as_of.timestamp() * 1000), packed)
        self._folded = None

    def connect(
        self, uai: str, day: date, profile: str, n: int, *, channel: str = "web", access: str = "direct"
    ) -> None:
        family = "software" if channel == "software" else "web"
        code = CATALOGUE.code(family, "connections", profile, channel, access)
        self.report(uai, family, "day", day, {**self._stored(uai, family, day), code: n})

    def _stored(self, uai: str, family: str, day: date) -> dict[int, int]:
        key = Key(uai, CATALOGUE.families[family].number, GRAINS.index("day"), day.toordinal(), 1)
        codes, counts = unpack(self.states[key].cells if key in self.states else b"")
        return dict(zip(codes.tolist(), counts.tolist(), strict=True))

    def act(self, uai: str, day: date, measure: str, n: int, *, level: str = "AUTRE") -> None:
        """Activities of one day, as a journal tells them."""
        family = CATALOGUE.activity_measures[measure].family
        code = CATALOGUE.code(family, measure, level=level)
        self.report(uai, family, "day", day, {**self._stored(uai, family, day), code: n})

    def take_census(
        self, uai: str, file: str, counts: Mapping[str, int], *, columns: Iterable[str] = (), day: date = CENSUS_DAY
    ) -> None:
        """One file of a census; `counts`: by measure, with a profile or level behind a space where it has one.

        `columns`: the optional ones that the file has.
        """
        family = f"census.{file}"
        marks = {CATALOGUE.code(family, mark): 1 for mark in ("read", *(f"column.{name}" for name in columns))}
        self.report(uai, family, "day", day, marks | {_census_code(family, name): n for name, n in counts.items()})

    def observe(
        self,
        uai: str,
        first: date,
        last: date,
        *,
        zone: str = "Europe/Paris",
        source: str = "journal",
        minutes: int = 60,
    ) -> None:
        """Whole days observed, `minutes` of each hour."""
        for day in days(first, last):
            hours = len(hours_of_day(day, zone))
            self.observe_hours(uai, day, dict.fromkeys(range(hours), minutes), source=source)

    def observe_hours(self, uai: str, day: date, minutes: Mapping[int, int], *, source: str = "journal") -> None:
        family = f"observed.{source}"
        codes = CATALOGUE.select(family, "minutes")
        self.report(uai, family, "day", day, {codes[hour]: count for hour, count in minutes.items()})

    def sheets(self) -> list[Sheet]:
        """Folded once, until there is another report: most questions of a test are about the same sheets."""
        if self._folded is None:
            self._folded = self._fold()
        return self._folded

    def _fold(self) -> list[Sheet]:
        own, reports = as_columns(list(self.states.items()))
        periods = Periods()
        folded = fold(periods, reports.moved(periods.add(own)), np.ones(reports.n, np.bool_), {})
        known = periods.known
        return [
            Sheet(
                key.uai,
                GRAINS[key.grain],
                date.fromordinal(key.start),
                sheet.cells,
                sheet.cut_families,
                datetime.fromtimestamp(sheet.as_of / 1000, UTC),
            )
            for key, sheet in ((known[number], sheet) for number, sheet in folded.items())
        ]


def _census_code(family: str, name: str) -> int:
    measure, _, group = name.partition(" ")
    place = {"level": group} if group in CATALOGUE.levels else {"profile": group}
    return CATALOGUE.code(family, measure, **place)


def days(first: date, last: date) -> Iterable[date]:
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


def visible(
    uai: str,
    *,
    name: str = "",
    kind: str = "college",
    zone: str = "Europe/Paris",
    families: Iterable[str] = FAMILIES,
    convention: ConventionKind = "consent",
    opened: date | None = None,
    closed: date | None = None,
    postal_codes: tuple[str, ...] = ("86000",),
    own: bool = False,
    grants: tuple[Grant, ...] = (),
    widgets: Iterable[str] = (),
) -> VisibleEstablishment:
    establishment = Establishment(uai, name or f"Collège {uai}", kind, zone, postal_codes, opened, closed)
    granted = grants or tuple(Grant("agent", uai, family) for family in families)
    return VisibleEstablishment(establishment, convention, frozenset(widgets), own=own, grants=granted)


def scope(*establishments: VisibleEstablishment, zone: str = "Europe/Paris") -> Scope:
    return Scope(Territory("d086", "Vienne", zone), 1, establishments)
