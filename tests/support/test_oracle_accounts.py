"""The oracle's censuses, against numbers worked out by hand."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tests.support.oracle import Oracle
from tests.support.territories import connection
from tests.support.test_oracle import ADA_AND_BOB, COLLEGE, NOW, at, cell, counted

if TYPE_CHECKING:
    from pathlib import Path


def with_accounts(path: Path, held: dict[str, dict[str, int]]) -> None:
    """Census folders by date: accounts by profile."""
    (path / COLLEGE / "agent.toml").write_text('journal = "journal.ndjson"\ncensus = "census"\n', "utf-8")
    for day, profiles in held.items():
        folder = path / COLLEGE / "census" / day
        folder.mkdir(parents=True)
        rows = [f"{profile}-{n};{profile}" for profile, count in profiles.items() for n in range(count)]
        (folder / "comptes.csv").write_text("\n".join(["id;profil", *rows, *rows[:1]]) + "\n", "utf-8")


def test_people_over_accounts(tmp_path):
    counted(tmp_path, ADA_AND_BOB)
    with_accounts(tmp_path, {"2026-10-05": {"eleve": 8, "enseignant": 5, "autre": 3, "vie_scolaire": 2}})
    oracle = Oracle(tmp_path, NOW)
    shown = oracle.table("connexions.individus", window="last-day", display="rates").rows[COLLEGE]
    assert shown["eleve.net"].value == Fraction(2, 8)
    assert shown["enseignant.software"].value == Fraction(1, 5)
    assert shown["personnel.all"].value == 0
    assert shown["responsable.net"].state == "s"
    assert shown["total.all"].value == Fraction(3, 18)
    assert cell(oracle, "eleve.net", "last-year", "connexions.individus", "rates").state == "nd"


def test_the_newest_census_of_all_says_who_is_few(tmp_path):
    lines = [connection(at(1, 0), "a"), connection(at(19), "b", "enseignant"), connection(at(19), "c", "accompagnant")]
    counted(tmp_path, lines)
    everyone = dict.fromkeys(("eleve", "responsable", "accompagnant", "enseignant", "autre"), 5)
    with_accounts(tmp_path, {"2025-10-05": everyone, "2026-10-05": everyone | {"enseignant": 4}, "2026-11-21": {}})
    oracle = Oracle(tmp_path, NOW)
    assert cell(oracle, "accompagnant.net", "last-day").value == 1
    assert cell(oracle, "enseignant.net", "last-day").state == "s"
    assert cell(oracle, "total.net", "last-day").value == 1
