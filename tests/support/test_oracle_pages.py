"""The oracle's pages beyond Connexions, against numbers worked out by hand."""

from __future__ import annotations

from datetime import date, datetime
from fractions import Fraction
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from tests.support.oracle import Oracle
from tests.support.oracle.cells import Cell
from tests.support.oracle.count import BY_ID, EVERY_TABLE, displays_of
from tests.support.oracle.pages import PAGES
from tests.support.territories import activity, connection, heartbeat
from tests.support.test_oracle import COLLEGE, NOW, PARIS, at, counted

if TYPE_CHECKING:
    from pathlib import Path

FIRST = connection(at(1, 0), "ada")
"""Observed since the first of November."""
NOTHING = Cell(Fraction(0))


def value(number: int, of: int = 1) -> Cell:
    """A number, or a rate with the parts that its total is made of."""
    return Cell(Fraction(number, of), parts=None if of == 1 else (number, of))


def census(path: Path, day: str, **files: str) -> None:
    """Files by name; rows are separated by blanks."""
    (path / COLLEGE / "agent.toml").write_text('journal = "journal.ndjson"\ncensus = "census"\n', "utf-8")
    folder = path / COLLEGE / "census" / day
    folder.mkdir(parents=True)
    for name, rows in files.items():
        (folder / f"{name}.csv").write_text("\n".join(rows.split()) + "\n", "utf-8")


def pupils(columns: str, *rows: tuple[int, str]) -> str:
    """`rows` say how often a line of these columns occurs; each gets an id of its own."""
    lines = [line for times, line in rows for _ in range(times)]
    return " ".join([f"id;{columns}", *(f"e{index};{line}" for index, line in enumerate(lines))])


def shown(oracle: Oracle, table: str, display: str = "values", window: str = "current-month") -> dict[str, Cell]:
    return oracle.table(table, window=window, display=display).rows[COLLEGE]


def test_every_table_that_is_named_is_there():
    assert len(EVERY_TABLE) == 3 + 9 + 9 + 15 + 12
    assert {len(columns) for table, columns in PAGES.items() if ".niveaux" in table} == {24, 25}
    assert displays_of("social.eleves") == ("values",)
    assert displays_of("social.niveaux.plans") == ("values", "rates")


def test_flows_of_a_window_and_their_rates(tmp_path):
    lines = [FIRST, activity(at(19), "work_given", n=8, level="6EME"), activity(at(20), "work_given", n=2)]
    lines += [activity(at(19), "work_online", n=4), activity(at(5), "copies_corrected", n=3)]
    lines += [activity(at(19), "evaluations_marked", n=3), activity(at(19), "evaluations_competence")]
    lines += [activity(at(19), "evaluations_with_key", n=2), activity(at(19), "quizzes")]
    oracle = counted(tmp_path, lines)
    assert shown(oracle, "scolarite.etablissements")["work_given"] == value(10)
    assert shown(oracle, "scolarite.etablissements", window="last-day")["work_given"] == value(8)
    assert shown(oracle, "scolarite.etablissements")["forums"] == NOTHING
    rates = shown(oracle, "scolarite.etablissements", "rates")
    assert rates["work_given"] == value(10)
    assert rates["work_online"].value == Fraction(4, 10)
    assert rates["copies_corrected"] == Cell(None, "na")
    assert rates["evaluations"] == value(4)
    assert rates["evaluations_with_key"].value == Fraction(1, 2)
    assert rates["quizzes"] == value(1)
    assert shown(oracle, "scolarite.etablissements", window="last-month")["quizzes"] == Cell(None, "nd")


def test_requests_count_orders_that_they_do_not_show(tmp_path):
    lines = [FIRST, activity(at(19), "requests_it", n=3), activity(at(19), "requests_order", n=1)]
    oracle = counted(tmp_path, lines)
    assert shown(oracle, "travaux.etablissements") == {
        "requests": value(4),
        "requests_maintenance": NOTHING,
        "requests_it": value(3),
        "requests_secretarial": NOTHING,
    }
    assert shown(oracle, "travaux.etablissements", "rates")["requests_it"] == value(3, 4)


def test_levels_of_a_flow_and_those_that_a_college_lacks(tmp_path):
    lines = [FIRST, activity(at(19), "quizzes", n=3, level="6EME"), activity(at(19), "quizzes", level="TALE")]
    lines += [activity(at(19), "quizzes", n=4, level="7EME"), activity(at(19), "quizzes", n=2)]
    cells = shown(counted(tmp_path, lines), "scolarite.niveaux.quizzes")
    assert (cells["6EME"], cells["5EME"], cells["TALE"]) == (value(3), NOTHING, value(1))
    assert (cells["CP"], cells["AUTRE"]) == (Cell(None, "na"), value(6))
    rates = shown(Oracle(tmp_path, NOW), "scolarite.niveaux.quizzes", "rates")
    assert (rates["6EME"], rates["CP"]) == (value(3, 10), Cell(None, "na"))


def test_social_flows_are_shown_to_yesterday_and_released(tmp_path):
    lines = [FIRST, activity(at(19), "lateness", n=12), activity(at(20), "lateness", n=100)]
    lines += [activity(at(18), "absence_half_days", n=4), activity(at(18), "sanctions", n=9)]
    oracle = counted(tmp_path / "consent", lines)
    assert shown(oracle, "social.assiduite")["lateness"] == value(10)
    assert shown(oracle, "social.assiduite")["absence_half_days"] == Cell(None, "s")
    assert shown(oracle, "social.assiduite", window="last-day")["absence_half_days"] == NOTHING
    assert shown(oracle, "social.discipline")["sanctions"] == Cell(None, "nc")
    joint = counted(tmp_path / "joint", lines, convention="joint")
    assert shown(joint, "social.assiduite")["lateness"] == value(12)
    assert shown(joint, "social.assiduite")["absence_half_days"] == value(4)
    assert shown(joint, "social.discipline")["sanctions"] == value(9)


def test_social_has_nothing_to_show_on_the_first_of_a_month(tmp_path):
    lines = [FIRST, activity(at(1), "lateness", n=12), activity(at(1), "quizzes", n=12)]
    oracle = counted(tmp_path, lines, datetime(2026, 11, 1, 23, tzinfo=PARIS))
    assert shown(oracle, "social.assiduite")["lateness"] == Cell(None, "nd")
    assert shown(oracle, "scolarite.etablissements")["quizzes"] == value(12)


def test_minutes_of_social_are_those_of_the_days_that_are_shown(tmp_path):
    """Observed on 1 November only until noon, and again on the 2nd: half of what is shown."""
    beats = [heartbeat(at(1, hour)) for hour in range(0, 13, 2)] + [heartbeat(at(2, hour)) for hour in range(0, 14, 2)]
    oracle = counted(tmp_path, [FIRST, *beats], datetime(2026, 11, 2, 12, tzinfo=PARIS))
    assert shown(oracle, "social.assiduite")["lateness"] == Cell(Fraction(0), "partial", 0.5)
    assert shown(oracle, "travaux.etablissements")["requests"] == Cell(Fraction(0), "partial", 21 / 33)


@pytest.mark.parametrize(("zone", "state"), [("Europe/Paris", None), ("America/Guadeloupe", "partial")])
def test_half_past_midnight_on_the_first_of_september(tmp_path, zone, state):
    """The school year is over in Paris; in Guadeloupe its last evening has begun, and that day of Social is not over."""
    now, local = datetime(2026, 9, 1, 0, 30, tzinfo=PARIS), ZoneInfo(zone)
    opening = connection(datetime(2025, 9, 1, tzinfo=local), "ada")
    last = activity(datetime(2026, 8, 31, 12, tzinfo=local), "lateness", n=20)
    works = activity(datetime(2026, 8, 31, 12, tzinfo=local), "requests_it", n=20)
    oracle = counted(tmp_path, [opening, last, works], now, zone=zone)
    assert shown(oracle, "travaux.etablissements", window="last-year")["requests_it"] == Cell(
        Fraction(20), state, 1.0 if state else None
    )
    assert shown(oracle, "travaux.etablissements", window="last-day")["requests_it"].value == 20
    social = shown(oracle, "social.assiduite", window="last-day")["lateness"]
    assert social == (Cell(None, "nd") if state else value(20))
    assert shown(oracle, "social.assiduite", window="last-year")["lateness"].value == (0 if state else 20)
    unbegun = shown(oracle, "travaux.etablissements", window="current-year")["requests_it"]
    assert unbegun == (Cell(None, "nd") if state else NOTHING)


PEOPLE = {
    "comptes": "id;profil;sexe a;eleve;F b;eleve;M c;eleve; d;responsable; e;mairie; f;administratif; a;enseignant;",
    "personnels": "id;categorie f;administratif g;enseignant h;enseignant i;enseignant",
    "classes": "nom;niveau 6A;6EME 6B;6EME 6C;7EME",
    "salles": "nom;creneaux_occupes;creneaux_ouverts 1;10;20 2;5;20 3;;20",
    "eleves": pupils(
        "niveau;sexe;regime;transport",
        (6, "6EME;F;DP;O"),
        (2, "5EME;M;EXT;N"),
        (2, "CP;;INT;"),
        (1, "7EME;F;;O"),
        (1, ";m;;n"),
    ),
}


def test_accounts_and_their_shares(tmp_path):
    counted(tmp_path, [FIRST])
    census(tmp_path, "2026-10-05", **PEOPLE)
    oracle = Oracle(tmp_path, NOW)
    numbers = {name: int(cell.value or 0) for name, cell in shown(oracle, "accueil.comptes").items()}
    assert numbers == dict(zip(BY_ID["accueil.comptes"], (6, 1, 0, 0, 0, 1, 3, 1, 1, 1), strict=True))
    rates = shown(oracle, "accueil.comptes", "rates")
    assert (rates["total"], rates["pupils"], rates["pupils.girls"]) == (value(6), value(3, 6), value(1, 3))


def test_means_and_what_is_divided_by_nobody(tmp_path):
    counted(tmp_path, [FIRST])
    census(tmp_path, "2026-10-05", **PEOPLE)
    oracle = Oracle(tmp_path, NOW)
    cells = shown(oracle, "moyens.etablissements")
    assert (cells["staff"], cells["staff.admin"], cells["staff.support"]) == (value(1), value(1), NOTHING)
    assert cells["pupils_per.admin"].value == 11
    assert (cells["pupils_per.support"], cells["pupils_per.teacher"]) == (Cell(None, "na"), value(11, 3))
    assert (cells["pupils"], cells["girls"], cells["boys"], cells["boarders"]) == tuple(map(value, (11, 6, 3, 2)))
    assert (cells["guardians"], cells["out_of_sector"]) == (value(1), Cell(None, "nd"))
    assert (cells["classes"], cells["pupils_per.class"], cells["rooms"]) == (value(2), value(11, 2), value(3))
    assert cells["occupancy"] == value(15, 60)
    rates = shown(oracle, "moyens.etablissements", "rates")
    assert (rates["pupils"], rates["girls"], rates["out_of_sector"]) == (value(11), value(6, 11), Cell(None, "nd"))
    assert rates["pupils_per.teacher"] == value(11, 3)
    levels = shown(oracle, "moyens.niveaux", "rates")
    assert (levels["6EME"], levels["CP"]) == (value(6, 11), value(2, 11))
    assert (levels["TALE"], levels["4EME"]) == (Cell(None, "na"), value(0, 11))


def test_a_page_by_school_year_takes_that_of_the_window(tmp_path):
    """The newest census of that year, be it younger than the window; never another year's."""
    counted(tmp_path, [FIRST])
    for day, count in (("2026-08-20", 5), ("2026-09-10", 6), ("2026-11-15", 7), ("2026-11-21", 8)):
        census(tmp_path, day, eleves=pupils("niveau", (count, "6EME")))
    oracle = Oracle(tmp_path, NOW)
    assert shown(oracle, "moyens.niveaux", window="last-month")["6EME"] == value(7)
    asked = oracle.table("moyens.niveaux", window="last-month").window
    assert (asked.first, asked.last, asked.complete) == (date(2026, 9, 1), date(2026, 11, 20), False)
    assert shown(oracle, "moyens.niveaux", window="last-year")["6EME"] == value(5)
    assert oracle.table("moyens.niveaux", year="2024-2025").rows[COLLEGE]["6EME"] == Cell(None, "nd")
    assert shown(oracle, "moyens.niveaux", window="last-year")["CP"] == Cell(None, "na")


FOLLOWED = pupils(
    "niveau;plans;plans_medicaux;accompagne;decrochage;absences;sanctions",
    *((7, "6EME;2;0;O;N;0;0"), (6, "5EME;0;1;N;O;12;1"), (3, "5EME;1;;N;N;3;"), (1, "4EME;;0;O;;;7")),
)
"""17 pupils; 10 have a plan, 17 plans in all; 6 a medical one; 8 accompanied; 6 followed for dropping out."""


def test_social_counts_are_released_before_anything_is_made_of_them(tmp_path):
    counted(tmp_path / "consent", [FIRST])
    census(tmp_path / "consent", "2026-10-05", eleves=FOLLOWED)
    oracle = Oracle(tmp_path / "consent", NOW)
    cells = shown(oracle, "social.eleves")
    assert (cells["plans"], cells["plans.rate"]) == (value(15), value(10, 15))
    assert (cells["dropout"], cells["dropout.rate"]) == (value(5), value(5, 15))
    assert (cells["medical_plans"], cells["accompanied.rate"]) == (Cell(None, "nc"), Cell(None, "nc"))
    bands = shown(oracle, "social.assiduite")
    assert bands["absence_half_days.b0"] == value(5, 15)
    assert bands["absence_half_days.b1_4"] == Cell(None, "s")
    assert bands["absence_half_days.b10_19"] == value(5, 15)
    assert bands["absence_half_days.b20"].value == 0
    assert bands["lateness.b0"] == Cell(None, "nd")
    levels = shown(oracle, "social.niveaux.plans")
    assert (levels["6EME"], levels["5EME"], levels["4EME"], levels["CP"]) == (
        value(5),
        Cell(None, "s"),
        NOTHING,
        Cell(None, "na"),
    )
    rates = shown(oracle, "social.niveaux.plans", "rates")
    assert (rates["6EME"], rates["4EME"], rates["3EME"]) == (value(5, 5), Cell(None, "s"), Cell(None, "na"))


def test_joint_controllers_see_exact_values(tmp_path):
    counted(tmp_path, [FIRST], convention="joint")
    census(tmp_path, "2026-10-05", eleves=FOLLOWED)
    oracle = Oracle(tmp_path, NOW)
    cells = shown(oracle, "social.eleves")
    assert (cells["plans"], cells["plans.rate"], cells["medical_plans"]) == (value(17), value(10, 17), value(6))
    assert cells["accompanied.rate"] == value(8, 17)
    assert shown(oracle, "social.assiduite")["absence_half_days.b1_4"] == value(3, 16)
    sanctions = shown(oracle, "social.discipline")
    assert [sanctions[f"sanctions.{band}"] for band in ("b0", "b1_2", "b6")] == [
        value(7, 14),
        value(6, 14),
        value(1, 14),
    ]
    assert shown(oracle, "social.niveaux.dropout", "rates")["5EME"] == value(6, 9)


def test_first_years(tmp_path):
    """In 2019: support since 2020, others since 2021, so that staff lacks two of its parts; measures since 2019."""
    now = datetime(2019, 11, 20, 14, 30, tzinfo=PARIS)
    counted(tmp_path, [connection(datetime(2019, 9, 1, tzinfo=PARIS), "ada")], now, convention="joint")
    census(tmp_path, "2019-10-05", **PEOPLE | {"eleves": FOLLOWED})
    oracle = Oracle(tmp_path, now)
    means = shown(oracle, "moyens.etablissements")
    assert (means["staff"], means["staff.support"]) == (Cell(Fraction(1), "partial"), Cell(None, "nd"))
    assert means["pupils_per.other"] == Cell(None, "nd")
    pupils_table = shown(oracle, "social.eleves")
    assert (pupils_table["accompanied"], pupils_table["dropout"]) == (Cell(None, "nd"), value(6))
    scolarite = shown(oracle, "scolarite.etablissements", "rates")
    assert (scolarite["copies_corrected"], scolarite["forums"]) == (Cell(None, "nd"), Cell(None, "nd"))
    assert shown(oracle, "social.discipline")["protective_measures"] == NOTHING
    assert shown(oracle, "accueil.comptes")["total"] == value(6)


def test_a_sum_goes_without_a_part_that_had_not_begun(tmp_path):
    """In 2013 staff is counted by the client only: the sum is that, and is no denominator."""
    now = datetime(2013, 11, 20, 14, 30, tzinfo=PARIS)
    came = datetime(2013, 11, 19, 9, tzinfo=PARIS)
    lines = [connection(datetime(2013, 9, 1, tzinfo=PARIS), "ada")]
    lines += [
        connection(came, who, "personnel", *how) for who in "abc" for how in (("web", "ent"), ("software", "direct"))
    ]
    oracle = counted(tmp_path, lines, now)
    cells = shown(oracle, "connexions.authentifiees")
    assert (cells["personnel.software"], cells["personnel.net"]) == (value(3), Cell(None, "nd"))
    assert cells["personnel.all"] == Cell(Fraction(3), "partial", 0.5)
    assert (cells["total.all"], cells["total.net"]) == (value(6), value(3))
    assert shown(oracle, "connexions.authentifiees", "rates")["personnel.software"] == Cell(None, "nd")
