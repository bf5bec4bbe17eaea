"""Years before the agents: censuses and yearly totals, refused line by line, never finer, the same when done again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from contracts.catalogue import CATALOGUE
from contracts.usage_reported import Report
from services.collector.cli import agent as command
from services.collector.errors import ImportRefusedError
from services.collector.importing import school_year
from services.collector.totals import COLUMNS, read_totals
from tests.services.collector.fleet import FAMILIES, enrolled, run_until_idle, seen, write_journal
from tests.services.collector.school import NOW, UAI
from tests.support.fleet_platform import FleetPlatform

HEAD = ";".join(COLUMNS) + "\n"
TOTALS = (
    HEAD
    + "connections;eleve;web;ent;;15230\nconnections;enseignant;software;direct;;87\npeople;eleve;net;any;;412\nforums;;;;6EME;12\nforums;;;;;3\n"
)


@pytest.fixture(autouse=True)
def held_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRITORIALE_NOW", NOW.isoformat())
    monkeypatch.delenv("TERRITORIALE_KAFKA", raising=False)


@pytest.fixture
def platform() -> Iterator[FleetPlatform]:
    with FleetPlatform() as platform:
        platform.serve(UAI, *FAMILIES, "census.comptes", "census.eleves")
        yield platform


@pytest.fixture
def folder(platform: FleetPlatform, tmp_path: Path) -> Path:
    write_journal(tmp_path, seen())
    asyncio.run(enrolled(platform, tmp_path))
    year = tmp_path / "sources" / UAI / "import" / "2015-2016"
    (year / "census" / "2015-10-05").mkdir(parents=True)
    (year / "totals.csv").write_text(TOTALS)
    (year / "census" / "2015-10-05" / "comptes.csv").write_text(
        "id;profil\n" + "".join(f"a{n};eleve\n" for n in range(9))
    )
    return tmp_path


def _import(folder: Path, *more: str, status: int = 0) -> dict[str, object]:
    arguments = ["import", "--settings", str(folder / "agent.toml"), "--school-year", "2015-2016", "--json", *more]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == status, result.output
    return dict(json.loads(result.output.splitlines()[-1]))


def _imported(platform: FleetPlatform) -> list[Report]:
    return [r for m in platform.messages for r in m.reports if r.start == "2015-09-01"]


def test_a_file_of_totals_becomes_cells() -> None:
    found = read_totals(("\ufeff" + TOTALS.replace("\n", "\r\n")).encode())
    assert found.faults == []
    assert found.counts == {
        "web": {CATALOGUE.code("web", "connections", "eleve", "web", "ent"): 15230},
        "software": {CATALOGUE.code("software", "connections", "enseignant", "software", "direct"): 87},
        "people": {CATALOGUE.code("people", "people", "eleve", "net", "any"): 412},
        "activities.scolarite": {
            CATALOGUE.code("activities.scolarite", "forums", level="6EME"): 12,
            CATALOGUE.code("activities.scolarite", "forums", level="AUTRE"): 3,
        },
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("connexions;eleve;web;ent;;1", "mesure: 'connexions' is none of"),
        ("connections;eleves;web;ent;;1", "profil: 'eleves' is none of"),
        ("connections;eleve;software;direct;;1", "not counted by that profil"),
        ("people;eleve;net;unknown;;1", "not counted by that profil"),
        ("connections_hour;families;web;;;1", "mesure: 'connections_hour'"),
        ("minutes;;;;5;1", "mesure: 'minutes'"),
        ("forums;;;;7EME;1", "niveau: '7EME' is none of"),
        ("forums;;;;6EME;-1", "nombre: '-1' is no whole number"),
        ("forums;;;;6EME;1,5", "nombre"),
        ("forums;;;;6EME;", "nombre"),
        ("forums;;;;6EME;²", "nombre"),
        ("forums;;;;6EME;99999999999999", "nombre"),
        ("forums;;;6EME;1", "not 6 values"),
        ("connections;eleve;web;ent;;7", "the same number again"),
    ],
)
def test_each_fault_names_its_line(line: str, words: str) -> None:
    (fault,) = read_totals((TOTALS + line + "\n").encode()).faults
    assert fault.line == 7
    assert words in fault.reason


def test_other_columns_are_refused() -> None:
    assert read_totals(b"measure;n\nforums;1\n").faults[0].line == 1
    assert read_totals(b"").faults[0].line == 1
    assert read_totals((HEAD + '"forums;;;;6EME;1\nx\n').encode()).faults[0].line == 2


@pytest.mark.parametrize("text", ["2015", "2015-2017", "2015-2014", "15-16", "x-y", "2015/2016"])
def test_what_is_no_school_year(text: str) -> None:
    with pytest.raises(ImportRefusedError, match="no school year"):
        school_year(text)


def test_a_year_is_reported_by_the_school_year_and_never_finer(platform: FleetPlatform, folder: Path) -> None:
    said = _import(folder)
    assert said["ok"]
    reports = _imported(platform)
    assert {(r.family, r.grain) for r in reports} == {
        (family, "school_year") for family in ("web", "software", "people", "activities.scolarite", "census.comptes")
    }
    assert not any(r.cut for r in reports), "a year is imported whole"
    assert all(r.restatement > 1_600_000_000 for r in reports)
    sent = len(_imported(platform))
    again = _import(folder)
    assert again["establishments"][0]["changed"] == []  # type: ignore[index]
    assert len(_imported(platform)) == sent, "the same again is nothing new"


def test_a_corrected_year_replaces(platform: FleetPlatform, folder: Path) -> None:
    _import(folder)
    first = {r.family: r.restatement for r in _imported(platform)}
    path = folder / "sources" / UAI / "import" / "2015-2016" / "totals.csv"
    path.write_text(TOTALS.replace("15230", "152"))
    said = _import(folder)
    assert said["establishments"][0]["changed"] == ["web"]  # type: ignore[index]
    newest = _imported(platform)[-1]
    assert (newest.family, newest.counts) == ("web", [152])
    assert newest.restatement > first["web"]


def test_one_wrong_line_and_nothing_is_imported(platform: FleetPlatform, folder: Path) -> None:
    path = folder / "sources" / UAI / "import" / "2015-2016" / "totals.csv"
    path.write_text(TOTALS + "forum;;;;6EME;1\n")
    said = _import(folder, status=2)
    assert "totals.csv, line 7: mesure" in said["establishments"][0]["faults"][0]  # type: ignore[index]
    assert _imported(platform) == []


def test_a_dry_run_stores_and_sends_nothing(platform: FleetPlatform, folder: Path) -> None:
    before, hellos = (folder / "agent.sqlite").read_bytes(), len(platform.hellos)
    said = _import(folder, "--check")
    assert said["establishments"][0]["families"]["web"] == 15230  # type: ignore[index]
    assert (folder / "agent.sqlite").read_bytes() == before
    assert (platform.messages, len(platform.hellos)) == ([], hellos)


def test_a_year_that_is_not_granted_is_refused_here(platform: FleetPlatform, folder: Path) -> None:
    platform.grants.clear()
    platform.serve(UAI, *FAMILIES, "census.comptes", from_day=date(2026, 9, 1))
    said = _import(folder, status=2)
    assert "ask the platform's administrator for a grant from 2015-09-01" in said["establishments"][0]["faults"][0]  # type: ignore[index]


def test_a_year_that_the_agent_counted_is_its_own(platform: FleetPlatform, folder: Path) -> None:
    write_journal(folder, seen("2026-03-03"))
    asyncio.run(run_until_idle(folder))
    year = folder / "sources" / UAI / "import" / "2025-2026"
    year.mkdir(parents=True)
    (year / "totals.csv").write_text(TOTALS)
    arguments = ["import", "--settings", str(folder / "agent.toml"), "--school-year", "2025-2026"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert "web: this agent has counted it itself in 2025-2026" in result.output
    assert "software: this agent" not in result.output


def test_a_census_of_another_year_is_refused(platform: FleetPlatform, folder: Path) -> None:
    year = folder / "sources" / UAI / "import" / "2015-2016"
    (year / "census" / "2015-10-05").rename(year / "census" / "2016-10-05")
    said = _import(folder, "--establishment", UAI.lower(), status=2)
    assert said["establishments"][0]["faults"] == ["census 2016-10-05: is not of the school year 2015-2016"]  # type: ignore[index]


def test_a_running_year_and_the_dark_ages_are_refused(platform: FleetPlatform, folder: Path) -> None:
    for named in ("2026-2027", "2009-2010"):
        arguments = ["import", "--settings", str(folder / "agent.toml"), "--school-year", named, "--check"]
        result = CliRunner().invoke(command, arguments)
        assert result.exit_code == 2
        assert "is not over, or before 2010-2011" in result.output
