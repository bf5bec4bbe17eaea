"""Agents on a real Kafka: signed, keyed, idempotent, restated."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from contracts.signing import verify
from contracts.usage_reported import TOPIC, UsageReported, decode
from services.collector.errors import NotDeliveredError
from services.collector.keys import KeyRing
from services.collector.publisher import Publisher
from tests.services.collector.school import NOW, UAI, connection
from tests.support.wire import Message, create_topics, read_topic

pytestmark = pytest.mark.connected
KEY = Ed25519PrivateKey.generate()


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    return KeyRing(_write_key(tmp_path))


def _write_key(folder: Path) -> Path:
    path = folder / "agent.key"
    path.touch(mode=0o600)
    path.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


@pytest.fixture
async def topic(kafka: str) -> str:
    await create_topics(kafka)
    return kafka


async def _messages(bootstrap: str, agent: str) -> list[Message]:
    """All that one agent has sent."""
    return [each for each in await read_topic(bootstrap, TOPIC) if dict(each.headers)["agent"] == agent.encode()]


async def test_a_message_is_keyed_signed_and_traced(topic: str, keys: KeyRing) -> None:
    publisher = Publisher(topic, "agent-signed", keys)
    message = UsageReported("agent-signed", UAI, 1, [])
    await publisher.publish(message)
    await publisher.close()
    (sent,) = await _messages(topic, "agent-signed")
    headers = dict(sent.headers)
    assert sent.key == UAI.encode()
    assert decode(sent.value) == message
    assert verify(KEY.public_key(), headers["signature"], sent.value)
    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-01", headers["traceparent"])


async def test_a_producer_is_rebuilt_after_a_failure(topic: str, keys: KeyRing) -> None:
    publisher = Publisher(topic, "agent-rebuilt", keys)
    await publisher.publish(UsageReported("agent-rebuilt", UAI, 1, []))
    assert publisher._deliveries._producer
    await publisher._deliveries._producer.stop()
    with pytest.raises(NotDeliveredError):
        await publisher.publish(UsageReported("agent-rebuilt", UAI, 2, []))
    await publisher.publish(UsageReported("agent-rebuilt", UAI, 3, []))
    await publisher.close()
    found = await _messages(topic, "agent-rebuilt")
    assert {decode(each.value).catalogue for each in found} == {1, 3}


async def test_nobody_there_is_told(unused_tcp_port: int, keys: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.collector.publisher.DELIVERY_SECONDS", 0.5)
    publisher = Publisher(f"127.0.0.1:{unused_tcp_port}", "agent-alone", keys)
    with pytest.raises(NotDeliveredError):
        await publisher.publish(UsageReported("agent-alone", UAI, 1, []))


def _command(folder: Path, agent: str, bootstrap: str, cadence: float = 300) -> list[str]:
    _write_key(folder)
    (folder / UAI).mkdir()
    (folder / UAI / "agent.toml").write_text('journal = "journal.ndjson"\n')
    (folder / UAI / "journal.ndjson").write_text(connection("2026-11-19T08:00:00+01:00", "canary-1") + "\n")
    (folder / "agent.toml").write_text(
        f'agent = "{agent}"\nstate = "agent.sqlite"\nkey = "agent.key"\ncadence_seconds = {cadence}\n'
        f'[kafka]\nbootstrap = "{bootstrap}"\n'
        f'[[establishment]]\nuai = "{UAI}"\nzone = "Europe/Paris"\ntype = "college"\nsources = "{UAI}"\n'
    )
    return [sys.executable, "-m", "territoriale", "agent"]


def _environment() -> dict[str, str]:
    found = {**os.environ, "TERRITORIALE_NOW": NOW.isoformat()}
    found.pop("TERRITORIALE_KAFKA", None)
    return found


async def test_the_command_reads_publishes_and_restates(topic: str, tmp_path: Path) -> None:
    command = _command(tmp_path, "agent-command", topic)
    settings = ["--settings", str(tmp_path / "agent.toml")]
    for arguments in (["run", *settings, "--until-idle"], ["restate", *settings, "--since", "2026-11-19", "--json"]):
        done = await asyncio.to_thread(
            subprocess.run, [*command, *arguments], env=_environment(), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert "canary" not in done.stdout + done.stderr
    nothing_gone: dict[str, list[str]] = {UAI: []}
    assert json.loads(done.stdout) == {
        "since": "2026-11-19",
        "files_gone": nothing_gone,
        "days_gone": nothing_gone,
        "periods_left": nothing_gone,
    }
    values = [each.value for each in await _messages(topic, "agent-command")]
    assert not any(b"canary" in value for value in values)
    web = [
        report
        for value in values
        for report in decode(value).reports
        if (report.family, report.grain) == ("web", "day")
    ]
    assert sorted((report.restatement > 0, report.counts) for report in web) == [(False, [1]), (True, [1])]


async def test_sigterm_ends_a_running_agent_with_0(topic: str, tmp_path: Path) -> None:
    command = _command(tmp_path, "agent-stopped", topic, cadence=0.1)
    process = await asyncio.create_subprocess_exec(
        *command, "run", "--settings", str(tmp_path / "agent.toml"), env=_environment()
    )
    try:
        async with asyncio.timeout(60):
            while not await _messages(topic, "agent-stopped"):
                assert process.returncode is None
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(15):
                assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
