"""A territory is read whole, or refused in one sentence that says where and what to do."""

from __future__ import annotations

import os
import tomllib
from datetime import date
from pathlib import Path

import pytest

from deploy.local.enrolment import enrol, registration
from deploy.local.errors import BadTerritoryError
from deploy.local.territory import read_territory
from services.collector.config import read_settings
from services.identity.territory_file import TerritoryFile, check

HEAD = 'name = "Vienne"\nzone = "Europe/Paris"\n'
COLLEGE = '[[establishment]]\nuai = "0860001J"\nname = "Collège A"\ntype = "college"\nzone = "Europe/Paris"\n'
FULL = COLLEGE + 'postal_codes = ["86000"]\nopened = 2020-09-01\nclosed = "2030-08-31"\nconvention = "joint"\n'


def written(folder: Path, text: str, journal: str | None = "journal.ndjson") -> Path:
    (folder / "territory.toml").write_text(text, "utf-8")
    if journal is not None:
        (folder / "0860001J").mkdir(exist_ok=True)
        (folder / "0860001J" / "agent.toml").write_text(f'journal = "{journal}"\n')
    return folder


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(BadTerritoryError) as refused:
        read_territory(written(folder, text))
    assert refused.value.exit_code == 2
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_only_four_fields_are_required(tmp_path):
    (college,) = read_territory(written(tmp_path, HEAD + COLLEGE)).establishments
    assert (college.convention, college.postal_codes, college.opened, college.closed) == ("consent", (), None, None)
    assert "web" in college.families


def test_every_field_is_read(tmp_path):
    territory = read_territory(written(tmp_path, HEAD + FULL))
    (college,) = territory.establishments
    assert (territory.name, territory.zone, territory.remarks) == ("Vienne", "Europe/Paris", ())
    assert (college.opened, college.closed, college.convention) == (date(2020, 9, 1), date(2030, 8, 31), "joint")
    assert college.postal_codes == ("86000",)


def test_without_sources_an_establishment_is_registered_and_not_read(tmp_path):
    territory = read_territory(written(tmp_path, HEAD + COLLEGE, journal=None))
    assert len(territory.establishments) == 1
    assert territory.served == []


def test_what_is_accepted_and_may_surprise_is_remarked_upon(tmp_path):
    territory = read_territory(written(tmp_path, HEAD + COLLEGE.replace('"college"', '"centre"'), journal=None))
    secret, unread = territory.remarks
    assert "as secret as an école's" in secret
    assert "nothing will be read" in unread


def test_without_convention_nothing_is_enrolled(tmp_path):
    territory = read_territory(written(tmp_path, HEAD + COLLEGE + 'convention = "none"\n'))
    assert territory.served == []
    assert registration(territory, "key", "token")["grants"] == []


def test_unknown_fields_are_remarked_upon_and_not_fatal(tmp_path):
    territory = read_territory(written(tmp_path, 'flag = "blue"\n' + HEAD + COLLEGE + "pupils = 400\n"))
    assert len(territory.establishments) == 1
    assert [remark.split(": ", 1)[1].split(" is not")[0] for remark in territory.remarks] == ["flag", "pupils"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "Vienne"\n' + COLLEGE, "territory.toml, zone: is missing; correct it"),
        (HEAD.replace("Europe/Paris", "Europe/Poitiers"), "zone: 'Europe/Poitiers' is not a time zone"),
        (
            HEAD + COLLEGE.replace("0860001J", "0860001A"),
            "line 3, establishment 1 (0860001A), uai: '0860001A' is not a UAI",
        ),
        (HEAD + COLLEGE.replace('uai = "0860001J"\n', ""), "line 3, establishment 1, uai: is missing"),
        (HEAD + COLLEGE.replace('"0860001J"', "860001"), "establishment 1, uai: 860001 is not a text"),
        (HEAD + COLLEGE + COLLEGE, "line 8, establishment 2 (0860001J), uai: 0860001J is described twice"),
        (HEAD + COLLEGE.replace('"Collège A"', '"  "'), "name: the text '  ' is empty"),
        (HEAD + COLLEGE + 'convention = "maybe"\n', "convention: 'maybe' is not one of consent, joint, none"),
        (HEAD + COLLEGE + "opened = 2020\n", "opened: 2020 is not a day such as 2026-09-01"),
        (HEAD + COLLEGE + "opened = 2021-09-01\nclosed = 2020-09-01\n", "closed: 2020-09-01 comes before opened"),
        (HEAD + COLLEGE + 'postal_codes = "86000"\n', "postal_codes: '86000' is not a list"),
        (HEAD + COLLEGE + 'postal_codes = ["8600"]\n', "postal_codes: '8600' is not a postal code"),
        (HEAD + 'establishment = "one"\n', "establishment: must be written [[establishment]]"),
        (HEAD + "name = \n", "territory.toml is not TOML: Invalid value (at line 3"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, text, said):
    assert said in refusal(tmp_path, text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadTerritoryError, match=r"territory\.toml does not exist; write it as README\.md shows"):
        read_territory(tmp_path)


def test_a_pipe_holds_nobody_up(tmp_path):
    os.mkfifo(tmp_path / "territory.toml")
    with pytest.raises(BadTerritoryError, match=r"territory\.toml is a folder, a pipe or a device"):
        read_territory(tmp_path)


def test_bad_settings_of_sources_are_named(tmp_path):
    written(tmp_path, HEAD + COLLEGE)
    (tmp_path / "0860001J" / "agent.toml").write_text("journal = 3\n")
    with pytest.raises(BadTerritoryError, match=r"0860001J/agent\.toml: journal"):
        read_territory(tmp_path)


def test_the_registry_accepts_what_is_registered(tmp_path):
    import msgspec

    territory = read_territory(written(tmp_path, HEAD + FULL))
    public_key = enrol(territory, tmp_path / "agent", kafka="127.0.0.1:1", cadence_s=5)
    document = msgspec.json.encode(registration(territory, public_key, "t" * 40))
    checked = check(msgspec.json.decode(document, type=TerritoryFile))
    assert [establishment.uai for establishment in checked.establishments] == ["0860001J"]
    assert {grant.family for grant in checked.grants} == set(territory.establishments[0].families)
    assert {(grant.from_day, grant.to_day) for grant in checked.grants} == {(None, None)}


def test_the_agent_accepts_its_settings_and_keeps_its_key(tmp_path):
    territory = read_territory(written(tmp_path, HEAD + FULL))
    folder = tmp_path / 'agent "of" Élise'
    first = enrol(territory, folder, kafka="127.0.0.1:1", cadence_s=5)
    settings = read_settings(folder / "agent.toml")
    assert (settings.agent, settings.cadence_seconds, settings.refused) == ("local", 5, ())
    assert [establishment.uai for establishment in settings.establishments] == ["0860001J"]
    assert settings.key.stat().st_mode & 0o777 == 0o600
    assert enrol(territory, folder, kafka="127.0.0.1:2", cadence_s=5) == first
    assert tomllib.loads((folder / "agent.toml").read_text())["kafka"]["bootstrap"] == "127.0.0.1:2"
