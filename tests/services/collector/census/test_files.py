"""Each sentence of the census rules about one file, by an example made by hand."""

from __future__ import annotations

import pytest

from services.collector.census.accounts import accounts_by_profile, small_profiles
from services.collector.census.faults import RefusedFileError
from services.collector.census.reading import MOST_FAULTS
from tests.support.censuses import census_of, everything, faults, told


def test_accounts_by_profile_and_anything_else_is_autre():
    census = census_of(
        "comptes",
        "id;profil\n1;eleve\n2;responsable\n3;accompagnant\n4;enseignant\n5;administratif\n6;vie_scolaire\n"
        "7;autre\n8;inspecteur\n9;\n10; Eleve \n",
    )
    assert told(census) == {
        "accounts/eleve": 2,
        "accounts/responsable": 1,
        "accounts/accompagnant": 1,
        "accounts/enseignant": 1,
        "accounts/administratif": 1,
        "accounts/vie_scolaire": 1,
        "accounts/autre": 3,
    }
    assert census.faults == ()


def test_girls_and_boys_are_those_of_pupils_accounts_only():
    census = census_of("comptes", "id;profil;sexe\n1;eleve;F\n2;eleve; m\n3;eleve;\n4;eleve;X\n5;enseignant;F\n")
    assert told(census) == {
        "accounts/eleve": 4,
        "accounts/enseignant": 1,
        "accounts_girls": 1,
        "accounts_boys": 1,
        "valued.sexe": 2,
    }
    assert faults(census) == [(5, "bad_value", "sexe")]


def test_pupils_by_level_sex_boarding_sector_and_transport():
    census = census_of(
        "eleves",
        "id;niveau;classe;sexe;regime;hors_secteur;transport\n"
        "a;6EME;6A;F;DP;O;N\nb;6EME;6A;M;INT;N;O\nc;3EME-SEGPA;3S;f;ext;o;\nd;TALE;T1;;dp;;o\n",
    )
    assert told(census) == {
        "pupils/6EME": 2,
        "pupils/3EME-SEGPA": 1,
        "pupils/TALE": 1,
        "girls": 2,
        "boys": 1,
        "half_boarders": 2,
        "boarders": 1,
        "out_of_sector": 2,
        "public_transport": 2,
        "valued.sexe": 3,
        "valued.regime": 4,
        "valued.hors_secteur": 3,
        "valued.transport": 3,
    }


def test_plans_are_counted_and_so_are_the_pupils_who_have_one():
    census = census_of(
        "eleves",
        "id;niveau;plans;plans_medicaux;accompagne;decrochage\n"
        "1;6EME;2;1;O;N\n2;6EME;0;0;N;O\n3;5EME;1;;O;O\n4;5EME;;3;;\n",
    )
    assert told(census) == {
        "pupils/6EME": 2,
        "pupils/5EME": 2,
        "plans": 3,
        "pupils_with_plans/6EME": 1,
        "pupils_with_plans/5EME": 1,
        "medical_plans": 4,
        "pupils_with_medical_plans/6EME": 1,
        "pupils_with_medical_plans/5EME": 1,
        "accompanied": 2,
        "dropout/6EME": 1,
        "dropout/5EME": 1,
        "valued.plans": 3,
        "valued.plans_medicaux": 3,
        "valued.accompagne": 3,
        "valued.decrochage": 3,
    }


BANDS_OF_DAYS = {"b0": (0,), "b1_4": (1, 4), "b5_9": (5, 9), "b10_19": (10, 19), "b20": (20, 21, 1_000_000)}
BANDS_OF_FACTS = {"b0": (0,), "b1_2": (1, 2), "b3_5": (3, 5), "b6": (6, 7)}


@pytest.mark.parametrize(
    ("column", "measure", "bands"),
    [
        ("absences", "absence_half_days", BANDS_OF_DAYS),
        ("retards", "lateness", BANDS_OF_DAYS),
        ("sanctions", "sanctions", BANDS_OF_FACTS),
        ("punitions", "punishments", BANDS_OF_FACTS),
        ("incidents", "incidents", BANDS_OF_FACTS),
    ],
)
def test_bands_hold_their_edges_and_leave_out_who_has_no_value(column, measure, bands):
    numbers = [number for band in bands.values() for number in band]
    rows = [f"{place};6EME;{number}" for place, number in enumerate(["", *numbers])]
    census = census_of("eleves", "\n".join([f"id;niveau;{column}", *rows]))
    expected = {f"{measure}.{band}": len(held) for band, held in bands.items()}
    assert told(census) == {"pupils/6EME": len(rows), f"valued.{column}": len(numbers), **expected}


def test_staff_by_category():
    census = census_of(
        "personnels",
        "id;categorie\n1;administratif\n2;vie_scolaire\n3;accompagnant\n4;autre\n5;enseignant\n6;enseignant\n7;agent\n8;\n",
    )
    assert told(census) == {
        "staff/administratif": 1,
        "staff/vie_scolaire": 1,
        "staff/accompagnant": 1,
        "staff/autre": 2,
        "staff/enseignant": 2,
    }


def test_classes_by_level_and_rooms_with_their_slots():
    assert told(census_of("classes", "nom;niveau\n6A;6EME\n6B;6EME\n3S;3EME-SEGPA\n")) == {
        "classes/6EME": 2,
        "classes/3EME-SEGPA": 1,
    }
    rooms = census_of("salles", "nom;creneaux_occupes;creneaux_ouverts\nA1;12;40\nA2;;40\nA3;0;\n")
    assert told(rooms) == {"rooms": 3, "occupied_slots": 12, "open_slots": 80}


def test_a_level_that_is_unknown_refuses_its_row_and_none_is_autre():
    census = census_of("eleves", "id;niveau\n1;6EME\n2;7EME\n3;\n4;AUTRE\n5; 5eme \n")
    assert told(census) == {"pupils/6EME": 1, "pupils/AUTRE": 2, "pupils/5EME": 1}
    assert faults(census) == [(3, "unknown_level", "")]
    assert faults(census_of("classes", "nom;niveau\nA;6EME\nB;SIXIEME\n")) == [(3, "unknown_level", "")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("comptes", "id;profil\n1;eleve\n2;eleve\n1;enseignant\n"),
        ("eleves", "id;niveau\n1;6EME\n2;6EME\n 1 ;5EME\n"),
        ("personnels", "id;categorie\n1;autre\n2;autre\n1;enseignant\n"),
        ("classes", "nom;niveau\n1;6EME\n2;6EME\n1;5EME\n"),
        ("salles", "nom;creneaux_occupes;creneaux_ouverts\n1;1;2\n2;1;2\n1;9;9\n"),
    ],
)
def test_the_same_id_again_is_refused_with_its_line(name, content):
    census = census_of(name, content)
    assert census.rows == 2
    assert faults(census) == [(4, "same_id", "")]
    assert str(census.faults[0]) == f"census 2026-10-05, {name}.csv, line 4: the same id again, the row is refused"


def test_an_id_seen_in_a_refused_row_is_seen_and_ids_are_compared_as_they_stand():
    census = census_of("eleves", "id;niveau\nx;7EME\nx;6EME\nX;6EME\n01;6EME\n1;6EME\n;6EME\n;6EME\n")
    assert told(census) == {"pupils/6EME": 5}
    assert faults(census) == [(2, "unknown_level", ""), (3, "same_id", "")]


def test_a_missing_optional_column_is_told_apart_from_one_where_nothing_is_counted():
    without = everything(census_of("eleves", "id;niveau\n1;6EME\n"))
    silent = everything(census_of("eleves", "id;niveau;absences;transport\n1;6EME;;N\n"))
    assert without == {"read": 1, "pupils/6EME": 1}
    assert silent == {
        "read": 1,
        "pupils/6EME": 1,
        "column.absences": 1,
        "column.transport": 1,
        "valued.transport": 1,
    }


def test_a_file_without_rows_is_a_census_of_nobody():
    assert everything(census_of("personnels", "id;categorie\n")) == {"read": 1}


@pytest.mark.parametrize(
    ("name", "head", "missing"),
    [
        ("comptes", "id;sexe", "profil"),
        ("eleves", "niveau;classe", "id"),
        ("personnels", "id,categorie", "id"),
        ("classes", "nom", "niveau"),
        ("salles", "nom;creneaux_occupes", "creneaux_ouverts"),
        ("eleves", "", "id"),
    ],
)
def test_a_missing_required_column_refuses_the_file_and_names_it(name, head, missing):
    with pytest.raises(RefusedFileError) as refused:
        census_of(name, f"{head}\n1;6EME\n")
    assert (refused.value.fault.reason, refused.value.fault.column) == ("missing_column", missing)
    assert str(refused.value) == f"census 2026-10-05, {name}.csv: required column missing {missing}"


def test_columns_in_any_order_and_case_unknown_ones_ignored():
    census = census_of("eleves", "Commentaire; NIVEAU ;Sexe;Id;sexe\nbon élève;6EME;F;1;M;en;trop\n;5EME;M;2\n")
    assert told(census) == {"pupils/6EME": 1, "pupils/5EME": 1, "girls": 1, "boys": 1, "valued.sexe": 2}


@pytest.mark.parametrize("text", ["-1", "1,5", "1.0", "beaucoup", "1 200", "+3", "1000001", "٣", "1e3", "9" * 400])
def test_what_is_no_whole_number_leaves_the_row_out_of_that_column_only(text):
    census = census_of("eleves", f"id;niveau;plans;absences;sexe\n1;6EME;{text};{text};F\n2;6EME;1;1;M\n")
    assert told(census) == {
        "pupils/6EME": 2,
        "girls": 1,
        "boys": 1,
        "valued.sexe": 2,
        "plans": 1,
        "pupils_with_plans/6EME": 1,
        "valued.plans": 1,
        "absence_half_days.b1_4": 1,
        "valued.absences": 1,
    }
    assert faults(census) == [(2, "bad_value", "plans"), (2, "bad_value", "absences")]
    assert str(census.faults[0]) == "census 2026-10-05, eleves.csv, line 2: not a value of plans, left out of it"


def test_a_coded_value_that_is_unknown_leaves_the_row_out_of_that_column_only():
    census = census_of("eleves", "id;niveau;regime;transport;hors_secteur\n1;6EME;EXTERNE;oui;O\n")
    assert told(census) == {"pupils/6EME": 1, "out_of_sector": 1, "valued.hors_secteur": 1}
    assert faults(census) == [(2, "bad_value", "regime"), (2, "bad_value", "transport")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_encodings_and_ends_of_lines(encoding, newline):
    lines = ["id;niveau;classe", "Zoé;6EME;Été", "Zoë;6EME;€", "Zoé;6EME;Été"]
    census = census_of("eleves", newline.join(lines).encode(encoding))
    assert told(census) == {"pupils/6EME": 2}
    assert faults(census) == [(4, "same_id", "")]


def test_bytes_that_neither_encoding_knows_are_read_all_the_same():
    assert told(census_of("eleves", b"id;niveau\n\x81\xe9;6EME\n\x8d\xe9;6EME\n")) == {"pupils/6EME": 2}


def test_quotes_blank_lines_and_the_number_of_the_line_where_a_row_starts():
    census = census_of(
        "eleves",
        '"id";"niveau";remarque\n\n1;6EME;"deux\nlignes; ""entre guillemets"""\n;;\n1;6EME;\n2;7EME\n3;"6EME"\n',
    )
    assert told(census) == {"pupils/6EME": 2}
    assert faults(census) == [(6, "same_id", ""), (7, "unknown_level", "")]


def test_a_line_that_is_no_csv_is_refused_alone():
    census = census_of("eleves", 'id;niveau\n"1"x;6EME\n2;6EME\n"3;6EME')
    assert told(census) == {"pupils/6EME": 1}
    assert faults(census) == [(2, "unreadable", ""), (4, "unreadable", "")]


def test_a_quotation_mark_left_open_refuses_the_file_rather_than_the_pupils_after_it():
    with pytest.raises(RefusedFileError) as refused:
        census_of("eleves", 'id;niveau;classe\n1;6EME;6A\n2;6EME;"6A\n3;6EME;6A\n')
    assert (refused.value.fault.reason, refused.value.fault.line) == ("unclosed_quote", 3)
    assert "line 3: a quotation mark" in str(refused.value)


def test_faults_are_listed_up_to_a_limit_and_all_counted():
    census = census_of("eleves", "id;niveau\n" + "1;6EME\n" * (MOST_FAULTS + 500))
    assert (census.rows, len(census.faults)) == (1, MOST_FAULTS)
    assert census.faults_by_reason == {"same_id": MOST_FAULTS + 499}


def test_small_profiles_have_fewer_than_five_accounts_and_personnel_is_three_kinds():
    rows = (
        ["eleve"] * 5
        + ["responsable"] * 4
        + ["enseignant"] * 9
        + ["administratif", "vie_scolaire", "agent", "", "autre"]
    )
    census = census_of("comptes", "\n".join(["id;profil", *(f"{place};{profil}" for place, profil in enumerate(rows))]))
    assert accounts_by_profile(census) == {
        "eleve": 5,
        "responsable": 4,
        "accompagnant": 0,
        "enseignant": 9,
        "personnel": 5,
    }
    assert small_profiles(census) == {"responsable", "accompagnant"}
