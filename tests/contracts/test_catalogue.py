"""The catalogue validates itself: no orphan, no code given twice, none ever renumbered."""

from __future__ import annotations

import itertools

import pytest

from contracts.catalogue import CATALOGUE, UnknownCellError, lock


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
            assert all(CATALOGUE.codes(selector) for selector in (*column.parts, *column.over))
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
