"""The merge and the fold: any multiset of reports, in any order, cut into flushes anywhere, gives the same sheets."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.catalogue import CATALOGUE
from contracts.packed import pack
from contracts.packed import unpack as unpack_cells
from contracts.periods import month_start, school_year_start
from services.aggregator.bundle import unpack
from services.aggregator.flush import Bundle, Stored, census_years, flush
from services.aggregator.periods import DAY, MONTH, SCHOOL_YEAR, Periods, start_at
from services.aggregator.reports import Period
from services.aggregator.sheet import CENSUSES, Sheet, fold
from services.aggregator.states import Key, State, as_columns, as_states

UAIS = ("0750001A", "0750002B")
FAMILY = {name: family.number for name, family in CATALOGUE.families.items()}
DAYS = [date(2025, 8, 31), date(2025, 9, 1), date(2025, 9, 2), date(2025, 9, 30), date(2025, 10, 1), date(2026, 2, 28)]
WEB = CATALOGUE.select("web", "connections")[:6]
HUGE = 2**40


class Store:
    """What a database would keep: all bundles and sheets, read by the periods of a flush, written as it says."""

    def __init__(self) -> None:
        self.bundles: dict[Period, Bundle] = {}
        self.sheets: dict[Period, Sheet] = {}
        self.lower = 0

    def flush(self, arrivals: list[tuple[Key, State]]) -> None:
        own, reports = as_columns(arrivals)
        periods = Periods()
        arrived = reports.moved(periods.add(own))
        years = {(year.uai, year.start) for year in census_years(periods, arrived)}
        periods.add(
            day
            for day, bundle in self.bundles.items()
            if day.grain == DAY
            and (day.uai, start_at(SCHOOL_YEAR, day.start)) in years
            and bundle.families & sum(1 << family for family in CENSUSES)
        )
        found = flush(periods, arrived, self._read(periods))
        self.bundles.update(found.bundles)
        self.sheets.update(found.sheets)
        self.lower += found.lower.size

    def _read(self, periods: Periods) -> Stored:
        numbered = list(enumerate(periods.known))
        return Stored(
            {number: self.bundles[period].reports for number, period in numbered if period in self.bundles},
            {number: self.sheets[period] for number, period in numbered if period in self.sheets},
        )

    @property
    def reports(self) -> dict[Key, State]:
        periods = list(self.bundles)
        return dict(
            as_states(periods, unpack(range(len(periods)), [bundle.reports for bundle in self.bundles.values()]))
        )

    def rebuilt(self) -> dict[Period, Sheet]:
        periods = Periods(self.bundles)
        numbers = {period: number for number, period in enumerate(periods.known)}
        reports = unpack([numbers[period] for period in self.bundles], [b.reports for b in self.bundles.values()])
        folded = fold(periods, reports, np.ones(reports.n, np.bool_), {})
        return {periods.known[number]: sheet for number, sheet in folded.items()}


def _start(grain: int, day: date) -> int:
    return start_at(grain, day.toordinal())


@st.composite
def arrival(draw: st.DrawFn) -> tuple[Key, State]:
    name = draw(st.sampled_from(["web", "software", "people", "diagnostics", "census.comptes", "observed.journal"]))
    grains = [("hour", "day", "month", "school_year").index(g) for g in CATALOGUE.families[name].grains if g != "hour"]
    grain = draw(st.sampled_from(grains))
    codes = sorted(draw(st.sets(st.sampled_from(_codes(name)), max_size=3)))
    count = st.one_of(st.integers(0, 3), st.sampled_from([255, 256, 65_536, 2**28, 2**32, HUGE]))
    counts = draw(st.lists(count, min_size=len(codes), max_size=len(codes)))
    key = Key(
        draw(st.sampled_from(UAIS)),
        FAMILY[name],
        grain,
        _start(grain, draw(st.sampled_from(DAYS))),
        draw(st.integers(1, 2)),
    )
    restatement = draw(st.sampled_from([0, 0, 0, 7, 9]))
    return key, State(restatement, draw(st.booleans()), draw(st.integers(1, 5)), pack(codes, counts))


def _codes(name: str) -> list[int]:
    return [
        code for code, cell in CATALOGUE.cells.items() if cell.family == name and cell.measure != "connections_hour"
    ][:5]


@given(st.lists(arrival(), max_size=25), st.randoms(use_true_random=False), st.integers(1, 8))
def test_any_order_any_repetition_any_cut_gives_the_same_sheets(arrivals, rng: random.Random, size: int):
    at_once = Store()
    at_once.flush(arrivals)
    shuffled = arrivals + rng.sample(arrivals, len(arrivals) // 2)
    rng.shuffle(shuffled)
    by_parts = Store()
    for first in range(0, len(shuffled), size):
        by_parts.flush(shuffled[first : first + size])
    assert by_parts.reports == at_once.reports
    assert by_parts.sheets == at_once.sheets
    assert by_parts.rebuilt() == at_once.sheets


@given(st.lists(arrival(), max_size=25))
def test_sheets_are_what_a_plain_count_says(arrivals):
    store = Store()
    for one in arrivals:
        store.flush([one])
    assert {key: _cells(sheet) for key, sheet in store.sheets.items()} == _plainly(store.reports)


def _cells(sheet: Sheet) -> dict[int, int]:
    codes, counts = unpack_cells(sheet.cells)
    return dict(zip(codes.tolist(), counts.tolist(), strict=True))


def _plainly(reports: dict[Key, State]) -> dict[Period, dict[int, int]]:
    """The fold written again from decision to code, one cell at a time, with nothing shared."""
    sheets: defaultdict[Period, dict[int, int]] = defaultdict(dict)
    for uai in {key.uai for key in reports}:
        mine = {key: state for key, state in reports.items() if key.uai == uai}
        days = {key.start for key in mine if key.grain == DAY and key.family != FAMILY["census.comptes"]}
        for day in days:
            sheets[Period(uai, DAY, day)] = _own(mine, DAY, day)
        months = {month_start(date.fromordinal(day)).toordinal() for day in days}
        months |= {key.start for key in mine if key.grain == MONTH}
        for month in months:
            finer = [
                sheets[Period(uai, DAY, day)] for day in days if month_start(date.fromordinal(day)).toordinal() == month
            ]
            sheets[Period(uai, MONTH, month)] = _greater(_own(mine, MONTH, month), finer)
        years = {school_year_start(date.fromordinal(key.start)).toordinal() for key in mine}
        for year in years:
            finer = [
                sheets[Period(uai, MONTH, month)]
                for month in months
                if school_year_start(date.fromordinal(month)).toordinal() == year
            ]
            sheet = _greater(_own(mine, SCHOOL_YEAR, year), finer)
            sheets[Period(uai, SCHOOL_YEAR, year)] = sheet | _census(mine, year)
    return dict(sheets)


def _own(reports: dict[Key, State], grain: int, start: int) -> dict[int, int]:
    cells: defaultdict[int, int] = defaultdict(int)
    for key, state in reports.items():
        if (key.grain, key.start) == (grain, start) and key.family != FAMILY["census.comptes"]:
            codes, counts = unpack_cells(state.cells)
            for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
                added = CATALOGUE.cells[code].family in {"web", "software", "diagnostics"}
                cells[code] = cells[code] + count if added else max(cells[code], count)
    return {code: count for code, count in cells.items() if count}


def _greater(own: dict[int, int], finer: list[dict[int, int]]) -> dict[int, int]:
    sums: defaultdict[int, int] = defaultdict(int)
    for sheet in finer:
        for code, count in sheet.items():
            if CATALOGUE.cells[code].family != "people":
                sums[code] += count
    return {code: max(own.get(code, 0), sums.get(code, 0)) for code in own.keys() | sums.keys()}


def _census(reports: dict[Key, State], year: int) -> dict[int, int]:
    mine = [
        (key.start, state.restatement, state.cells)
        for key, state in reports.items()
        if key.family == FAMILY["census.comptes"] and school_year_start(date.fromordinal(key.start)).toordinal() == year
    ]
    newest = max(((start, restatement) for start, restatement, _ in mine), default=None)
    cells: defaultdict[int, int] = defaultdict(int)
    for start, restatement, packed in mine:
        if (start, restatement) == newest:
            codes, counts = unpack_cells(packed)
            for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
                cells[code] = max(cells[code], count)
    return dict(cells)


def _state(cells: dict[int, int], *, restatement: int = 0, cut: bool = False, as_of: int = 1) -> State:
    return State(restatement, cut, as_of, pack(sorted(cells), [cells[code] for code in sorted(cells)]))


def _key(family: str, grain: int, day: date, agent: int = 1) -> Key:
    return Key(UAIS[0], FAMILY[family], grain, _start(grain, day), agent)


def _sheet(store: Store, grain: int, day: date) -> Sheet:
    return store.sheets[Period(UAIS[0], grain, _start(grain, day))]


def test_a_higher_restatement_replaces_and_a_lower_one_is_counted():
    store = Store()
    key = _key("web", DAY, DAYS[1])
    store.flush([(key, _state({WEB[0]: 9, WEB[1]: 4}))])
    store.flush([(key, _state({WEB[0]: 5}, restatement=3))])
    store.flush([(key, _state({WEB[0]: 8}))])
    assert _cells(_sheet(store, MONTH, DAYS[1])) == {WEB[0]: 5}
    assert store.lower == 1


def test_counters_of_two_agents_are_added_and_people_take_the_greatest_and_are_flagged():
    people = CATALOGUE.select("people", "people")[0]
    store = Store()
    store.flush([(_key("web", DAY, DAYS[1], agent), _state({WEB[0]: 10})) for agent in (1, 2)])
    store.flush([(_key("people", MONTH, DAYS[1], agent), _state({people: 5 + agent})) for agent in (1, 2)])
    month = _sheet(store, MONTH, DAYS[1])
    assert _cells(month) == {WEB[0]: 20, people: 7}
    assert month.cut_families == 1 << FAMILY["people"]
    assert _sheet(store, SCHOOL_YEAR, DAYS[1]).cut_families == 0


def test_a_small_profile_reported_by_month_is_the_greater_of_both():
    store = Store()
    store.flush(
        [
            (_key("web", DAY, DAYS[1]), _state({WEB[0]: 3})),
            (_key("web", MONTH, DAYS[1]), _state({WEB[0]: 2, WEB[5]: 8})),
        ]
    )
    assert _cells(_sheet(store, MONTH, DAYS[1])) == {WEB[0]: 3, WEB[5]: 8}
    assert _cells(_sheet(store, SCHOOL_YEAR, DAYS[1])) == {WEB[0]: 3, WEB[5]: 8}


def test_cut_stays_in_its_own_period():
    store = Store()
    store.flush([(_key("web", DAY, DAYS[1]), _state({WEB[0]: 3}, cut=True))])
    assert _sheet(store, DAY, DAYS[1]).cut_families == 1 << FAMILY["web"]
    assert _sheet(store, MONTH, DAYS[1]).cut_families == 0


def test_the_newest_census_stands_in_the_school_year_with_its_zeros():
    accounts = CATALOGUE.select("census.comptes", "accounts")
    store = Store()
    store.flush([(_key("census.comptes", DAY, DAYS[4]), _state({accounts[0]: 0, accounts[1]: 7}, restatement=5))])
    store.flush([(_key("census.comptes", DAY, DAYS[1]), _state({accounts[0]: 99}, restatement=8))])
    assert _cells(_sheet(store, SCHOOL_YEAR, DAYS[1])) == {accounts[0]: 0, accounts[1]: 7}
    assert {key.grain for key in store.sheets} == {SCHOOL_YEAR}


@pytest.mark.parametrize("grain", [MONTH, SCHOOL_YEAR])
def test_frozen_sheets_are_left_alone(grain: int):
    store = Store()
    store.flush([(_key("web", DAY, DAYS[1]), _state({WEB[0]: 3}))])
    store.sheets = {key: sheet._replace(frozen=key.grain >= MONTH) for key, sheet in store.sheets.items()}
    before = dict(store.sheets)
    store.flush([(_key("web", DAY, DAYS[2]), _state({WEB[0]: 4}))])
    changed = {key for key, sheet in store.sheets.items() if before.get(key) != sheet}
    assert {key.grain for key in changed} == {DAY}
    assert grain not in {key.grain for key in changed}
