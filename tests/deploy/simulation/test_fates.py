"""What happens to some establishments, and their censuses: each case that a page has to cope with is there."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event

import pytest

from contracts.catalogue import CATALOGUE
from deploy.local.simulation import preparation, prepare
from deploy.local.simulation.census import due, write_census
from deploy.local.simulation.habits import PROFILES
from deploy.local.simulation.live import Simulation
from deploy.local.simulation.past import past_years, write_past
from deploy.local.simulation.population import population
from deploy.local.simulation.territory import ESTABLISHMENTS, dated
from deploy.local.simulation.traffic import day_of
from services.collector.census.folder import discover, read_newest
from services.collector.totals import read_totals
from tests.deploy.simulation.reading import dated_facts, instant

SINCE = date(2026, 9, 28)
SEED = 5
THURSDAY = date(2026, 11, 19)


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines(), delimiter=";"))


def fated(fate: str):
    (found,) = (dated(each, SINCE) for each in ESTABLISHMENTS if each.fate == fate)
    return found


def test_one_closed_in_mid_year_one_joined_in_march_one_is_silent_for_two_weeks():
    closed, joined, silent = fated("closed"), fated("joined"), fated("silent")
    assert day_of(closed, date(2026, 2, 27), SEED).lines
    assert not day_of(closed, date(2026, 2, 28), SEED).lines
    assert day_of(joined, date(2026, 3, 2), SEED).lines
    assert not day_of(joined, date(2026, 3, 1), SEED).lines
    days = [date(2026, 10, 1) + timedelta(days=place) for place in range(30)]
    mute = [day for day in days if not day_of(silent, day, SEED).lines]
    assert (mute[0], mute[-1], len(mute)) == (date(2026, 10, 5), date(2026, 10, 18), 14)


def test_a_silent_journal_goes_on_afterwards_and_resumes_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Written in steps that end before, within and after the silence: the same bytes as in one go."""
    (silent,) = (each for each in ESTABLISHMENTS if each.fate == "silent")
    monkeypatch.setattr(preparation, "ESTABLISHMENTS", (silent,))
    now, uai = datetime.fromisoformat("2026-10-01T10:00:00+02:00"), silent.uai
    for name, steps in (("steps", (0, 12, 14, 40, 49, 50, 60)), ("once", (0, 60))):
        for days in steps:
            prepare(tmp_path / name, now + timedelta(days=days), establishments=1)
    names = sorted(path.name for path in (tmp_path / "once" / uai).glob("journal-2*"))
    assert names == sorted(path.name for path in (tmp_path / "steps" / uai).glob("journal-2*"))
    assert all(
        (tmp_path / "once" / uai / each).read_bytes() == (tmp_path / "steps" / uai / each).read_bytes()
        for each in names
    )
    instants = [instant(fact) for fact in dated_facts(tmp_path / "once" / uai)]
    gaps = [(after - before).days for before, after in pairwise(instants) if after - before > timedelta(days=1)]
    assert gaps == [14]


def test_overseas_lives_by_its_own_clock_and_a_small_ecole_has_one_teacher():
    (overseas,) = (each for each in ESTABLISHMENTS if each.zone != "Europe/Paris")
    assert {line[26:32] for line in day_of(overseas, THURSDAY, SEED).lines} == {"+04:00"}
    teachers = {each.name: population(each, 2026, SEED).teachers for each in ESTABLISHMENTS if each.kind == "ecole"}
    assert min(teachers.values()) == 1
    assert any(len(each.postal_codes) == 2 for each in ESTABLISHMENTS)
    assert {each.kind for each in ESTABLISHMENTS} == {"college", "lycee", "ecole"}


@pytest.mark.parametrize("establishment", ESTABLISHMENTS, ids=lambda each: each.uai)
def test_a_census_is_read_whole_and_says_what_the_population_is(establishment, tmp_path: Path):
    day = date(2026, 9, 15)
    assert write_census(tmp_path, establishment, day, SEED)
    assert not write_census(tmp_path, establishment, day, SEED)
    found = discover(tmp_path / "census", THURSDAY)
    assert (len(found.files), found.faults) == (5, ())
    reading = read_newest(found.files)
    assert [fault for _, fault in reading.refused] == []
    assert [fault for _, census in reading.read for fault in census.faults] == []
    crowd = population(establishment, 2026, SEED)
    rows = {path.stem: rows_of(path) for path in (tmp_path / "census").rglob("*.csv")}
    assert len(rows["comptes"]) == len(crowd.people.who)
    assert len(rows["eleves"]) == sum(crowd.pupils)
    assert Counter(row["categorie"] for row in rows["personnels"])["enseignant"] == crowd.teachers
    assert Counter(row["niveau"].removesuffix("-SEGPA") for row in rows["eleves"]) == Counter(
        dict(zip(establishment.levels, crowd.pupils, strict=True))
    )
    assert {row["classe"] for row in rows["eleves"]} == {row["nom"] for row in rows["classes"]}
    assert ("-SEGPA" in str(rows["classes"])) == establishment.segpa


def test_censuses_go_back_to_the_previous_rentree_and_stop_with_the_establishment(tmp_path: Path):
    closed = fated("closed")
    assert max(due(closed, THURSDAY)) == date(2026, 1, 15)
    assert due(ESTABLISHMENTS[0], THURSDAY)[0] == date(2025, 9, 15)
    prepare(tmp_path, datetime.fromisoformat("2026-08-30T10:15:30+02:00"), establishments=1)
    folder = tmp_path / ESTABLISHMENTS[0].uai / "census"
    assert [path.name for path in folder.iterdir()] == ["2026-05-15"]
    now = datetime.fromisoformat("2026-08-30T11:15:30+02:00")
    Simulation(tmp_path, clock=lambda: now, say=lambda _: None, stop=Event()).run(until_caught_up=True)
    assert {path.name for path in folder.iterdir()} == {day.isoformat() for day in due(ESTABLISHMENTS[0], now.date())}


@pytest.mark.parametrize("establishment", ESTABLISHMENTS, ids=lambda each: each.uai)
def test_past_years_are_what_an_agent_imports(establishment, tmp_path: Path):
    years = past_years(SINCE)
    assert [year.name for year in years] == ["2022-2023", "2023-2024", "2024-2025"]
    assert write_past(tmp_path, establishment, years[-1], SEED)
    assert not write_past(tmp_path, establishment, years[-1], SEED)
    totals = read_totals((tmp_path / "import" / "2024-2025" / "totals.csv").read_bytes())
    assert totals.faults == []
    counts = {CATALOGUE.cells[code]: n for family in totals.counts.values() for code, n in family.items()}
    assert {cell.family for cell in counts} == {
        "web", "software", "people", "activities.scolarite", "activities.communications", "activities.travaux", "activities.social",
    }  # fmt: skip
    accounts = Counter(population(establishment, 2024, SEED).people.profile.tolist())
    reached = {
        cell.profile: n
        for cell, n in counts.items()
        if (cell.family, cell.channel, cell.access) == ("people", "net", "any")
    }
    assert all(n <= accounts[PROFILES.index(profile)] for profile, n in reached.items())
    assert reached["responsable"] > 0.5 * accounts[PROFILES.index("responsable")]
    assert len(discover(tmp_path / "import" / "2024-2025" / "census", THURSDAY).files) == 5
