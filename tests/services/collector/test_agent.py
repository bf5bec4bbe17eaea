"""The loop: slots, failures of Kafka and of the disk, stopping; and the commands around it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from contracts.usage_reported import UsageReported
from services.collector.agent import Agent, next_slot, slot
from services.collector.cli import agent as command
from services.collector.config import AgentSettings, EstablishmentSettings, read_settings
from services.collector.errors import NotDeliveredError, SettingsError
from services.collector.keys import read_key
from services.collector.reading import JournalSource
from services.collector.service import EstablishmentService
from services.collector.state import open_state
from services.collector.status import status as status_of
from services.collector.store import Store
from tests.services.collector.school import NOW, UAI, connection

OTHER = "0750663N"


class Platform:
    """Takes messages in the place of Kafka, refusing the first `refusals` of them."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.messages: list[UsageReported] = []
        self.arrived = asyncio.Event()

    async def publish(self, message: UsageReported) -> None:
        if self.refusals:
            self.refusals -= 1
            raise NotDeliveredError("refused")
        self.messages.append(message)
        self.arrived.set()

    async def close(self) -> None:
        pass

    def web(self, uai: str) -> int:
        """Connections by web, by the greatest state of each day."""
        days: dict[str, int] = {}
        for message in self.messages:
            for report in message.reports:
                if message.uai == uai and report.family == "web" and report.grain == "day":
                    days[report.start] = max(days.get(report.start, 0), sum(report.counts))
        return sum(days.values())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TERRITORIALE_NOW", NOW.isoformat())
    monkeypatch.delenv("TERRITORIALE_KAFKA", raising=False)
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "agent.key").touch(mode=0o600)
    (tmp_path / "agent.key").write_bytes(key)
    head = 'agent = "agent-1"\nstate = "agent.sqlite"\nkey = "agent.key"\ncadence_seconds = 0.2\n[kafka]\nbootstrap = "127.0.0.1:9"\n'
    for uai in (UAI, OTHER):
        head += f'[[establishment]]\nuai = "{uai}"\nzone = "Europe/Paris"\ntype = "college"\nsources = "{uai}"\n'
        (tmp_path / uai).mkdir()
        (tmp_path / uai / "agent.toml").write_text('journal = "journal*"\n')
        _write(tmp_path, uai)
    (tmp_path / "agent.toml").write_text(head)
    return tmp_path


def _write(folder: Path, uai: str, who: str = "u1") -> None:
    with (folder / uai / "journal.ndjson").open("a") as file:
        file.write(connection("2026-11-19T08:00:00+01:00", who) + "\n")


@pytest.fixture
def settings(folder: Path) -> AgentSettings:
    return read_settings(folder / "agent.toml")


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.collector.agent.FIRST_PAUSE", 0.01)


async def _until_idle(settings: AgentSettings, platform: Platform) -> None:
    with open_state(settings.state, NOW) as store:
        agent = Agent(settings, store, platform)
        await agent.run_until_idle()
        await agent.close()


async def test_until_idle_reads_and_publishes_everything_once(settings: AgentSettings) -> None:
    platform = Platform()
    await _until_idle(settings, platform)
    assert [message.uai for message in platform.messages] == [UAI, OTHER]
    assert (platform.web(UAI), platform.web(OTHER)) == (1, 1)
    await _until_idle(settings, platform)
    assert len(platform.messages) == 2


async def test_a_refused_message_is_sent_again(settings: AgentSettings) -> None:
    platform = Platform(refusals=3)
    await _until_idle(settings, platform)
    assert (platform.web(UAI), platform.web(OTHER)) == (1, 1)


async def test_until_idle_gives_up_and_keeps_everything_to_publish(settings: AgentSettings, monkeypatch) -> None:
    monkeypatch.setattr("services.collector.agent.PATIENCE_UNTIL_IDLE", 0.0)
    with pytest.raises(NotDeliveredError):
        await _until_idle(settings, Platform(refusals=99))
    platform = Platform()
    await _until_idle(settings, platform)
    assert platform.web(UAI) == 1


async def _running(settings: AgentSettings, platform: Platform, story: Callable[[], Awaitable[object]]) -> None:
    with open_state(settings.state, NOW) as store:
        agent = Agent(settings, store, platform)
        task = asyncio.create_task(agent.run())
        await story()
        agent.stopping.set()
        started = time.monotonic()
        await task
        await agent.close()
        assert time.monotonic() - started < 5


async def test_running_goes_on_reading_until_it_is_stopped(settings: AgentSettings, folder: Path) -> None:
    platform = Platform(refusals=2)

    async def story() -> None:
        while platform.web(UAI) < 1 or platform.web(OTHER) < 1:
            platform.arrived.clear()
            await platform.arrived.wait()
        _write(folder, OTHER, "u2")
        while platform.web(OTHER) < 2:
            platform.arrived.clear()
            await platform.arrived.wait()

    async with asyncio.timeout(20):
        await _running(settings, platform, story)
    assert (platform.web(UAI), platform.web(OTHER)) == (1, 2)


async def test_an_unforeseen_fault_of_one_establishment_leaves_the_others(settings: AgentSettings, monkeypatch) -> None:
    platform, cells = Platform(), Store.cells

    def faulty(self: Store, period: int) -> list[tuple[int, int]]:
        if self.find_establishment(OTHER) == 1 or period == 1:
            raise RuntimeError("unforeseen")
        return cells(self, period)

    monkeypatch.setattr(Store, "cells", faulty)

    async def story() -> None:
        while platform.web(OTHER) < 1:
            platform.arrived.clear()
            await platform.arrived.wait()

    async with asyncio.timeout(20):
        await _running(settings, platform, story)
    assert platform.web(UAI) == 0


async def test_an_agent_of_no_establishment_waits_to_be_stopped(settings: AgentSettings, tmp_path: Path) -> None:
    nobody = AgentSettings("agent-1", tmp_path / "state", tmp_path / "key", 1, "", ())
    platform = Platform()
    await _running(nobody, platform, lambda: asyncio.sleep(0))
    assert platform.messages == []


async def test_without_kafka_everybody_is_still_counted(settings: AgentSettings, monkeypatch) -> None:
    """Pauses are for the platform's sake; they hold up no reading."""
    served, both, serve = [], asyncio.Event(), Agent._serve

    async def told(self: Agent, establishment: EstablishmentSettings, publish_at: float) -> tuple[float, float]:
        due = await serve(self, establishment, publish_at)
        served.append(establishment.uai)
        if served.count(UAI) > 2 and served.count(OTHER) > 2:
            both.set()
        return due

    monkeypatch.setattr(Agent, "_serve", told)
    platform = Platform(refusals=10**6)
    async with asyncio.timeout(20):
        await _running(settings, platform, both.wait)
    assert platform.messages == []
    backlog = {each["uai"]: each["to_publish"] for each in status_of(settings)["establishments"]}
    assert backlog[UAI] == backlog[OTHER] > 0


async def test_a_message_in_hand_does_not_keep_a_stopped_agent(settings: AgentSettings, monkeypatch) -> None:
    monkeypatch.setattr("services.collector.agent.GRACE", 0.05)

    class Stuck(Platform):
        async def publish(self, message: UsageReported) -> None:  # noqa: ARG002
            self.arrived.set()
            await asyncio.Event().wait()

    platform = Stuck()
    async with asyncio.timeout(20):
        await _running(settings, platform, platform.arrived.wait)
    assert platform.messages == []


async def test_files_are_let_go_only_once_a_turn_in_hand_has_ended(settings: AgentSettings, monkeypatch) -> None:
    monkeypatch.setattr("services.collector.agent.GRACE", 0.05)
    told: list[str] = []
    begun = asyncio.Event()
    loop, plain = asyncio.get_running_loop(), JournalSource.close

    def slow(*_: object, **__: object) -> bool:
        loop.call_soon_threadsafe(begun.set)
        time.sleep(0.5)
        told.append("turn ended")
        return False

    def closed(source: JournalSource) -> None:
        told.append("files closed")
        plain(source)

    monkeypatch.setattr(EstablishmentService, "turn", slow)
    monkeypatch.setattr(JournalSource, "close", closed)
    async with asyncio.timeout(20):
        await _running(settings, Platform(), begun.wait)
    assert told == ["turn ended", "files closed"]


def test_slots_are_spread_and_depend_on_no_event() -> None:
    slots = {slot(f"{number:07}A", 300) for number in range(500)}
    assert len(slots) == 500
    assert 100 < sum(slots) / 500 < 200
    at = next_slot(UAI, 300, 1_000_000.0)
    assert 1_000_000.0 < at <= 1_000_300.0
    assert next_slot(UAI, 300, at - 0.001) == pytest.approx(at)
    assert next_slot(UAI, 300, at) == pytest.approx(at + 300)


def test_keys_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "agent.key"
    with pytest.raises(SettingsError, match="cannot be read"):
        read_key(path)
    path.write_text("rubbish")
    with pytest.raises(SettingsError, match="not an unencrypted PEM key"):
        read_key(path)


def _invoke(*arguments: str, status: int = 0) -> str:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == status, result.output
    return result.output


def test_check_counts_without_storing(folder: Path) -> None:
    (folder / UAI / "journal.2").write_text("rubbish\n")
    (folder / OTHER / "agent.toml").write_text('journal = ["journal*", "absent"]\n')
    found = json.loads(_invoke("check", "--settings", str(folder / "agent.toml"), "--json"))
    one, other = found["establishments"]
    assert one["counts"] == {"web": 1, "people": 1, "observed.journal": 1740}
    assert (one["lines"], one["first"], one["set_aside"]["unreadable"]) == (2, "2026-11-19T08:00:00+01:00", 1)
    assert (found["set_aside"]["unreadable"], found["set_aside"]["bad_n"]) == (1, 0)
    assert other["problems"] == ["absent: no such file"]
    assert found["ok"] is False
    assert not list(folder.glob("agent.sqlite*"))
    text = _invoke("check", "--settings", str(folder / "agent.toml"))
    assert "set aside, unreadable" in text
    assert "not observed: absent" in text


def test_check_names_the_faults_of_settings(folder: Path) -> None:
    (folder / OTHER / "agent.toml").write_text('jurnal = "journal*"\n')
    found = json.loads(_invoke("check", "--settings", str(folder / "agent.toml"), "--json", status=2))
    assert [each["uai"] for each in found["establishments"]] == [UAI]
    (error,) = found["errors"]
    assert (error["file"], error["field"]) == (str(folder / OTHER / "agent.toml"), "jurnal")
    missing = json.loads(_invoke("check", "--settings", str(folder / "none.toml"), "--json", status=2))
    assert missing["errors"][0]["detail"] == "there is no such file"


async def test_status_says_where_the_agent_stands(folder: Path, settings: AgentSettings) -> None:
    assert "has this agent run yet?" in _invoke("status", "--settings", str(folder / "agent.toml"), status=1)
    platform = Platform()
    await _until_idle(settings, platform)
    found = json.loads(_invoke("status", "--settings", str(folder / "agent.toml"), "--json"))
    one = found["establishments"][0]
    size = (folder / UAI / "journal.ndjson").stat().st_size
    assert one["files"] == [{"source": "journal", "file": 1, "position": size}]
    assert one["sources"]["journal"]["observed_until"] == "2026-11-20T12:00:00+00:00"
    assert one["to_publish"] == 0
    assert one["acknowledged"] is not None
    assert "to publish: 0" in _invoke("status", "--settings", str(folder / "agent.toml"))


async def test_status_says_what_could_not_be_read_or_counted(folder: Path, settings: AgentSettings) -> None:
    (folder / UAI / "journal.ndjson").rename(folder / UAI / "elsewhere")
    with (folder / OTHER / "journal.ndjson").open("a") as journal:
        journal.write("nothing\n" * 3)
    await _until_idle(settings, Platform())
    told = _invoke("status", "--settings", str(folder / "agent.toml"))
    assert "source not observed: journal*: no such file" in told
    assert "set aside: 3 unreadable" in told
    (folder / UAI / "elsewhere").rename(folder / UAI / "journal.ndjson")
    await _until_idle(settings, Platform())
    assert "no such file" not in _invoke("status", "--settings", str(folder / "agent.toml"))


def test_status_of_a_damaged_state_is_told_in_a_sentence(folder: Path, settings: AgentSettings) -> None:
    settings.state.write_text("not a database " * 1000)
    found = json.loads(_invoke("status", "--settings", str(folder / "agent.toml"), "--json", status=1))
    assert found["errors"][0]["code"] == "state_unavailable"


def test_run_refuses_settings_that_cannot_be_used(folder: Path) -> None:
    (folder / "agent.key").unlink()
    assert "agent.key" in _invoke("run", "--settings", str(folder / "agent.toml"), status=2)
