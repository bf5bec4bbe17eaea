"""Every page's summary: widgets over all the lines, and Accueil's school years."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from contracts.answers import AnswerCell, SummaryAnswer
from contracts.catalogue import CATALOGUE
from contracts.scope import Opening, Scope
from services.aggregator.query.errors import UnknownPageError
from services.identity.scope import WIDGETS
from tests.services.aggregator.query.asking import ask_summary
from tests.services.aggregator.query.ledger import Ledger, scope, visible

A, B, C = "0860001A", "0860002B", "0860003C"
YESTERDAY = date(2026, 11, 19)
FAMILIES = (
    *(f for f in CATALOGUE.families if f.startswith("activities.")),
    "web",
    "software",
    "people",
    "observed.journal",
)
NA, NC, ND = (AnswerCell(None, state) for state in ("na", "nc", "nd"))


def seen(*uais: str, convention: str = "joint", widgets: frozenset[str] = WIDGETS) -> Scope:
    return scope(*(visible(uai, families=FAMILIES, widgets=widgets, convention=convention) for uai in uais))  # type: ignore[arg-type]


def observed(*uais: str) -> Ledger:
    ledger = Ledger()
    for uai in uais:
        ledger.observe(uai, date(2026, 9, 1), date(2026, 11, 20))
    return ledger


def rows(answer: SummaryAnswer, widget: str) -> dict[str, dict[str, AnswerCell]]:
    found = next(each for each in answer.widgets if each.id == widget)
    heads = [column.id for column in found.columns]
    return {row.id: dict(zip(heads, row.cells, strict=True)) for row in found.rows}


@pytest.mark.parametrize("page", CATALOGUE.pages)
def test_every_page_has_its_summary(page: str):
    answer = ask_summary(observed(A), seen(A), page)
    assert [widget.id for widget in answer.widgets] == [widget.id for widget in CATALOGUE.pages[page].widgets]
    for widget in answer.widgets:
        assert widget.rows
        assert all(len(row.cells) == len(widget.columns) for row in widget.rows)


def test_no_other_page_has_one():
    with pytest.raises(UnknownPageError):
        ask_summary(Ledger(), seen(A), "nowhere")


def test_moyens_in_six_widgets():
    ledger = Ledger()
    for uai, enrolled in ((A, 200), (B, 100)):
        ledger.take_census(uai, "eleves", {"pupils 6EME": enrolled, "girls": 90}, columns=["sexe"])
        ledger.take_census(
            uai, "personnels", {"staff administratif": 3, "staff vie_scolaire": 3, "staff enseignant": 15}
        )
        ledger.take_census(uai, "salles", {"rooms": 10, "occupied_slots": 90, "open_slots": 300})
    answer = ask_summary(ledger, seen(A, B), "moyens", window="last-day")
    assert (answer.first_day, answer.window) == (date(2026, 9, 1), "last-day")
    pupils = rows(answer, "eleves")
    assert (pupils["pupils"], pupils["girls"]) == (
        {"count": AnswerCell(300), "share": NA},
        {"count": AnswerCell(180), "share": AnswerCell(0.6)},
    )
    assert rows(answer, "personnels")["admin"] == {"count": AnswerCell(6), "pupils_per": AnswerCell(50.0)}
    assert rows(answer, "personnels")["staff"] == {"count": AnswerCell(12), "pupils_per": NA}
    assert rows(answer, "enseignants")["teachers"] == {"count": AnswerCell(30), "pupils_per": AnswerCell(10.0)}
    assert rows(answer, "salles")["rooms"] == {"count": AnswerCell(20), "occupancy": AnswerCell(0.3)}
    assert rows(answer, "classes")["classes"]["count"] == AnswerCell(None, "nd", left_out=2)


def test_social_in_three_widgets_released_and_with_its_purposes():
    ledger = observed(A, B)
    for uai, late in ((A, 12), (B, 3)):
        ledger.act(uai, YESTERDAY, "lateness", late)
    answer = ask_summary(ledger, seen(A, B, convention="consent"), "social")
    assert answer.last_day == YESTERDAY
    assert rows(answer, "assiduite")["lateness"]["count"] == AnswerCell(10, "partial", 1.0, left_out=1)
    assert rows(answer, "discipline")["sanctions"]["count"] == AnswerCell(None, "nc", left_out=2)
    widget = answer.widgets[1]
    assert {column.notes for column in widget.columns} == {("arrondi à 5",)}
    assert [row.notes for row in widget.rows] == [
        ("finalité liée à l'action sociale",),
        ("finalité liée à l'action sociale ou le transport",),
    ]
    exact = ask_summary(ledger, seen(A, B), "social")
    assert rows(exact, "assiduite")["lateness"]["count"] == AnswerCell(15)
    assert {column.notes for column in exact.widgets[1].columns} == {()}


def test_scolarite_communications_and_travaux():
    ledger = observed(A)
    for measure, n in {
        "quizzes": 3,
        "work_given": 4,
        "work_online": 1,
        "sms": 7,
        "requests_it": 3,
        "requests_order": 1,
    }.items():
        ledger.act(A, YESTERDAY, measure, n)
    scolarite = ask_summary(ledger, seen(A), "scolarite")
    assert rows(scolarite, "ressources")["quizzes"] == {"count": AnswerCell(3)}
    assert rows(scolarite, "cahier_de_textes")["work_online"] == {"count": AnswerCell(1), "share": AnswerCell(0.25)}
    assert rows(scolarite, "cahier_de_textes")["work_given"] == {"count": AnswerCell(4), "share": NA}
    assert rows(ask_summary(ledger, seen(A), "communications"), "communications")["sms"]["count"] == AnswerCell(7)
    requests = rows(ask_summary(ledger, seen(A), "travaux"), "travaux")
    assert (requests["requests"]["count"], requests["requests_it"]["share"]) == (AnswerCell(4), AnswerCell(0.75))


def test_a_widget_without_its_right_is_not_communicated():
    answer = ask_summary(observed(A), seen(A, widgets=frozenset({"scolarite.stages"})), "scolarite")
    assert rows(answer, "stages")["placements"]["count"] == AnswerCell(0)
    assert rows(answer, "ressources")["quizzes"]["count"] == AnswerCell(None, "nc", left_out=1)


def accounts(ledger: Ledger, uai: str, pupils: int, year: int) -> None:
    ledger.take_census(uai, "comptes", {"accounts eleve": pupils, "accounts enseignant": 20}, day=date(year, 10, 5))


def test_accueil_tells_accounts_and_how_coverage_evolves():
    ledger = Ledger()
    for uai, held, year in ((A, 60, 2024), (A, 80, 2025), (A, 100, 2026), (B, 40, 2026)):
        accounts(ledger, uai, held, year)
    covered = msgspec.structs.replace(seen(A, B, C), without_convention=(Opening(opened=date(2025, 9, 1)),))
    answer = ask_summary(ledger, covered, "accueil")
    pupils = rows(answer, "comptes")["pupils"]
    assert pupils["count"] == AnswerCell(140, "partial", left_out=1)
    assert pupils["previous"] == AnswerCell(80, "partial", left_out=2)
    assert pupils["difference"] == AnswerCell(20, "partial", left_out=2), "of those known in both years"
    assert pupils["share"].value == round(140 / 180, 6)
    years = rows(answer, "couverture")
    assert list(years) == ["2024", "2025", "2026"], "nothing is known before"
    assert [years[year]["equipped"].value for year in years] == [1, 1, 2]
    found = [years[year]["establishments"].value for year in years]
    assert found == [3, 4, 4], "one of them without a line, in the years in which it was open"
    assert years["2026"]["equipped_share"] == AnswerCell(0.5)
    assert [years[year]["pupils"].value for year in years] == [60, 80, 140]
    units = {column.id: column.unit for column in answer.widgets[1].columns}
    assert (units["equipped"], units["equipped_share"], units["pupils"]) == ("count", "rate", "count")


def test_accueil_of_an_earlier_year_and_of_none():
    ledger = Ledger()
    accounts(ledger, A, 60, 2024)
    accounts(ledger, A, 100, 2026)
    answer = ask_summary(ledger, seen(A), "accueil", school_year="2025-2026")
    years = rows(answer, "couverture")
    assert list(years) == ["2024", "2025"]
    assert (years["2025"]["equipped"], years["2025"]["pupils"].state) == (AnswerCell(0), "nd")
    assert list(rows(ask_summary(Ledger(), seen(A), "accueil"), "couverture")) == ["2026"]


def test_an_establishment_that_was_not_open_is_not_to_be_equipped():
    ledger = Ledger()
    accounts(ledger, A, 60, 2025)
    both = scope(visible(A), visible(B, opened=date(2026, 9, 1)))
    years = rows(ask_summary(ledger, both, "accueil"), "couverture")
    assert [years[year]["establishments"].value for year in ("2025", "2026")] == [1, 2]
