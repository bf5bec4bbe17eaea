"""An agent as a school installs it, against the real platform: from the operator's code to a number that a reader sees."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.services.collector.fleet import seen, write_journal
from tests.services.collector.school import UAI
from tests.services.collector.test_importing import HEAD
from tests.support.stacks import Stack, run, stack_of

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stacks")]

NOW = datetime(2026, 11, 20, 12, tzinfo=ZoneInfo("Europe/Paris"))
TERRITORY = f"""
name = "Paris (fictif)"
zone = "Europe/Paris"
[[establishment]]
uai = "{UAI}"
name = "Collège (fictif)"
type = "college"
zone = "Europe/Paris"
"""
VISIBLE_WITHIN_S = 60


class School:
    """The stack, and a folder that stands for the school's machine."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        lines = stack.command("local", "env").stdout.splitlines()
        pairs = (words.removeprefix("export ").split("=", 1) for words in lines)
        self._operator = {name: shlex.split(value)[0] for name, value in pairs}

    def operator(self, *words: str) -> str:
        done = run(words, {**self.stack.environment, **self._operator}, 120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def agent(self, name: str, *words: str, status: int = 0) -> str:
        arguments = ("agent", name, "--settings", str(self.folder / "agent.toml"), *words)
        done = run(arguments, self.stack.environment, 120)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def total(self, **asked: str) -> dict[str, Any]:
        """The cell of all connections of the one line."""
        table = self.stack.json("/tables/connexions.authentifiees", **asked)
        place = [column["id"] for column in table["columns"]].index("eleve.net")
        return dict(table["rows"][0]["cells"][place])

    def expect_total(self, value: int, **asked: str) -> None:
        until = time.monotonic() + VISIBLE_WITHIN_S
        while self.total(**asked).get("value") != value:
            assert time.monotonic() < until, f"never {value}: {self.total(**asked)}"
            self.stack.json("/freshness")


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    folder = tmp_path_factory.mktemp("enrolled")
    (folder / "territory").mkdir()
    (folder / "territory" / "territory.toml").write_text(TERRITORY)
    (folder / "school").mkdir()
    with stack_of(folder / "territory", folder / "local", NOW) as stack:
        yield School(stack, folder / "school")


def test_from_the_code_to_a_number_that_is_seen(school: School) -> None:
    write_journal(school.folder, seen("2026-11-19"), seen("2026-11-19", "u2"))
    made = json.loads(
        school.operator(
            "admin", "invite", "agent", "college", "--uai", UAI, "--source", "journal", "--source", "census", "--json"
        )
    )
    enrolled = json.loads(school.agent("enrol", "--url", school.stack.url, "--code", made["code"], "--json"))
    assert enrolled["agent"] == "college"
    checked = json.loads(school.agent("check", "--json"))
    assert all(each["ok"] for each in checked["site"]), checked["site"]
    school.agent("run", "--until-idle")
    school.expect_total(2, window="last-day")
    found = json.loads(school.agent("status", "--json"))
    assert (found["platform"]["failure"], found["establishments"][0]["to_publish"]) == ("", 0)
    (told,) = (each for each in school.stack.json("/agents") if each["agent"] == "college")
    assert (told["copied"], told["too_old"], told["revoked"], told["waiting"]) == (False, False, False, told["waiting"])


def test_a_key_is_replaced_and_reports_go_on(school: School) -> None:
    assert json.loads(school.agent("rotate-key", "--json"))["replaced"]
    write_journal(school.folder, seen("2026-11-19", "u3"))
    school.agent("run", "--until-idle")
    school.expect_total(3, window="last-day")


def test_after_a_lost_state_what_was_restated_goes_on(school: School) -> None:
    school.agent("restate", "--since", "2026-11-01")
    school.expect_total(3, window="last-day")
    for path in school.folder.glob("agent.sqlite*"):
        path.unlink()
    write_journal(school.folder, seen("2026-11-20", "u4"))
    school.agent("run", "--until-idle")
    school.expect_total(4, window="current-month")
    people = school.stack.json("/tables/connexions.individus", window="current-month")
    place = [column["id"] for column in people["columns"]].index("eleve.net")
    assert people["rows"][0]["cells"][place]["value"] == 4, "the month was restated, and grows all the same"


def test_a_year_before_the_agents_is_shown(school: School) -> None:
    place = school.folder / "sources" / UAI / "import" / "2018-2019"
    place.mkdir(parents=True)
    (place / "totals.csv").write_text(HEAD + "connections;eleve;web;ent;;1000\nconnections;eleve;mobile;direct;;234\n")
    school.agent("import", "--school-year", "2018-2019")
    school.expect_total(1234, school_year="2018-2019")
    (place / "totals.csv").write_text(HEAD + "connections;eleve;web;ent;;1000\nconnections;eleve;mobile;direct;;4\n")
    school.agent("import", "--school-year", "2018-2019")
    school.expect_total(1004, school_year="2018-2019")
