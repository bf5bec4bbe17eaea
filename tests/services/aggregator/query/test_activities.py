"""Scolarité, Communications, Travaux: flows of a window, sums of measures, rates of each group."""

from __future__ import annotations

from datetime import date

import pytest

from contracts.answers import AnswerCell
from contracts.catalogue import CATALOGUE
from contracts.scope import Scope
from services.aggregator.query.errors import UnknownColumnError, UnknownColumnsError
from tests.services.aggregator.query.asking import ask, cell, total
from tests.services.aggregator.query.ledger import Ledger, scope, visible

A, B = "0860001A", "0860002B"
YESTERDAY, EARLIER = date(2026, 11, 19), date(2026, 10, 6)
FAMILIES = ("activities.scolarite", "activities.communications", "activities.travaux", "web", "observed.journal")
WIDGETS = (
    "scolarite.ressources",
    "scolarite.cahier_de_textes",
    "scolarite.evaluations",
    "scolarite.stages",
    "communications",
    "travaux",
)
SCOLARITE, COMMUNICATIONS, TRAVAUX = (f"{page}.etablissements" for page in ("scolarite", "communications", "travaux"))
NA = AnswerCell(None, "na")


def seen(*uais: str) -> Scope:
    return scope(*(visible(uai, families=FAMILIES, widgets=WIDGETS) for uai in uais))


def ledger_of(counts: dict[str, int], uai: str = A, day: date = YESTERDAY) -> Ledger:
    return add(Ledger(), counts, uai, day)


def add(ledger: Ledger, counts: dict[str, int], uai: str = A, day: date = YESTERDAY) -> Ledger:
    ledger.observe(uai, date(2026, 9, 1), date(2026, 11, 20))
    for measure, n in counts.items():
        ledger.act(uai, day, measure, n, level="6EME")
    return ledger


def test_flows_add_up_over_the_window_and_all_levels():
    ledger = ledger_of({"quizzes": 3})
    ledger.act(A, EARLIER, "quizzes", 4)
    ledger.act(A, EARLIER, "quizzes", 2, level="CP")
    by_window = {
        w: cell(ask(ledger, seen(A), SCOLARITE, window=w), A, "quizzes")
        for w in ("last-day", "last-month", "current-year")
    }
    assert by_window == {"last-day": AnswerCell(3), "last-month": AnswerCell(6), "current-year": AnswerCell(9)}


def test_evaluations_are_marked_and_by_competence_and_marks_are_neither():
    ledger = ledger_of(
        {"evaluations_marked": 6, "evaluations_competence": 2, "evaluations_with_subject": 4, "marks": 150}
    )
    answer = ask(ledger, seen(A), SCOLARITE)
    assert cell(answer, A, "evaluations") == AnswerCell(8)
    rates = ask(ledger, seen(A), SCOLARITE, display="rates")
    shares = [
        cell(rates, A, f"evaluations_{kind}").value for kind in ("marked", "competence", "with_subject", "with_key")
    ]
    assert shares == [0.75, 0.25, 0.5, 0.0]
    assert cell(rates, A, "evaluations") == AnswerCell(8), "totals stay numbers"
    assert cell(ask(ledger, seen(A), SCOLARITE, columns="all"), A, "marks") == AnswerCell(150)


def test_rates_of_the_homework_diary():
    ledger = ledger_of(
        {
            "work_given": 20,
            "work_online": 5,
            "copies_handed_in": 40,
            "copies_corrected": 30,
            "documents": 9,
            "placements": 2,
        }
    )
    add(ledger, {"work_given": 0}, B)
    rates = ask(ledger, seen(A, B), SCOLARITE, display="rates")
    assert (cell(rates, A, "work_online"), cell(rates, A, "copies_corrected")) == (AnswerCell(0.25), AnswerCell(0.75))
    assert [
        cell(rates, A, column).value for column in ("work_given", "copies_handed_in", "documents", "placements")
    ] == [20, 40, 9, 2]
    assert cell(rates, B, "work_online") == NA
    assert total(rates, "work_online") == AnswerCell(0.25)


def test_messages_of_the_page_are_those_sent():
    ledger = ledger_of({"messages": 10, "messages_received": 32, "blog_posts": 1})
    answer = ask(ledger, seen(A), COMMUNICATIONS)
    assert cell(answer, A, "messages") == AnswerCell(10)
    assert not {"messages_all", "messages_received", "blog_posts"} & {column.id for column in answer.columns}
    every = ask(ledger, seen(A), COMMUNICATIONS, columns="all", sort="-messages_all")
    assert cell(every, A, "messages_all") == AnswerCell(42)
    with pytest.raises(UnknownColumnError):
        ask(ledger, seen(A), COMMUNICATIONS, sort="messages_all")
    with pytest.raises(UnknownColumnsError):
        ask(ledger, seen(A), COMMUNICATIONS, columns="messages_all")


def test_orders_are_in_the_total_of_requests_and_nowhere_else():
    ledger = ledger_of({"requests_maintenance": 4, "requests_it": 3, "requests_secretarial": 1, "requests_order": 2})
    answer = ask(ledger, seen(A), TRAVAUX)
    assert [found.value for found in answer.rows[0].cells] == [10, 4, 3, 1]
    rates = ask(ledger, seen(A), TRAVAUX, display="rates")
    assert [found.value for found in rates.rows[0].cells] == [10, 0.4, 0.3, 0.1]
    assert [column.unit for column in rates.columns] == ["count", "rate", "rate", "rate"]


def test_a_share_of_mobile_as_the_annex_divides_it():
    ledger = Ledger()
    ledger.observe(A, YESTERDAY, YESTERDAY)
    for channel, n in (("web", 2), ("mobile", 3), ("software", 5)):
        ledger.connect(A, YESTERDAY, "enseignant", n, channel=channel)
    everything = scope(visible(A))
    answer = ask(ledger, everything, "connexions.authentifiees", window="last-day", display="rates", columns="all")
    assert cell(answer, A, "enseignant.mobile") == AnswerCell(0.6)
    assert cell(answer, A, "enseignant.mobile_of_all") == AnswerCell(0.3)
    plain = ask(ledger, everything, "connexions.authentifiees", window="last-day", display="rates")
    assert "enseignant.mobile_of_all" not in {column.id for column in plain.columns}


def test_each_widget_of_a_table_is_a_right_of_its_own():
    only = scope(visible(A, families=FAMILIES, widgets=["scolarite.stages"]))
    answer = ask(ledger_of({"placements": 2, "quizzes": 3}), only, SCOLARITE)
    assert (cell(answer, A, "placements"), cell(answer, A, "quizzes")) == (AnswerCell(2), AnswerCell(None, "nc"))
    assert cell(ask(ledger_of({}), only, TRAVAUX), A, "requests") == AnswerCell(None, "nc")


def test_small_profiles_are_no_reserve_of_these_tables():
    ledger = ledger_of({"requests_it": 3})
    answer = ask(ledger, seen(A), TRAVAUX)
    assert answer.notes == []


def test_unobserved_or_not_asked_for_is_not_zero():
    ledger = ledger_of({"requests_it": 3})
    answer = ask(ledger, seen(A, B), TRAVAUX)
    assert cell(answer, B, "requests") == AnswerCell(None, "nd")
    assert total(answer, "requests") == AnswerCell(3, "partial", 1.0, left_out=1)
    without = scope(visible(A, families=("web", "observed.journal"), widgets=WIDGETS))
    assert cell(ask(ledger, without, TRAVAUX), A, "requests") == AnswerCell(None, "nd")


def test_first_years():
    ledger = Ledger()
    ledger.observe(A, date(2015, 9, 1), date(2016, 8, 31))
    year = ask(ledger, seen(A), SCOLARITE, school_year="2015-2016")
    assert [cell(year, A, column).state for column in ("copies_handed_in", "copies_corrected", "forums")] == ["nd"] * 3
    assert cell(year, A, "textbooks") == AnswerCell(0), "since 2015"
    assert cell(year, A, "placements") == AnswerCell(0), "of no indicator: as old as the reference table"
    assert cell(ask(ledger, seen(A), TRAVAUX, school_year="2015-2016"), A, "requests") == AnswerCell(None, "nd")


def test_a_year_before_the_agents_is_known_by_its_totals():
    ledger = ledger_of({"quizzes": 3})
    imported = {CATALOGUE.code("activities.scolarite", "quizzes", level="AUTRE"): 900}
    ledger.report(A, "activities.scolarite", "school_year", date(2018, 9, 1), imported)
    year = ask(ledger, seen(A, B), SCOLARITE, school_year="2018-2019")
    assert cell(year, A, "quizzes") == AnswerCell(900), "nobody observed it, and nothing of it is missing"
    assert cell(year, A, "documents") == AnswerCell(0), "of a family that was reported"
    assert cell(year, B, "quizzes") == AnswerCell(None, "nd")
    assert cell(ask(ledger, seen(A), TRAVAUX, school_year="2018-2019"), A, "requests") == AnswerCell(None, "nd"), (
        "nobody told"
    )
    assert total(year, "quizzes") == AnswerCell(900, "partial", left_out=1)
    assert year.notes[0].startswith("repris")
    assert ask(ledger, seen(A), SCOLARITE).notes == []


def test_people_of_a_year_before_the_agents_are_known_whatever_counts_connections_since():
    ledger = Ledger()
    people = {CATALOGUE.code("people", "people", "eleve", "net", "any"): 30}
    ledger.report(A, "people", "school_year", date(2018, 9, 1), people)
    logged = scope(visible(A, families=("web", "people", "observed.access-log")))
    year = ask(ledger, logged, "connexions.individus", school_year="2018-2019")
    assert cell(year, A, "eleve.net") == AnswerCell(30)


def test_an_observed_year_is_no_year_before_the_agents():
    ledger = Ledger()
    ledger.observe(A, date(2026, 3, 2), date(2026, 3, 2))
    ledger.act(A, date(2026, 3, 2), "quizzes", 3)
    year = ask(ledger, seen(A), SCOLARITE, window="last-year")
    assert (cell(year, A, "quizzes").value, cell(year, A, "quizzes").state) == (3, "partial")
    assert year.notes == []
