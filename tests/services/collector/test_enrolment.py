"""Enrolment: a code once, a key that never leaves, settings ready to edit; run again after a lost answer it ends as it should."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from services.collector.cli import agent as command
from services.collector.config import read_settings
from services.collector.errors import EnrolmentError, SettingsError
from services.collector.keys import KeyRing
from services.collector.state import open_state
from tests.services.collector.fleet import enrolled, run_until_idle, seen, write_journal
from tests.services.collector.school import NOW, UAI
from tests.support.fleet_platform import FleetPlatform

OTHER = "0750663N"


@pytest.fixture
def platform() -> Iterator[FleetPlatform]:
    with FleetPlatform() as platform:
        platform.serve(UAI, "web", "people", "observed.journal")
        yield platform


async def test_it_writes_a_key_and_settings_that_say_what_was_granted(platform: FleetPlatform, tmp_path: Path) -> None:
    done = await enrolled(platform, tmp_path)
    assert (tmp_path / "agent.key").stat().st_mode & 0o777 == 0o600
    assert list(platform.keys) == [KeyRing(tmp_path / "agent.key").public]
    settings = read_settings(done.settings)
    assert (settings.agent, settings.gateway.url, settings.publishes_by) == ("agent-1", platform.url, "https")
    (establishment,) = settings.establishments
    assert (establishment.uai, establishment.zone.key, establishment.type) == (UAI, "Europe/Paris", "college")
    text = done.settings.read_text()
    assert "#   people\n" in text
    assert "PRIVATE KEY" not in text
    assert establishment.folder / "agent.toml" in done.written, "a place for sources, which says what may stand in it"


async def test_nothing_is_read_until_someone_says_what(platform: FleetPlatform, tmp_path: Path) -> None:
    await enrolled(platform, tmp_path)
    await run_until_idle(tmp_path)
    assert platform.messages == []
    assert len(platform.hellos) == 1


async def test_after_a_lost_answer_the_same_command_finishes(platform: FleetPlatform, tmp_path: Path) -> None:
    platform.lose_answers = 1
    with pytest.raises(EnrolmentError, match="run the same command again"):
        await enrolled(platform, tmp_path)
    assert not (tmp_path / "agent.toml").exists()
    done = await enrolled(platform, tmp_path)
    assert done.agent == "agent-1"
    assert len(platform.keys) == 1, "with the key that was made the first time"


async def test_run_again_it_changes_no_file_that_was_edited(platform: FleetPlatform, tmp_path: Path) -> None:
    await enrolled(platform, tmp_path)
    edited = (tmp_path / "agent.toml").read_text() + "# edited\n"
    (tmp_path / "agent.toml").write_text(edited)
    platform.serve(OTHER, "web")
    done = await enrolled(platform, tmp_path)
    assert (tmp_path / "agent.toml").read_text() == edited
    assert (done.written, done.absent) == ((), (OTHER,))


async def test_a_code_serves_one_key(platform: FleetPlatform, tmp_path: Path) -> None:
    await enrolled(platform, tmp_path / "one")
    with pytest.raises(EnrolmentError, match="code_used"):
        await enrolled(platform, tmp_path / "two")
    assert not (tmp_path / "two" / "agent.toml").exists()


async def test_refusals_say_what_to_do(platform: FleetPlatform, tmp_path: Path) -> None:
    with pytest.raises(EnrolmentError, match="ask for another"):
        await enrolled(platform, tmp_path, code="wrong")
    with pytest.raises(SettingsError, match="not encrypted"):
        await enrolled(platform, tmp_path, url="http://console.example.fr")
    (tmp_path / "agent.toml").write_text('agent = "x"\n[gateway]\nurl = "https://elsewhere.example.fr"\n')
    with pytest.raises(EnrolmentError, match="give another --settings"):
        await enrolled(platform, tmp_path)


async def test_settings_of_another_agent_are_left_alone(platform: FleetPlatform, tmp_path: Path) -> None:
    await enrolled(platform, tmp_path)
    platform.agent, platform.codes = "agent-2", {"code-2"}
    with pytest.raises(EnrolmentError, match="is agent agent-1's, and this code is for agent-2"):
        await enrolled(platform, tmp_path, code="code-2")


async def test_a_revoked_key_is_replaced_by_another_code(platform: FleetPlatform, tmp_path: Path) -> None:
    await enrolled(platform, tmp_path)
    old = KeyRing(tmp_path / "agent.key").public
    platform.keys.clear()
    platform.codes.add("code-2")
    await enrolled(platform, tmp_path, code="code-2", new_key=True)
    assert list(platform.keys) == [KeyRing(tmp_path / "agent.key").public] != [old]
    assert not KeyRing(tmp_path / "agent.key").has_next


async def test_a_new_key_is_none_that_was_prepared_before_the_old_one_was_stolen(
    platform: FleetPlatform, tmp_path: Path
) -> None:
    await enrolled(platform, tmp_path)
    keys = KeyRing(tmp_path / "agent.key")
    keys.prepare_next()
    prepared = keys.next_public
    platform.codes.add("code-2")
    await enrolled(platform, tmp_path, code="code-2", new_key=True)
    after = KeyRing(tmp_path / "agent.key")
    assert (after.public == prepared, after.has_next) == (False, False)


async def test_a_new_key_that_was_ended_before_it_served_is_made_again(
    platform: FleetPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer was lost, then it was revoked with the others: the same command once said so for ever."""
    await enrolled(platform, tmp_path)
    platform.codes.add("code-2")
    with monkeypatch.context() as ended:
        ended.setattr(platform, "answer", lambda *_: (409, b'{"code": "ended_key", "title": "This key was ended"}', {}))
        with pytest.raises(EnrolmentError, match="again with --new-key"):
            await enrolled(platform, tmp_path, code="code-2", new_key=True)
        assert not (tmp_path / "agent.key.enrolling").exists()
    await enrolled(platform, tmp_path, code="code-2", new_key=True)


async def test_a_key_that_was_ended_is_told_with_what_to_do(platform: FleetPlatform, tmp_path: Path) -> None:
    platform.answer = lambda *_: (409, b'{"code": "ended_key", "title": "This key was ended"}', {})  # type: ignore[method-assign]
    with pytest.raises(EnrolmentError, match="again with --new-key"):
        await enrolled(platform, tmp_path)


async def test_folders_of_sources_are_found_by_uai(platform: FleetPlatform, tmp_path: Path) -> None:
    platform.serve(OTHER, "web")
    (tmp_path / "logs" / UAI).mkdir(parents=True)
    (tmp_path / OTHER.lower()).mkdir()
    write = write_journal(tmp_path / "elsewhere", seen())
    assert write.exists()
    done = await enrolled(platform, tmp_path / "a", sources=(tmp_path / "logs", tmp_path / OTHER.lower()))
    folders = {each.uai: each.folder for each in read_settings(done.settings).establishments}
    assert folders == {UAI: tmp_path / "logs" / UAI, OTHER: tmp_path / OTHER.lower()}


async def test_what_was_granted_is_known_before_the_first_hello(platform: FleetPlatform, tmp_path: Path) -> None:
    await enrolled(platform, tmp_path)
    with open_state(tmp_path / "agent.sqlite", NOW) as store:
        answer = store.memory.knowledge().answer
    assert answer
    assert [grant.family for grant in answer.grants] == ["web", "people", "observed.journal"]


def test_a_name_cannot_write_settings(platform: FleetPlatform, tmp_path: Path) -> None:
    platform.establishments.clear()
    platform.serve(UAI, "web")
    platform.establishments[0] = msgspec.structs.replace(
        platform.establishments[0], name='x\n[kafka]\nbootstrap = "evil"'
    )
    arguments = [
        "enrol",
        "--url",
        platform.url,
        "--code",
        "code-1",
        "--settings",
        str(tmp_path / "agent.toml"),
        "--json",
    ]
    said = CliRunner().invoke(command, arguments)
    assert said.exit_code == 0, said.output
    assert json.loads(said.output)["agent"] == "agent-1"
    assert read_settings(tmp_path / "agent.toml").bootstrap == ""


def test_the_command_refuses_with_its_own_exit_code(platform: FleetPlatform, tmp_path: Path) -> None:
    arguments = ["enrol", "--url", platform.url, "--code", "x", "--settings", str(tmp_path / "agent.toml")]
    said = CliRunner().invoke(command, arguments)
    assert said.exit_code == 6
    assert "not_enrolled" in said.output


@pytest.mark.parametrize(("typed", "exit_code"), [("code-1\n", 0), ("  code-1", 0), ("wrong\n", 6), ("", 6)])
def test_the_code_may_come_by_standard_input(
    platform: FleetPlatform, tmp_path: Path, typed: str, exit_code: int
) -> None:
    """On the command line it would stand in the list of processes, for every user of the machine."""
    arguments = ["enrol", "--url", platform.url, "--code", "-", "--settings", str(tmp_path / "agent.toml")]
    said = CliRunner().invoke(command, arguments, input=typed)
    assert said.exit_code == exit_code, said.output
    assert (tmp_path / "agent.toml").exists() is (exit_code == 0)
    assert "code-1" not in said.output
