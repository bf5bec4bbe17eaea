"""Every table of the catalogue answers, in each display, of establishments with data, without and of another kind."""

from __future__ import annotations

import itertools
from datetime import date

import pytest

from contracts.catalogue import CATALOGUE
from services.aggregator.query.errors import NoComparisonError, NoRatesError
from services.identity.scope import WIDGETS
from tests.services.aggregator.query.asking import ask
from tests.services.aggregator.query.ledger import Ledger, scope, visible

A, B, C = "0860001A", "0860002B", "0860003C"
FAMILIES = tuple(family for family in CATALOGUE.families if family != "observed.access-log")
MONDAY = date(2026, 11, 16)


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    """One of every cell at A, on one day; B has nothing; C was observed."""
    ledger = Ledger()
    for uai in (A, C):
        ledger.observe(uai, date(2026, 9, 1), date(2026, 11, 19))
    for family in FAMILIES:
        if not family.startswith("observed") and family != "diagnostics":
            cells = {code: 1 + code % 7 for code, cell in CATALOGUE.cells.items() if cell.family == family}
            ledger.report(A, family, "day", MONDAY, cells)
            if family == "people":
                ledger.report(A, family, "school_year", date(2026, 9, 1), cells)
    return ledger


KINDS = {A: "college", B: "lycee", C: "ecole"}
EVERYBODY = scope(
    *(visible(uai, families=FAMILIES, kind=kind, widgets=WIDGETS, own=True) for uai, kind in KINDS.items())
)


@pytest.mark.parametrize("table", CATALOGUE.tables)
def test_a_table_answers(table: str, ledger: Ledger):
    for display, columns in itertools.product(CATALOGUE.tables[table].displays, ("page", "all")):
        answer = ask(ledger, EVERYBODY, table, display=display, columns=columns)
        assert [row.uai for row in answer.rows] == [A, B, C]
        of_a, of_b, _ = (row.cells for row in answer.rows)
        assert all(cell.state in {"nd", "na"} and cell.value is None for cell in of_b)
        assert all(cell.value is not None or cell.state == "na" for cell in of_a)
        assert any(cell.value for cell in of_a)
        assert len(answer.total) == len(answer.columns)


@pytest.mark.parametrize("table", CATALOGUE.tables)
def test_a_table_is_compared_by_school_year_or_refuses(table: str, ledger: Ledger):
    if CATALOGUE.tables[table].by == "school-year":
        answer = ask(ledger, EVERYBODY, table, compare="previous")
        assert len(answer.columns) == 3 * len(CATALOGUE.tables[table].columns)
    else:
        with pytest.raises(NoComparisonError):
            ask(ledger, EVERYBODY, table, compare="previous")


@pytest.mark.parametrize(
    "table", ["social.eleves", "social.assiduite", "social.discipline", "communications.etablissements"]
)
def test_a_table_without_rates_refuses_them(table: str, ledger: Ledger):
    with pytest.raises(NoRatesError):
        ask(ledger, EVERYBODY, table, display="rates")
