"""The catalogue validates itself: no orphan, no code given twice, none ever renumbered."""

from __future__ import annotations

import itertools

import pytest

from contracts.catalogue import CATALOGUE, UnknownCellError, lock
from contracts.catalogue.definitions import LANGUAGES, selectors
from contracts.catalogue.formulas import BadFormulaError, Formulas
from services.identity.scope import WIDGETS


def test_a_code_names_one_cell_and_fits_sixteen_bits():
    cells = [cell for measure in CATALOGUE.measures.values() for cell in CATALOGUE._cells_of(measure)]
    assert len({cell.code for cell in cells}) == len(cells)
    assert all(0 < cell.code < 2**16 for cell in cells)


def test_blocks_of_codes_do_not_overlap():
    sizes = {"audience": 1024, "level": 64, "hour": 32, "none": 1}
    blocks = sorted((m.code, m.code + sizes[m.dims]) for m in CATALOGUE.measures.values())
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(blocks))


def test_cells_keep_the_codes_that_the_lock_names():
    assert lock.PATH.read_text("utf-8").splitlines() == lock.current()


def test_a_renumbered_cell_is_refused(tmp_path):
    kept = tmp_path / "cells.lock"
    kept.write_text("7,web,connections,eleve,web,direct,\n")
    with pytest.raises(lock.RenumberedCellError, match="7,web"):
        lock.export(kept)


def test_every_measure_belongs_to_a_family_and_every_family_has_an_own_bit():
    assert {m.family for m in CATALOGUE.measures.values()} <= set(CATALOGUE.families)
    numbers = [family.number for family in CATALOGUE.families.values()]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) < 31


def test_code_and_select_agree():
    for cell in CATALOGUE.cells.values():
        named = CATALOGUE.code(cell.family, cell.measure, cell.profile, cell.channel, cell.access, cell.level)
        assert named == cell.code
    assert CATALOGUE.select("software", "connections") == [3353, 3417]
    with pytest.raises(UnknownCellError):
        CATALOGUE.code("web", "connections", "eleve", "software", "direct")


def test_every_column_adds_cells_that_exist_and_details_an_indicator_with_an_audience():
    for table in CATALOGUE.tables.values():
        assert len({column.id for column in table.columns}) == len(table.columns)
        for column in table.columns:
            assert all(CATALOGUE.codes(selector) for selector in selectors(column))
            assert CATALOGUE.indicators[column.indicator].audience


def test_the_eighty_indicators():
    assert sorted(CATALOGUE.indicators) == list(range(1, 81))
    assert CATALOGUE.indicators[5].available_since == 2020
    assert CATALOGUE.indicators[28].audience == ("establishment",)
    staff = CATALOGUE.indicators[73]
    assert (staff.available_since, staff.complete_since) == (2010, 2014)


def test_a_teacher_connects_by_software_and_a_pupil_does_not():
    people = {(c.profile, c.channel) for c in CATALOGUE.cells.values() if c.family == "people"}
    assert ("enseignant", "software") in people
    assert ("eleve", "software") not in people


PAGE_TABLES = {
    "accueil": ["accueil.comptes"],
    "connexions": ["connexions.authentifiees", "connexions.individus", "connexions.individus-ent"],
    "moyens": ["moyens.etablissements", "moyens.niveaux"],
    "social": ["social.eleves", "social.assiduite", "social.discipline"],
    "scolarite": ["scolarite.etablissements"],
    "communications": ["communications.etablissements"],
    "travaux": ["travaux.etablissements"],
}
COLUMNS = {
    "accueil.comptes": "total admin teachers school_life support other pupils pupils.girls pupils.boys guardians",
    "connexions.authentifiees": "total.all total.net total.mobile total.software eleve.net eleve.mobile responsable.net responsable.mobile"
    " accompagnant.net accompagnant.mobile enseignant.all enseignant.net enseignant.mobile enseignant.software"
    " personnel.all personnel.net personnel.mobile personnel.software",
    "connexions.individus-ent": "total.net total.mobile eleve.net eleve.mobile responsable.net responsable.mobile accompagnant.net"
    " accompagnant.mobile enseignant.net enseignant.mobile personnel.net personnel.mobile",
    "moyens.etablissements": "staff staff.admin staff.school_life staff.support staff.other pupils_per.admin pupils_per.school_life"
    " pupils_per.support pupils_per.other teachers pupils_per.teacher guardians pupils boys girls half_boarders boarders"
    " out_of_sector public_transport classes pupils_per.class rooms occupancy",
    "social.eleves": "plans plans.rate medical_plans medical_plans.rate accompanied accompanied.rate dropout dropout.rate",
    "social.assiduite": "absence_half_days absence_half_days.b0 absence_half_days.b1_4 absence_half_days.b5_9 absence_half_days.b10_19"
    " absence_half_days.b20 lateness lateness.b0 lateness.b1_4 lateness.b5_9 lateness.b10_19 lateness.b20",
    "social.discipline": "sanctions sanctions.b0 sanctions.b1_2 sanctions.b3_5 sanctions.b6 punishments punishments.b0 punishments.b1_2"
    " punishments.b3_5 punishments.b6 incidents incidents.b0 incidents.b1_2 incidents.b3_5 incidents.b6 lesson_exclusions protective_measures",
    "scolarite.etablissements": "quizzes documents web_links textbooks forums lesson_contents work_given work_online copies_handed_in"
    " copies_corrected evaluations evaluations_marked evaluations_competence evaluations_with_subject evaluations_with_key placements",
    "communications.etablissements": "discussions messages informations polls printed_documents emails sms maileva_letters pdf_documents"
    " agenda_events locker_documents useful_links",
    "travaux.etablissements": "requests requests_maintenance requests_it requests_secretarial",
}
SOCIAL_BY_LEVEL = (
    "plans medical_plans dropout absence_half_days lateness sanctions punishments incidents protective_measures"
)
ONLY_VALUES = {"social.eleves", "social.assiduite", "social.discipline", "communications.etablissements"}
NOT_FIGURES = {"connections_hour", "small_profile", "minutes", "read"}


def test_the_tables_and_columns_that_users_rely_on():
    for page, tables in PAGE_TABLES.items():
        assert [table.id for table in CATALOGUE.tables.values() if table.page == page][: len(tables)] == tables
    for table, columns in COLUMNS.items():
        assert [column.id for column in CATALOGUE.tables[table].columns if column.on_page] == columns.split()
    assert {t.removeprefix("social.niveaux.") for t in CATALOGUE.tables if t.startswith("social.niveaux.")} == set(
        SOCIAL_BY_LEVEL.split()
    )
    for page in ("scolarite", "communications"):
        measures = {m.id for m in CATALOGUE.measures.values() if m.family == f"activities.{page}"}
        assert {
            t.removeprefix(f"{page}.niveaux.") for t in CATALOGUE.tables if t.startswith(f"{page}.niveaux.")
        } == measures


def test_tables_by_levels_have_all_of_them_and_flows_the_other_one_last():
    levels = list(CATALOGUE.levels)
    by_level = [table for table in CATALOGUE.tables.values() if ".niveaux" in table.id]
    for table in by_level:
        census = table.columns[0].value.parts[0].family == "census.eleves"
        assert [column.id for column in table.columns] == (levels[:-1] if census else levels)
        assert table.displays == ("values", "rates")
    assert levels[-1] == "AUTRE"


def test_tables_without_rates_are_the_ones_that_have_none_in_the_console():
    assert {table.id for table in CATALOGUE.tables.values() if table.displays == ("values",)} == ONLY_VALUES
    for table in CATALOGUE.tables.values():
        if "rates" in table.displays:
            assert any(column.rate for column in table.columns)


def test_no_indicator_is_out_of_reach():
    columns = {column.indicator for table in CATALOGUE.tables.values() for column in table.columns}
    assert columns | {table.reference for table in CATALOGUE.tables.values()} >= set(CATALOGUE.indicators)


def test_no_measure_is_counted_for_nothing():
    used = {
        (s.family, s.measure)
        for table in CATALOGUE.tables.values()
        for column in table.columns
        for s in selectors(column)
    }
    counted = {
        key
        for key, measure in CATALOGUE.measures.items()
        if measure.family != "diagnostics"
        and measure.id not in NOT_FIGURES
        and not measure.id.startswith(("column.", "valued."))
    }
    assert counted <= used


def test_every_column_takes_a_right_that_can_be_given():
    widgets = {column.widget for table in CATALOGUE.tables.values() for column in table.columns}
    assert widgets == WIDGETS | {"accueil", "connexions"}
    for table in CATALOGUE.tables.values():
        assert all(column.widget.partition(".")[0] == table.page for column in table.columns)


def test_what_comes_from_a_census_column_knows_whether_it_is_there():
    for (family, _), measure in CATALOGUE.measures.items():
        if measure.column:
            assert (family, f"column.{measure.column}") in CATALOGUE.measures


@pytest.mark.parametrize(
    "formula",
    [
        "connections",
        "web / software / web",
        "web(somebody)",
        "software(eleve)",
        "pupils(access=any)",
        "a b",
        "nothing",
        "web()",
    ],
)
def test_a_formula_that_says_nothing_is_refused(formula: str):
    with pytest.raises(BadFormulaError):
        Formulas(CATALOGUE, {"web": "web/connections", "software": "software/connections"}).read(formula)


def test_a_formula_adds_terms_and_divides_once():
    formulas = Formulas(CATALOGUE, {"both": "web/connections + software/connections"})
    read = formulas.read("both(enseignant) / web/connections(enseignant mobile)")
    assert read.unit == "rate"
    assert [CATALOGUE.codes(part) for part in read.parts] == [[1289, 1290, 1291, 1297, 1298, 1299], [3353]]
    assert [CATALOGUE.codes(part) for part in read.over] == [[1297, 1298, 1299]]
    assert formulas.read("pupils / classes", "ratio").unit == "ratio"
    assert formulas.read("pupils").unit == "count"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_column_has_its_definition_card(language: str):
    seen: dict[str, str] = {}
    for table in CATALOGUE.tables.values():
        for column in table.columns:
            card = CATALOGUE.definitions.of(table, column, language)  # type: ignore[arg-type]
            assert card.text.endswith(".")
            assert "{" not in card.text
            assert card.formula
            assert bool(card.rate) == bool(column.rate)
            assert card.origin
            assert seen.setdefault(card.id, card.text) == card.text
    own = [card for card in seen if "/" in card]
    assert len({seen[card] for card in own}) == len(own), "no two columns are the same thing"


def test_every_sentence_is_some_columns():
    file = CATALOGUE.definitions._file
    columns = [(table, column) for table in CATALOGUE.tables.values() for column in table.columns]
    used = {id(CATALOGUE.definitions._sentence(table, column, "fr")[0]) for table, column in columns}
    assert all(id(sentence) in used for sentences in file.columns.values() for sentence in sentences.values())


def test_cards_say_where_page_and_annex_differ():
    noted = {
        column.indicator
        for table in CATALOGUE.tables.values()
        for column in table.columns
        if CATALOGUE.definitions.of(table, column).note
    }
    assert noted >= {25, 38, 40, 42, 44, 46, 49, 71, 75, 77, 80}


def test_a_card_tells_years_purpose_origin_and_formula():
    table = CATALOGUE.tables["connexions.authentifiees"]
    columns = {column.id: column for column in table.columns}
    card = CATALOGUE.definitions.of(table, columns["personnel.net"], "en")
    assert card.text.startswith("Authenticated connections by .Net (computer and mobile) of staff")
    assert (card.since, card.complete_since, card.origin) == (2014, 2014, ("observed", "presumed"))
    assert card.formula == "Connections by Web and mobile (Staff)"
    assert (
        card.rate
        == "Connections by Web and mobile (Staff) ÷ (Connections by Web and mobile (Staff) + Connections by the desktop client (Staff))"
    )
    late = CATALOGUE.tables["social.niveaux.lateness"]
    card = CATALOGUE.definitions.of(late, late.columns[0])
    assert card.purpose == "finalité liée à l'action sociale ou le transport"
    assert card.text == "Retards d'élèves constatés dans la période. Compté niveau par niveau."
    assert CATALOGUE.definitions.of(
        CATALOGUE.tables["moyens.niveaux"], CATALOGUE.tables["moyens.niveaux"].columns[0]
    ).origin == ("declared",)
