"""Social: days that are over, bands of pupils with a value, plans and pupils, release, audience, purposes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.answers import AnswerCell, TableAnswer
from contracts.scope import Scope
from tests.services.aggregator.query.asking import ask, cell, total
from tests.services.aggregator.query.ledger import Ledger, scope, visible

A, B = "0860001A", "0860002B"
FAMILIES = ("activities.social", "observed.journal")
WIDGETS = ("social.eleves", "social.assiduite", "social.discipline")
ELEVES, ASSIDUITE, DISCIPLINE = WIDGETS
TODAY, YESTERDAY = date(2026, 11, 20), date(2026, 11, 19)
S, NC, ND, NA = (AnswerCell(None, state) for state in ("s", "nc", "nd", "na"))


def seen(*uais: str, convention: str = "joint", **how: Any) -> Scope:
    everyone = uais or (A,)
    return scope(*(visible(uai, families=FAMILIES, widgets=WIDGETS, convention=convention, **how) for uai in everyone))  # type: ignore[arg-type]


def observed(*uais: str) -> Ledger:
    ledger = Ledger()
    for uai in uais or (A,):
        ledger.observe(uai, date(2026, 9, 1), TODAY)
    return ledger


def test_flows_are_shown_to_yesterday():
    ledger = observed()
    ledger.act(A, YESTERDAY, "lateness", 7)
    ledger.act(A, TODAY, "lateness", 5)  # an establishment that is ahead of the territory's date
    for window in ("current-month", "current-year"):
        answer = ask(ledger, seen(), ASSIDUITE, window=window)
        assert (answer.last_day, answer.complete) == (YESTERDAY, False)
        assert cell(answer, A, "lateness") == AnswerCell(7)


def test_nothing_is_known_before_a_first_day_is_over():
    ledger = Ledger()
    ledger.observe(A, date(2026, 9, 1), date(2026, 11, 1))
    ledger.take_census(A, "eleves", {"pupils 6EME": 30, "plans": 4}, columns=["plans"])
    first = datetime(2026, 11, 1, 15, tzinfo=UTC)
    answer = ask(ledger, seen(), ASSIDUITE, window="current-month", now=first)
    assert cell(answer, A, "lateness") == ND
    assert (answer.first_day, answer.last_day) == (date(2026, 11, 1), date(2026, 11, 1))
    assert cell(ask(ledger, seen(), ELEVES, window="current-month", now=first), A, "plans") == AnswerCell(4), (
        "a census waits for no day"
    )
    second = datetime(2026, 11, 2, 6, tzinfo=UTC)
    assert cell(ask(ledger, seen(), ASSIDUITE, window="current-month", now=second), A, "lateness") == AnswerCell(0)


def test_where_yesterday_is_not_over_yet():
    # 20 November, 00:30 in Paris: half past one in the afternoon of the 19th in Tahiti
    now = datetime(2026, 11, 19, 23, 30, tzinfo=UTC)
    ledger = Ledger()
    ledger.observe(A, date(2026, 9, 1), date(2026, 11, 18), zone="Pacific/Tahiti")
    ledger.observe_hours(A, YESTERDAY, dict.fromkeys(range(13), 60))
    ledger.act(A, date(2026, 11, 18), "lateness", 7)
    away = seen(zone="Pacific/Tahiti")
    assert cell(ask(ledger, away, ASSIDUITE, window="last-day", now=now), A, "lateness") == ND
    month = cell(ask(ledger, away, ASSIDUITE, window="current-month", now=now), A, "lateness")
    assert month == AnswerCell(7), "its own 19 November is to come, as the open window says once"


def test_bands_are_shares_of_pupils_with_a_value():
    ledger = observed()
    bands = {"absence_half_days.b0": 40, "absence_half_days.b5_9": 8, "absence_half_days.b20": 2, "valued.absences": 50}
    ledger.take_census(A, "eleves", {"pupils 6EME": 60} | bands, columns=["absences"])
    ledger.act(A, YESTERDAY, "absence_half_days", 90)
    answer = ask(ledger, seen(), ASSIDUITE)
    found = {column.id: value for column, value in zip(answer.columns, answer.rows[0].cells, strict=True)}
    assert found["absence_half_days"] == AnswerCell(90), "a flow of the window"
    assert [found[f"absence_half_days.{band}"].value for band in ("b0", "b1_4", "b5_9", "b10_19", "b20")] == [
        0.8,
        0.0,
        0.16,
        0.0,
        0.04,
    ]
    assert found["lateness.b0"] == ND, "the census has no such column"
    assert {column.unit for column in answer.columns if ".b" in column.id} == {"rate"}


def test_plans_are_plans_and_their_rate_is_of_pupils():
    ledger = observed()
    counted = {
        "pupils 6EME": 30,
        "pupils 5EME": 50,
        "plans": 12,
        "pupils_with_plans 6EME": 6,
        "pupils_with_plans 5EME": 2,
        "dropout 5EME": 4,
    }
    ledger.take_census(A, "eleves", counted, columns=["plans", "decrochage"])
    answer = ask(ledger, seen(), ELEVES)
    assert (cell(answer, A, "plans"), cell(answer, A, "plans.rate")) == (AnswerCell(12), AnswerCell(0.1))
    assert (cell(answer, A, "dropout"), cell(answer, A, "dropout.rate")) == (AnswerCell(4), AnswerCell(0.05))
    assert cell(answer, A, "medical_plans") == ND
    levels = ask(ledger, seen(), "social.niveaux.plans")
    assert [cell(levels, A, level) for level in ("6EME", "5EME", "4EME", "CP")] == [
        AnswerCell(6),
        AnswerCell(2),
        AnswerCell(0),
        NA,
    ]
    rates = ask(ledger, seen(), "social.niveaux.plans", display="rates")
    assert [cell(rates, A, level) for level in ("6EME", "5EME", "4EME")] == [AnswerCell(0.2), AnswerCell(0.04), NA]


def test_flows_by_level_are_shares_of_all_levels():
    ledger = observed()
    for level, n in (("6EME", 6), ("5EME", 3), ("AUTRE", 1)):
        ledger.act(A, YESTERDAY, "sanctions", n, level=level)
    answer = ask(ledger, seen(), "social.niveaux.sanctions")
    assert (cell(answer, A, "6EME"), cell(answer, A, "AUTRE"), cell(answer, A, "2NDE")) == (
        AnswerCell(6),
        AnswerCell(1),
        NA,
    )
    rates = ask(ledger, seen(), "social.niveaux.sanctions", display="rates")
    assert [cell(rates, A, level) for level in ("6EME", "AUTRE", "3EME", "2NDE")] == [
        AnswerCell(0.6),
        AnswerCell(0.1),
        AnswerCell(0.0),
        NA,
    ]


def test_release_rounds_hides_and_says_so():
    ledger = observed(A, B)
    for uai, late in ((A, 12), (B, 3)):
        ledger.act(uai, YESTERDAY, "lateness", late)
        ledger.take_census(
            uai,
            "eleves",
            {"pupils 6EME": 52, "lateness.b0": 48, "lateness.b1_4": 4, "valued.retards": 52},
            columns=["retards"],
        )
    answer = ask(ledger, seen(A, B, convention="consent"), ASSIDUITE)
    assert (cell(answer, A, "lateness"), cell(answer, B, "lateness")) == (AnswerCell(10), S)
    assert total(answer, "lateness") == AnswerCell(10, "partial", 1.0, left_out=1)
    assert cell(answer, A, "lateness.b0") == AnswerCell(1.0), "50 of 50, both released first"
    assert cell(answer, A, "lateness.b1_4") == S
    assert cell(answer, A, "lateness.b5_9") == AnswerCell(0.0), "nobody is nobody"
    notes = {column.id: column.notes for column in answer.columns}
    assert notes["lateness"] == ("arrondi à 5", "finalité liée à l'action sociale ou le transport")
    exact = ask(ledger, seen(A, B), ASSIDUITE)
    assert cell(exact, B, "lateness") == AnswerCell(3)
    assert "arrondi à 5" not in exact.columns[0].notes


def test_a_released_rate_never_passes_one():
    ledger = observed()
    ledger.take_census(
        A, "eleves", {"pupils 6EME": 8, "dropout 6EME": 8, "pupils 5EME": 9, "dropout 5EME": 0}, columns=["decrochage"]
    )
    rates = ask(ledger, seen(convention="consent"), "social.niveaux.dropout", display="rates")
    assert cell(rates, A, "6EME") == AnswerCell(1.0)
    ledger.take_census(A, "eleves", {"pupils 6EME": 12, "dropout 6EME": 12}, columns=["decrochage"])
    total_rate = cell(ask(ledger, seen(convention="consent"), ELEVES), A, "dropout.rate")
    assert total_rate == AnswerCell(1.0)


def test_a_territory_may_raise_the_threshold():
    ledger = observed()
    ledger.act(A, YESTERDAY, "lateness", 9)
    strict = seen(convention="consent")
    strict = msgspec.structs.replace(strict, territory=msgspec.structs.replace(strict.territory, threshold=10))
    assert cell(ask(ledger, strict, ASSIDUITE), A, "lateness") == S
    assert cell(ask(ledger, seen(convention="consent"), ASSIDUITE), A, "lateness") == AnswerCell(10)


CONFIDENTIAL = {
    ELEVES: {"medical_plans", "medical_plans.rate", "accompanied", "accompanied.rate"},
    ASSIDUITE: set[str](),
    DISCIPLINE: {
        f"{kind}{band}"
        for kind in ("sanctions", "punishments", "incidents")
        for band in ("", ".b0", ".b1_2", ".b3_5", ".b6")
    }
    | {"lesson_exclusions"},
}


@pytest.mark.parametrize("table", WIDGETS)
def test_what_is_for_establishments_alone(table: str):
    def withheld(answer: TableAnswer) -> set[str]:
        return {
            column.id for column, found in zip(answer.columns, answer.rows[0].cells, strict=True) if found.state == "nc"
        }

    assert withheld(ask(observed(), seen(convention="consent"), table)) == CONFIDENTIAL[table]
    assert withheld(ask(observed(), seen(convention="joint"), table)) == set()
    assert withheld(ask(observed(), seen(convention="consent", own=True), table)) == set()


def test_totals_leave_out_what_is_not_communicated():
    ledger = observed(A, B)
    for uai in (A, B):
        ledger.act(uai, YESTERDAY, "sanctions", 8)
    mixed = scope(*seen(A, convention="consent").establishments, *seen(B).establishments)
    answer = ask(ledger, mixed, DISCIPLINE)
    assert cell(answer, A, "sanctions") == NC
    assert total(answer, "sanctions") == AnswerCell(8, "partial", 1.0, left_out=1)
    assert answer.extremes["sanctions"].max == []


def test_each_widget_is_a_right_of_its_own():
    only = scope(visible(A, families=FAMILIES, convention="joint", widgets=["social.assiduite"]))
    assert cell(ask(observed(), only, ASSIDUITE), A, "lateness") == AnswerCell(0)
    assert cell(ask(observed(), only, DISCIPLINE), A, "protective_measures") == NC
    assert cell(ask(observed(), only, "social.niveaux.plans"), A, "6EME") == NC
    assert cell(ask(observed(), only, "social.niveaux.lateness"), A, "6EME") == AnswerCell(0)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.sampled_from(["values", "rates"]))
def test_a_hidden_number_changes_no_byte_of_a_table_by_levels(one: int, other: int, display: str):
    def told(n: int) -> bytes:
        ledger = observed(A, B)
        ledger.act(A, YESTERDAY, "lateness", n, level="6EME")
        ledger.act(B, YESTERDAY, "lateness", 30, level="6EME")
        return msgspec.json.encode(
            ask(ledger, seen(A, B, convention="consent"), "social.niveaux.lateness", display=display, sort="6EME")
        )

    assert told(one) == told(other)
