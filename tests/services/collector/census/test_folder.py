"""The census folder: dates, the newest that can count, and where files go once read."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from contracts.usage_reported import validate
from services.collector.census.faults import NotPutAwayError
from services.collector.census.folder import LARGEST_FILE, discover, put_away, read_newest
from tests.support.censuses import told, write

TODAY = date(2026, 11, 20)


def found(folder: Path) -> list[tuple[str, str]]:
    return [(file.day.isoformat(), file.name) for file in discover(folder, TODAY).files]


def said(folder: Path) -> list[str]:
    return [str(fault) for fault in discover(folder, TODAY).faults]


def read(folder: Path) -> dict[tuple[str, str], dict[str, int]]:
    reading = read_newest(discover(folder, TODAY).files)
    return {(file.day.isoformat(), file.name): told(census) for file, census in reading.read}


def test_dated_folders_and_their_five_files(tmp_path):
    for name in ("comptes", "eleves", "personnels", "classes", "salles"):
        write(tmp_path, "2026-10-05", name, "")
    write(tmp_path, "2026-11-20", "ELEVES", "")
    write(tmp_path, "archive", "eleves", "")
    write(tmp_path, "2026-10-5", "eleves", "")
    assert found(tmp_path) == [
        ("2026-10-05", "classes"),
        ("2026-10-05", "comptes"),
        ("2026-10-05", "eleves"),
        ("2026-10-05", "personnels"),
        ("2026-10-05", "salles"),
        ("2026-11-20", "eleves"),
    ]
    assert said(tmp_path) == []


def test_folders_and_files_that_cannot_be_a_census_are_told_without_their_content(tmp_path):
    write(tmp_path, "2026-11-21", "eleves", "id;niveau\n1;6EME\n")
    write(tmp_path, "2026-02-30", "eleves", "")
    write(tmp_path, "2010-08-31", "eleves", "")
    write(tmp_path, "0001-01-01", "eleves", "")
    write(tmp_path, "2026-10-05", "Jeanne Secret", "")
    assert found(tmp_path) == []
    assert [line.split(": ")[0] for line in said(tmp_path)] == [
        "census 0001-01-01",
        "census 2010-08-31",
        "census 2026-02-30",
        "census 2026-10-05",
        "census 2026-11-21",
    ]
    assert "later than today" in said(tmp_path)[-1]
    assert "Secret" not in "".join(said(tmp_path))


def test_a_folder_that_is_not_there_is_said(tmp_path):
    assert said(tmp_path / "absent") == ["census: cannot be read: check that the agent may read it"]


def test_the_newest_date_of_each_school_year_and_file_wins(tmp_path):
    write(tmp_path, "2026-10-05", "eleves", "id;niveau\n1;6EME\n")
    write(tmp_path, "2026-11-02", "eleves", "id;niveau\n1;6EME\n2;6EME\n")
    write(tmp_path, "2026-10-05", "classes", "nom;niveau\nA;6EME\n")
    write(tmp_path, "2026-08-31", "eleves", "id;niveau\n1;5EME\n")
    write(tmp_path, "2025-09-01", "eleves", "id;niveau\n1;4EME\n")
    assert read(tmp_path) == {
        ("2026-11-02", "eleves"): {"pupils/6EME": 2},
        ("2026-10-05", "classes"): {"classes/6EME": 1},
        ("2026-08-31", "eleves"): {"pupils/5EME": 1},
    }


def test_a_refused_file_leaves_the_older_one_in_its_place(tmp_path):
    write(tmp_path, "2026-10-05", "eleves", "id;niveau\n1;6EME\n")
    write(tmp_path, "2026-11-02", "eleves", "id;classe\n1;6A\n2;6A\n")
    reading = read_newest(discover(tmp_path, TODAY).files)
    assert [(file.day.isoformat(), told(census)) for file, census in reading.read] == [
        ("2026-10-05", {"pupils/6EME": 1})
    ]
    assert [str(fault) for _, fault in reading.refused] == [
        "census 2026-11-02, eleves.csv: required column missing niveau"
    ]


def test_of_two_files_of_one_date_the_one_written_last_counts(tmp_path):
    upper = write(tmp_path, "2026-10-05", "ELEVES", "id;niveau\n1;6EME\n")
    lower = write(tmp_path, "2026-10-05", "eleves", "id;niveau\n1;6EME\n2;6EME\n")
    os.utime(lower, ns=(1, 1))
    os.utime(upper, ns=(2, 2))
    assert list(read(tmp_path).values()) == [{"pupils/6EME": 1}]


def test_a_file_greater_than_any_census_is_refused(tmp_path):
    path = write(tmp_path, "2026-10-05", "eleves", "id;niveau\n1;6EME\n")
    os.truncate(path, LARGEST_FILE + 1)
    [(_, fault)] = read_newest(discover(tmp_path, TODAY).files).refused
    assert fault.reason == "too_big"


def test_a_file_that_vanishes_before_it_is_read_is_refused(tmp_path):
    path = write(tmp_path, "2026-10-05", "eleves", "id;niveau\n1;6EME\n")
    files = discover(tmp_path, TODAY).files
    path.unlink()
    [(_, fault)] = read_newest(files).refused
    assert str(fault) == "census 2026-10-05, eleves.csv: cannot be read: check that the agent may read it"


def test_what_leaves_is_a_valid_report_of_the_census_day(tmp_path):
    write(tmp_path, "2026-10-05", "salles", "nom;creneaux_occupes;creneaux_ouverts\nA;10;40\n")
    [(_, census)] = read_newest(discover(tmp_path, TODAY).files).read
    report = census.report(restatement=1_795_000_000)
    validate(report)
    assert (report.family, report.grain, report.start) == ("census.salles", "day", "2026-10-05")
    assert (report.restatement, report.counts) == (1_795_000_000, [1, 1, 10, 40])


def test_left_archived_or_deleted_by_setting(tmp_path):
    census, archive = tmp_path / "census", tmp_path / "census" / "archive"
    for content in ("id;niveau\n1;6EME\n", "id;niveau\n1;6EME\n2;6EME\n"):
        write(census, "2026-10-05", "eleves", content)
        [file] = discover(census, TODAY).files
        assert not put_away(file, "left", archive)
        assert put_away(file, "archived", archive)
        assert found(census) == []
    kept = sorted(archive.rglob("*.csv"))
    assert [path.relative_to(archive).as_posix() for path in kept] == [
        "2026-10-05/eleves.2.csv",
        "2026-10-05/eleves.csv",
    ]
    assert kept[0].read_text().count("6EME") == 2

    path = write(census, "2026-10-05", "eleves", "id;niveau\n")
    [file] = discover(census, TODAY).files
    assert put_away(file, "deleted", archive)
    assert not path.exists()


def test_a_file_written_again_since_it_was_read_is_not_put_away(tmp_path):
    path = write(tmp_path, "2026-10-05", "eleves", "id;niveau\n")
    [file] = discover(tmp_path, TODAY).files
    path.write_text("id;niveau\n1;6EME\n")
    assert not put_away(file, "deleted", tmp_path / "archive")
    assert path.exists()


def test_a_file_that_cannot_be_put_away_is_an_error_with_its_reason(tmp_path):
    write(tmp_path, "2026-10-05", "eleves", "id;niveau\n")
    [file] = discover(tmp_path, TODAY).files
    blocked = tmp_path / "archive"
    blocked.write_text("a file where the archive should be")
    with pytest.raises(NotPutAwayError, match=r"census 2026-10-05, eleves.csv: "):
        put_away(file, "archived", blocked)
    assert file.path.exists()
