"""Small parts of the query: packed rows at once, order, extremes, release, the door."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.answers import AnswerCell, Extremes
from contracts.catalogue import CATALOGUE, Column
from contracts.packed import pack, unpack
from contracts.scope import Scope
from services.aggregator.query.cells import cells, total_cell
from services.aggregator.query.columns import Plan
from services.aggregator.query.errors import UnknownColumnError
from services.aggregator.query.figures import Door, Figures, total
from services.aggregator.query.lines import Roll, ScopedLines
from services.aggregator.query.matrix import Codes, dense
from services.aggregator.query.order import extremes, order
from services.aggregator.query.readings import Reader
from services.aggregator.query.rights import denied, judge
from services.aggregator.query.sheets import Moment, Piles
from services.aggregator.query.states import ESTIMATED, NC, ND, PARTIAL, WHOLE
from services.aggregator.query.windows import resolve
from services.identity.scope import WIDGETS
from tests.services.aggregator.query.asking import NOW
from tests.services.aggregator.query.ledger import Ledger, scope, unpacked, visible

A, B, C, D = "0860001A", "0860002B", "0860003C", "0860004D"
TODAY = date(2026, 11, 20)
SOCIAL = {
    column.id: column for table in ("assiduite", "discipline") for column in CATALOGUE.tables[f"social.{table}"].columns
}
LATENESS, SANCTIONS = SOCIAL["lateness"], SOCIAL["sanctions"]

rows = st.lists(st.dictionaries(st.integers(0, 65_535), st.integers(0, 2**41), max_size=8), max_size=12)


@given(rows, st.sets(st.integers(0, 65_535), max_size=12))
def test_many_sheets_unpacked_as_one_by_one(sheets: list[dict[int, int]], wanted: set[int]):
    codes = Codes(wanted | {code for sheet in sheets[:3] for code in sheet})
    packed = [pack(sorted(sheet), [sheet[code] for code in sorted(sheet)]) for sheet in sheets]
    expected = [dict(zip(*(part.tolist() for part in unpack(sheet)), strict=True)) for sheet in packed]
    found = dense(packed, codes)
    assert found.tolist() == [[float(sheet.get(code, 0)) for code in codes.codes] for sheet in expected]


def roll(*names: str) -> Roll:
    return ScopedLines(scope(*(visible(uai, name=name) for uai, name in zip((A, B, C, D), names, strict=False)))).all


def figures(values: list[float], states: list[int] | None = None) -> Figures:
    state = np.array(states or [WHOLE] * len(values), np.int8)
    none = np.zeros(len(values))
    return Figures(state, np.array(values, float), None, none, none)


def uais(places: np.ndarray, of: Roll) -> list[str]:
    return [of.uais[place] for place in places.tolist()]


def test_order_by_name_and_uai():
    lines = roll("Zola", "Émile", "Émile", "Agnès")
    assert lines.uais == [D, B, C, A]
    assert uais(order(lines, "-name", dict[str, np.ndarray]().__getitem__), lines) == [A, B, C, D]
    assert uais(order(lines, "uai", dict[str, np.ndarray]().__getitem__), lines) == [A, B, C, D]
    assert uais(order(lines, "-uai", dict[str, np.ndarray]().__getitem__), lines) == [D, C, B, A]


def test_order_by_column_keeps_nothing_last_and_names_ascending():
    lines = roll("a", "b", "c", "d")
    values = {"x": np.array([3.0, np.nan, 3.0, 7.0])}
    assert uais(order(lines, "x", values.__getitem__), lines) == [A, C, D, B]
    assert uais(order(lines, "-x", values.__getitem__), lines) == [D, A, C, B]
    with pytest.raises(UnknownColumnError):
        order(lines, "y", values.__getitem__)


def test_extremes_mark_all_ties_and_nobody_alone():
    lines = roll("a", "b", "c", "d")
    assert extremes(figures([3, 1, 3, 2]), lines) == Extremes([A, C], [B])
    assert extremes(figures([3, 3, 3, 3]), lines) == Extremes([], [])
    assert extremes(figures([3, 9, 3, 1], [WHOLE, PARTIAL, WHOLE, ND]), lines) == Extremes([], [])
    assert extremes(figures([3, 9, 4, 1], [WHOLE, PARTIAL, ESTIMATED, ND]), lines) == Extremes([C], [A])


def test_totals_say_what_they_lack():
    assert total(figures([3, 0], [WHOLE, ND])).left_out == 1
    assert total(figures([0, 0], [NC, ND])).state == NC
    assert total(figures([3, 4], [WHOLE, ESTIMATED])).state == ESTIMATED
    assert total(figures([3, 4], [PARTIAL, ESTIMATED])).state == PARTIAL


def social(counts: dict[str, int], who: Scope, column: Column = SANCTIONS) -> tuple[list[AnswerCell], bytes]:
    """Cells of a Social column, and everything that the Social door lets out, as bytes."""
    ledger = Ledger()
    code = CATALOGUE.code("activities.social", column.id, level="6EME")
    for uai, count in counts.items():
        ledger.observe(uai, date(2026, 10, 1), date(2026, 10, 31))
        ledger.report(uai, "activities.social", "day", date(2026, 10, 5), {code: count})
    lines, plan = ScopedLines(who).all, Plan([column])
    reader = Reader(lines, resolve("last-month", None, TODAY), Moment(NOW, TODAY), plan)
    readings = reader.read(Piles(lines, unpacked(ledger.sheets(), plan.codes), plan.codes))
    found = Door(readings, threshold=5).figures(plan.columns[0])
    shown = list(cells(found))
    said = (
        shown,
        total_cell(total(found), unit="count"),
        extremes(found, lines),
        found.value.tolist(),
        found.state.tolist(),
    )
    return shown, msgspec.json.encode(said)


def reader(
    convention: str, *, own: bool = False, widgets: Iterable[str] = ("social.assiduite", "social.discipline")
) -> Scope:
    families = ("activities.social", "observed.journal")
    seen = [visible(uai, families=families, convention=convention, own=own) for uai in (A, B)]  # type: ignore[arg-type]
    return scope(*(msgspec.structs.replace(each, widgets=frozenset(widgets)) for each in seen))


def test_indicators_of_establishments_alone():
    assert CATALOGUE.indicators[SANCTIONS.indicator].audience == ("establishment",)
    assert social({A: 3, B: 12}, reader("consent"))[0] == [AnswerCell(None, "nc")] * 2
    assert social({A: 3, B: 12}, reader("joint"))[0] == [AnswerCell(3), AnswerCell(12)]
    assert social({A: 3, B: 12}, reader("consent", own=True))[0] == [AnswerCell(3), AnswerCell(12)]


def test_the_social_menu_is_rounded_and_hidden():
    released = {
        count: social({A: count, B: 50}, reader("consent"), LATENESS)[0][0] for count in (0, 1, 4, 5, 7, 8, 12, 13)
    }
    values = {count: cell.value for count, cell in released.items()}
    assert values == {0: 0, 1: None, 4: None, 5: 5, 7: 5, 8: 10, 12: 10, 13: 15}
    assert {cell.state for count, cell in released.items() if count in (1, 4)} == {"s"}
    assert social({A: 3, B: 12}, reader("joint"), LATENESS)[0] == [AnswerCell(3), AnswerCell(12)]


@pytest.mark.parametrize(("one", "other"), [(1, 2), (3, 4), (5, 7), (8, 12)])
def test_what_is_hidden_changes_no_byte(one: int, other: int):
    counts = {A: one, B: 23}
    assert (
        social(counts, reader("consent"), LATENESS)[1] == social({**counts, A: other}, reader("consent"), LATENESS)[1]
    )


def test_without_the_widget_nothing_is_communicated():
    assert social({A: 3, B: 12}, reader("joint", widgets=["social.eleves"]))[0] == [AnswerCell(None, "nc")] * 2


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_what_is_not_communicated_changes_no_byte(count: int):
    assert social({A: count, B: 3}, reader("consent"))[1] == social({A: 3, B: 3}, reader("consent"))[1]


def test_what_is_denied_is_denied_in_every_year():
    """Rights are the reader's; a year only says what exists. So a series over two school years asks for none."""
    roll = ScopedLines(scope(visible("0860001A", widgets=WIDGETS), visible("0860002B"))).all
    columns = [column for table in CATALOGUE.tables.values() for column in table.columns]
    refused = [denied(column, roll).tolist() for column in columns]
    assert {tuple(lines) for lines in refused} == {(False, False), (False, True), (True, True)}
    for year in (1999, 2014, 2026):
        assert [judge(column, roll, year).denied.tolist() for column in columns] == refused


def test_an_establishment_of_both_lacks_the_levels_of_neither():
    kinds = ("college", "lycee", "ecole", "cite_scolaire", "EPLE", "institut")
    roll = ScopedLines(scope(*(visible(f"086000{n}A", kind=kind) for n, kind in enumerate(kinds)))).all
    lacking = {level: dict(zip(roll.uais, roll.lacks(level).tolist(), strict=True)) for level in CATALOGUE.levels}
    assert [lacking["6EME"][f"086000{n}A"] for n in range(6)] == [False, True, True, False, False, False]
    assert [lacking["TALE"][f"086000{n}A"] for n in range(6)] == [True, False, True, False, False, False]
    assert [lacking["CP"][f"086000{n}A"] for n in range(6)] == [True, True, False, True, True, False]
    assert not any(lacking["AUTRE"].values())
