"""The census as an agent's source: read once, before the others; a newer one replaces, an older one that comes later does not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from contracts.catalogue import CATALOGUE
from services.collector.cli import agent as command
from services.collector.clock import AgentClock
from services.collector.config import GrantSettings, SourcesSettings
from services.collector.small import SmallProfiles
from services.collector.sources import families_of
from tests.services.collector.school import School, connection
from tests.support.censuses import write

NOVEMBER = "2026-11-19T08:00:00+01:00"
BOTH = SourcesSettings(journal="journal*", census="census")


def accounts(**held: int) -> str:
    rows = [f"{profile}{n};{profile}" for profile, count in held.items() for n in range(count)]
    return "\n".join(["id;profil", *rows]) + "\n"


def pupils(*levels: str) -> str:
    return "\n".join(["id;niveau", *(f"nom-{n};{level}" for n, level in enumerate(levels))]) + "\n"


@pytest.fixture
def school(make_school: Callable[..., School]) -> School:
    return make_school(sources=BOTH)


@pytest.fixture
def folder(school: School) -> Path:
    return school.folder / "census"


def small(school: School, month: str) -> set[str]:
    known = school.store.small_profiles(school.service.number)
    return set(SmallProfiles(school.type, known).of_month(datetime.fromisoformat(month).date()))


def restatement(school: School, day: str, family: str = "census.comptes") -> int:
    return school.reports()[family, "day", day].restatement


def test_a_census_leaves_as_the_day_that_it_bears_and_is_never_cut(school: School, folder: Path) -> None:
    write(folder, "2026-10-05", "comptes", accounts(eleve=7, administratif=2))
    school.write(connection(NOVEMBER))
    before = int(datetime.now(UTC).timestamp())
    school.read()
    report = school.reports()["census.comptes", "day", "2026-10-05"]
    assert school.counts("census.comptes", "day", "2026-10-05") == {"eleve": 7, "administratif": 2, "read": 1}
    assert (report.cut, before <= report.restatement <= datetime.now(UTC).timestamp()) == (False, True)


def test_nothing_is_read_twice_not_even_after_a_restart(school: School, folder: Path) -> None:
    path = write(folder, "2026-10-05", "comptes", accounts(eleve=7))
    school.read().acknowledge()
    written = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes().replace(b";eleve", b";autre"))
    os.utime(path, ns=(written, written))
    school.restart()
    assert school.read().reports() == {}
    assert school.service.census.faults == []


def test_a_file_written_again_replaces_what_it_said(school: School, folder: Path) -> None:
    write(folder, "2026-10-05", "comptes", accounts(eleve=7, autre=1))
    first = restatement(school.read(), "2026-10-05")
    os.utime(write(folder, "2026-10-05", "comptes", accounts(eleve=6)), (1, 1))
    school.read()
    assert school.counts("census.comptes", "day", "2026-10-05") == {"eleve": 6, "read": 1}
    assert restatement(school, "2026-10-05") > first


def test_restatements_grow_even_when_the_clock_goes_back(school: School, folder: Path) -> None:
    write(folder, "2026-10-05", "comptes", accounts(eleve=7))
    first = restatement(school.read(), "2026-10-05")

    class Earlier(AgentClock):
        def real_now(self) -> datetime:
            return datetime(2020, 1, 1, tzinfo=UTC)

    school.service.clock = Earlier()
    write(folder, "2026-11-05", "comptes", accounts(eleve=8))
    assert restatement(school.read(), "2026-11-05") == first + 1


def test_an_older_census_that_comes_later_does_not_replace(school: School, folder: Path) -> None:
    write(folder, "2026-10-05", "comptes", accounts(eleve=7))
    school.read().acknowledge()
    write(folder, "2026-09-20", "comptes", accounts(eleve=99))
    write(folder, "2026-09-20", "eleves", pupils("6EME"))
    write(folder, "2025-10-06", "comptes", accounts(eleve=5))
    assert {(family, start) for family, _, start in school.read().reports()} == {
        ("census.eleves", "2026-09-20"),
        ("census.comptes", "2025-10-06"),
    }


def test_what_the_platform_would_refuse_is_read_but_stays(school: School, folder: Path) -> None:
    write(folder, "2025-08-31", "comptes", accounts(eleve=7))
    assert school.read().reports() == {}
    assert small(school, "2026-11-01") == {"responsable", "accompagnant", "enseignant", "personnel"}


def test_a_refused_file_leaves_the_older_one_and_is_told_without_what_it_says(school: School, folder: Path) -> None:
    write(folder, "2026-10-05", "comptes", accounts(eleve=7))
    school.read()
    first = school.states()
    write(folder, "2026-10-05", "comptes", "id;fonction\nSecret;eleve\n")
    write(folder, "2026-11-05", "comptes", "profil\nSecret\n")
    write(folder, "2026-12-05", "comptes", accounts(eleve=9))
    school.read()
    assert school.states() == first
    assert school.service.census.faults == [
        "census 2026-10-05, comptes.csv: required column missing profil",
        "census 2026-11-05, comptes.csv: required column missing id",
        "census 2026-12-05: the date is later than today: give the folder the date of the export",
    ]
    school.restart()
    assert len(school.read().service.census.faults) == 3


def test_families_that_are_not_granted_are_not_read(make_school: Callable[..., School]) -> None:
    grants = (GrantSettings("census.eleves", first=datetime(2026, 10, 1, tzinfo=UTC).date()),)
    school = make_school(sources=BOTH, grants=grants)
    for day in ("2026-09-20", "2026-10-05"):
        write(school.folder / "census", day, "eleves", pupils("6EME"))
        write(school.folder / "census", day, "comptes", accounts(eleve=9))
    assert set(school.read().reports()) == {("census.eleves", "day", "2026-10-05")}
    assert small(school, "2026-10-01") == {"accompagnant"}


# --- small profiles


def test_the_first_census_applies_from_the_beginning(school: School, folder: Path) -> None:
    write(folder, "2025-10-06", "comptes", accounts(eleve=50))
    write(folder, "2026-10-05", "comptes", accounts(eleve=50, accompagnant=5, enseignant=4, autre=3, administratif=2))
    school.write(connection("2026-09-03T08:00:00+02:00", "t", "enseignant"), connection(NOVEMBER, "a", "accompagnant"))
    school.read()
    assert small(school, "2026-09-01") == {"responsable", "enseignant"}
    assert school.counts("web", "month", "2026-09-01") == {"enseignant.web.direct": 1}
    assert school.counts("web", "day", "2026-11-19") == {"accompagnant.web.direct": 1}
    assert school.counts("diagnostics", "month", "2026-11-01") == {"responsable": 1, "enseignant": 1}


def test_a_newer_one_applies_from_the_next_month(school: School, folder: Path) -> None:
    write(folder, "2026-10-05", "comptes", accounts(eleve=50))
    school.read()
    write(folder, "2026-11-10", "comptes", accounts(eleve=50, responsable=50, enseignant=9, autre=9, accompagnant=9))
    write(folder, "2026-09-10", "comptes", accounts())
    school.read()
    everyone_else = {"responsable", "accompagnant", "enseignant", "personnel"}
    assert [small(school, month) for month in ("2026-09-01", "2026-11-01", "2026-12-01")] == [
        everyone_else,
        everyone_else,
        set(),
    ]


def test_a_first_one_that_comes_late_leaves_the_month_as_it_began(school: School, folder: Path) -> None:
    """Else a month would be counted half by day and half as a whole, and show the greater half."""
    school.write(connection(NOVEMBER, "t", "enseignant"))
    school.read()
    write(folder, "2026-10-05", "comptes", accounts(eleve=50))
    school.read()
    assert small(school, "2026-11-01") == {"accompagnant"}
    assert small(school, "2026-12-01") == {"responsable", "accompagnant", "enseignant", "personnel"}


def test_an_older_year_never_decides(school: School, folder: Path) -> None:
    write(folder, "2026-10-05", "comptes", accounts(eleve=50, accompagnant=9))
    school.read()
    write(folder, "2025-10-06", "comptes", accounts())
    school.read()
    assert small(school, "2026-12-01") == {"responsable", "enseignant", "personnel"}


# --- what stays in the state


def test_sixty_days_later_it_still_stands_and_the_day_still_counts(school: School, folder: Path) -> None:
    write(folder, "2026-09-07", "comptes", accounts(eleve=50))
    school.read().acknowledge()
    school.now = datetime(2026, 12, 20, tzinfo=UTC)
    school.read()
    assert school.store.dropped_days(school.service.number) == set()
    school.write(connection("2026-09-07T08:00:00+02:00"))
    assert ("web", "day", "2026-09-07") in school.read().reports()


def test_restating_the_journal_leaves_it_alone(school: School, folder: Path) -> None:
    write(folder, "2026-10-05", "comptes", accounts(eleve=50))
    school.read().acknowledge()
    with school.store.transaction():
        families = ("web", "people")
        school.store.restatements.restate(school.service.number, families, lambda *_: True, now=0.0, restatement=2**33)
    assert school.reports() == {}


# --- afterwards


@pytest.mark.parametrize(
    ("afterwards", "left", "archived"),
    [("left", True, False), ("archived", False, True), ("deleted", False, False)],
)
def test_afterwards(make_school: Callable[..., School], afterwards: str, left: bool, archived: bool) -> None:
    sources = SourcesSettings(census="census", census_afterwards=afterwards)  # type: ignore[arg-type]
    school = make_school(sources=sources)
    folder = school.folder / "census"
    path = write(folder, "2026-10-05", "comptes", accounts(eleve=7))
    refused = write(folder, "2026-11-05", "comptes", "nothing\n")
    school.read().read()
    assert path.exists() == left
    assert (folder / "archived" / "2026-10-05" / "comptes.csv").exists() == archived
    assert refused.exists(), "who has to correct it must find it"
    assert ("census.comptes", "day", "2026-10-05") in school.reports()


def test_a_file_that_was_counted_before_a_crash_goes_at_the_next_turn(make_school: Callable[..., School]) -> None:
    school = make_school(sources=SourcesSettings(census="census", census_afterwards="deleted"))
    path = write(school.folder / "census", "2026-10-05", "comptes", accounts(eleve=7))
    school.service.census._tidy = False  # what a stop between the commit and the deletion leaves
    school.read()
    assert path.exists()
    school.restart()
    school.read()
    assert not path.exists()


# --- what is told


def test_families_of_a_census_folder() -> None:
    families = families_of({"census": "census"})
    assert families == [family.id for family in CATALOGUE.families.values() if family.source == "census"]
    assert len(families) == 5


def test_check_tells_files_lines_and_reasons_and_touches_nothing(
    school: School, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERRITORIALE_NOW", school.now.isoformat())
    (school.folder / "agent.toml").write_text('census = "census"\ncensus_afterwards = "deleted"\n')
    path = write(folder, "2026-10-05", "eleves", pupils("6EME", "6EME", "Poney") + "nom-0;5EME\n")
    write(folder, "2026-10-05", "comptes", "id\nnom-1\n")
    settings = tmp_path / "agent.toml"
    settings.write_text(
        'agent = "a"\nstate = "a.sqlite"\nkey = "a.key"\n[[establishment]]\nuai = "0750654D"\nzone = "Europe/Paris"\n'
        f'type = "college"\nsources = "{school.folder.as_posix()}"\n'
    )
    said = CliRunner().invoke(command, ["check", "--settings", str(settings), "--json"])
    told = json.loads(said.output)
    assert told["establishments"][0]["census"] == {
        "files": [{"date": "2026-10-05", "file": "eleves.csv", "rows": 2}],
        "refused": {"missing_column": 1, "same_id": 1, "unknown_level": 1},
        "faults": [
            {"date": "2026-10-05", "file": "comptes.csv", "line": 0, "reason": "missing_column", "column": "profil"},
            {"date": "2026-10-05", "file": "eleves.csv", "line": 4, "reason": "unknown_level", "column": ""},
            {"date": "2026-10-05", "file": "eleves.csv", "line": 5, "reason": "same_id", "column": ""},
        ],
    }
    text = CliRunner().invoke(command, ["check", "--settings", str(settings)]).output
    assert "refused, census 2026-10-05, eleves.csv, line 4: unknown_level" in text
    for secret in ("nom-", "Poney"):
        assert secret not in said.output + text
    assert not told["ok"]
    assert path.exists()
