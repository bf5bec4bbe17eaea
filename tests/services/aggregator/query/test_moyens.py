"""Accueil and Moyens: censuses by school year, ratios, occupancy, levels, the year before."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from contracts.answers import AnswerCell
from contracts.catalogue import CATALOGUE
from services.aggregator.query.errors import UnknownColumnError, UnknownComparisonError
from tests.services.aggregator.query.asking import ask, cell, total
from tests.services.aggregator.query.ledger import Ledger, scope, visible

A, B, C = "0860001A", "0860002B", "0860003C"
TABLE, LEVELS = "moyens.etablissements", "moyens.niveaux"
WIDGETS = [f"moyens.{each}" for each in ("eleves", "classes", "responsables", "personnels", "salles", "enseignants")]
ND, NA = AnswerCell(None, "nd"), AnswerCell(None, "na")
EVERY_COLUMN = ("sexe", "regime", "hors_secteur", "transport")


def seen(*uais: str, **how: object):
    return scope(*(visible(uai, widgets=WIDGETS, **how) for uai in uais))  # type: ignore[arg-type]


def school(uai: str = A, *, pupils: int = 200, day: date = date(2026, 10, 5)) -> Ledger:
    return add_school(Ledger(), uai, pupils=pupils, day=day)


def add_school(ledger: Ledger, uai: str, *, pupils: int = 200, day: date = date(2026, 10, 5)) -> Ledger:
    counted = {
        "pupils 6EME": pupils - 50,
        "pupils 5EME": 49,
        "pupils AUTRE": 1,
        "girls": pupils // 2,
        "half_boarders": 120,
    }
    ledger.take_census(uai, "eleves", counted, columns=EVERY_COLUMN, day=day)
    staff = {"staff administratif": 4, "staff vie_scolaire": 8, "staff accompagnant": 5, "staff enseignant": 20}
    ledger.take_census(uai, "personnels", staff, day=day)
    ledger.take_census(uai, "classes", {"classes 6EME": 6, "classes AUTRE": 2}, day=day)
    ledger.take_census(uai, "salles", {"rooms": 10, "occupied_slots": 90, "open_slots": 300}, day=day)
    ledger.take_census(uai, "comptes", {"accounts responsable": 340, "accounts eleve": 199}, day=day)
    return ledger


def test_staff_is_not_teachers_and_ratios_are_plain_numbers():
    answer = ask(school(), seen(A), TABLE)
    values = {column.id: found for column, found in zip(answer.columns, answer.rows[0].cells, strict=True)}
    assert values["staff"] == AnswerCell(17)
    assert [values[f"staff.{kind}"].value for kind in ("admin", "school_life", "support", "other")] == [4, 8, 5, 0]
    assert [values[f"pupils_per.{kind}"] for kind in ("admin", "school_life", "support")] == [
        AnswerCell(50.0),
        AnswerCell(25.0),
        AnswerCell(40.0),
    ]
    assert values["pupils_per.other"] == NA, "nobody to divide by"
    assert (values["teachers"].value, values["pupils_per.teacher"].value) == (20, 10.0)
    assert values["guardians"] == AnswerCell(340), "their accounts"
    assert (values["pupils"].value, values["classes"].value, values["pupils_per.class"].value) == (200, 8, 25.0)
    assert (values["rooms"].value, values["occupancy"].value) == (10, 0.3)
    units = {column.id: column.unit for column in answer.columns}
    assert (units["pupils"], units["pupils_per.class"], units["occupancy"]) == ("count", "ratio", "rate")


def test_in_rates_the_pupils_are_shares_of_all_and_the_rest_stays():
    answer = ask(school(), seen(A), TABLE, display="rates")
    assert cell(answer, A, "girls") == AnswerCell(0.5)
    assert cell(answer, A, "boarders") == AnswerCell(0.0)
    assert cell(answer, A, "half_boarders") == AnswerCell(0.6)
    assert cell(answer, A, "pupils") == AnswerCell(200), "totals stay numbers"
    assert cell(answer, A, "staff") == AnswerCell(17)
    assert cell(answer, A, "pupils_per.class") == AnswerCell(25.0)


def test_totals_of_ratios_are_of_lines_that_have_one():
    ledger = add_school(school(), B, pupils=100)
    ledger.take_census(B, "personnels", {"staff vie_scolaire": 1})
    ledger.take_census(B, "salles", {"rooms": 1, "occupied_slots": 30, "open_slots": 100})
    answer = ask(ledger, seen(A, B), TABLE)
    assert cell(answer, B, "pupils_per.admin") == NA
    assert total(answer, "pupils_per.admin") == AnswerCell(50.0), "B has nobody to divide by, and takes no part"
    assert total(answer, "pupils_per.school_life") == AnswerCell(round(300 / 9, 6))
    assert total(answer, "occupancy") == AnswerCell(0.3), "slots, not rates, are added up"
    assert answer.extremes["pupils"].max == [A]
    assert answer.extremes["occupancy"].max == [], "no two different values"


def test_without_the_file_or_the_column_nothing_is_zero():
    ledger = Ledger()
    ledger.take_census(A, "eleves", {"pupils 6EME": 30}, columns=["regime"])
    answer = ask(ledger, seen(A), TABLE)
    assert cell(answer, A, "pupils") == AnswerCell(30)
    assert cell(answer, A, "boarders") == AnswerCell(0), "the column is there and says so"
    assert [cell(answer, A, column) for column in ("girls", "out_of_sector", "public_transport")] == [ND, ND, ND]
    assert [cell(answer, A, column) for column in ("staff", "classes", "pupils_per.class", "rooms", "guardians")] == [
        ND
    ] * 5
    assert cell(ask(ledger, seen(A), TABLE, display="rates"), A, "girls") == ND


def test_a_window_reads_the_census_of_the_school_year_of_its_last_day_and_never_another():
    ledger = school(pupils=200)
    add_school(ledger, A, pupils=100, day=date(2025, 11, 3))
    add_school(ledger, A, pupils=90, day=date(2025, 9, 15))
    windows: list[tuple[dict[str, Any], int]] = [
        ({"window": "last-day"}, 200),
        ({"window": "last-year"}, 100),
        ({"school_year": "2025-2026"}, 100),
    ]
    for asked, pupils in windows:
        answer = ask(ledger, seen(A), TABLE, **asked)
        assert cell(answer, A, "pupils").value == pupils
        assert answer.first_day.month == 9, "the whole school year, whatever the window"
    older = ask(ledger, seen(A), TABLE, school_year="2024-2025")
    assert cell(older, A, "pupils") == ND


def test_before_the_first_year_of_an_indicator():
    ledger = school(day=date(2019, 10, 7))
    answer = ask(ledger, seen(A), TABLE, school_year="2019-2020")
    assert cell(answer, A, "staff.admin") == AnswerCell(4)
    assert cell(answer, A, "staff.support") == ND, "accompanying staff: since 2020"
    assert cell(answer, A, "staff") == AnswerCell(12, "partial"), "the known part of a sum"
    assert cell(answer, A, "out_of_sector") == ND, "sectors: since 2021"
    assert cell(answer, A, "pupils_per.other") == ND


def test_each_widget_is_a_right_of_its_own():
    answer = ask(school(), scope(visible(A, widgets=["moyens.classes"])), TABLE)
    shown = {
        column.id for column, found in zip(answer.columns, answer.rows[0].cells, strict=True) if found.state != "nc"
    }
    assert shown == {"classes", "pupils_per.class"}


def test_levels_of_pupils():
    ledger = add_school(school(), B)
    ledger.take_census(C, "eleves", {"pupils 6EME": 2, "pupils CP": 20})
    kinds = scope(
        visible(A, widgets=WIDGETS), visible(B, widgets=WIDGETS, kind="EREA"), visible(C, widgets=WIDGETS, kind="école")
    )
    answer = ask(ledger, kinds, LEVELS)
    assert [column.id for column in answer.columns][-1] == "ULIS", "a pupil of no level stands in the total alone"
    assert [cell(answer, A, level) for level in ("6EME", "4EME", "2NDE", "ULIS")] == [
        AnswerCell(150),
        AnswerCell(0),
        NA,
        NA,
    ]
    assert cell(answer, C, "6EME") == AnswerCell(2), "counted, though an école has no such level"
    assert (total(answer, "2NDE"), total(answer, "CP")) == (AnswerCell(0), AnswerCell(20))
    assert answer.extremes["2NDE"].min == [], "nobody's minimum"
    rates = ask(ledger, kinds, LEVELS, display="rates")
    assert cell(rates, A, "6EME") == AnswerCell(0.75), "of all pupils, those of no level included"
    assert cell(rates, A, "2NDE") == NA
    assert cell(rates, A, "4EME") == AnswerCell(0.0)
    assert total(rates, "CP") == AnswerCell(round(20 / 22, 6)), "of the lines that have such a level"


def test_accounts_and_their_shares():
    ledger = Ledger()
    counted = {
        "accounts eleve": 60,
        "accounts responsable": 100,
        "accounts enseignant": 20,
        "accounts vie_scolaire": 10,
        "accounts autre": 10,
    }
    ledger.take_census(A, "comptes", counted | {"accounts_girls": 33}, columns=["sexe"])
    answer = ask(ledger, seen(A), "accueil.comptes")
    assert [
        cell(answer, A, column).value
        for column in ("total", "admin", "teachers", "pupils", "pupils.girls", "guardians")
    ] == [200, 0, 20, 60, 33, 100]
    rates = ask(ledger, seen(A), "accueil.comptes", display="rates")
    assert cell(rates, A, "total") == AnswerCell(200)
    assert cell(rates, A, "guardians") == AnswerCell(0.5)
    assert cell(rates, A, "pupils.girls") == AnswerCell(0.55), "of the pupils' accounts"


def test_accounts_of_a_small_profile_are_counted_like_others():
    ledger = Ledger()
    ledger.take_census(A, "comptes", {"accounts eleve": 60, "accounts accompagnant": 2})
    small = CATALOGUE.code("diagnostics", "small_profile", "accompagnant")
    ledger.report(A, "diagnostics", "month", date(2026, 9, 1), {small: 1})
    answer = ask(ledger, seen(A), "accueil.comptes")
    assert (cell(answer, A, "total"), cell(answer, A, "support")) == (AnswerCell(62), AnswerCell(2))
    assert answer.notes == []


def test_the_year_before_and_the_difference():
    ledger = add_school(school(A, pupils=200), B, pupils=100)
    add_school(ledger, A, pupils=150, day=date(2025, 10, 6))
    answer = ask(ledger, seen(A, B), TABLE, compare="previous", sort="-pupils.difference")
    assert [column.id for column in answer.columns[:3]] == ["staff", "staff.previous", "staff.difference"]
    assert [cell(answer, A, f"pupils{suffix}") for suffix in ("", ".previous", ".difference")] == [
        AnswerCell(200),
        AnswerCell(150),
        AnswerCell(50),
    ]
    assert cell(answer, B, "pupils.previous") == ND
    assert cell(answer, B, "pupils.difference") == ND
    assert total(answer, "pupils") == AnswerCell(300)
    assert total(answer, "pupils.previous") == AnswerCell(150, "partial", left_out=1)
    assert total(answer, "pupils.difference") == AnswerCell(50, "partial", left_out=1), (
        "of the lines known in both years"
    )
    assert cell(answer, A, "pupils_per.class.difference") == AnswerCell(round(200 / 8 - 150 / 8, 6))
    assert [row.uai for row in answer.rows] == [A, B]
    labels = {column.id: column.label for column in answer.columns}
    assert (labels["pupils.previous"], labels["pupils.difference"]) == ("Total 2025-2026", "Total, écart")


def test_a_difference_of_rates_is_made_last():
    ledger = add_school(school(A, pupils=200), B, pupils=100)
    for uai, pupils in ((A, 400), (B, 100)):
        add_school(ledger, uai, pupils=pupils, day=date(2025, 10, 6))
    answer = ask(ledger, seen(A, B), TABLE, display="rates", compare="previous")
    assert total(answer, "half_boarders.difference") == AnswerCell(round(240 / 300 - 240 / 500, 6))
    assert cell(answer, A, "half_boarders.difference") == AnswerCell(round(120 / 200 - 120 / 400, 6))


def test_what_cannot_be_compared_or_sorted_is_refused():
    with pytest.raises(UnknownComparisonError):
        ask(Ledger(), seen(A), TABLE, compare="next")
    with pytest.raises(UnknownColumnError):
        ask(Ledger(), seen(A), TABLE, sort="pupils.previous")


def test_outside_its_opening_dates_and_opened_between_two_years():
    ledger = school()
    answer = ask(ledger, seen(A, opened=date(2026, 9, 1)), TABLE, compare="previous")
    assert cell(answer, A, "pupils") == AnswerCell(200)
    assert cell(answer, A, "pupils.previous") == NA
    assert cell(answer, A, "pupils.difference") == NA


def test_a_census_of_a_year_before_the_agents_is_called_so():
    ledger = Ledger()
    for year in (2018, 2025):
        ledger.take_census(A, "eleves", {"pupils 6EME": 30}, day=date(year, 10, 5))
    old = ask(ledger, seen(A), TABLE, school_year="2018-2019")
    assert cell(old, A, "pupils") == AnswerCell(30)
    assert old.notes[0].startswith("repris")
    assert ask(ledger, seen(A), TABLE, school_year="2025-2026").notes == [], "an agent may have read it itself"
