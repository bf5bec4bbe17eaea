"""Nothing that points at a person leaves an establishment: not even which of two people is which."""

from __future__ import annotations

import json
import random
from datetime import datetime
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from contracts.usage_reported import TOPIC, decode
from tests.support.agents import agent_for
from tests.support.territories import CANARY, write_nasty
from tests.support.wire import Message, create_topics, end_offsets, read_topic

pytestmark = pytest.mark.connected

NOW = datetime(2026, 10, 26, 22, 30, tzinfo=ZoneInfo("Europe/Paris"))


def rename_everybody(territory: Path, draw: random.Random) -> None:
    """Every person gets another id: some of them that of somebody else, the others one that nobody had."""
    journals = [path for path in territory.rglob("*.ndjson*") if path.suffix != ".gz"]
    people = sorted({who for path in journals for line in path.read_bytes().splitlines() if (who := who_of(line))})
    ids = [*people[: len(people) // 2], *(uuid4().hex * draw.randint(1, 3) for _ in people[len(people) // 2 :])]
    draw.shuffle(ids)
    renamed = dict(zip(people, ids, strict=True))
    assert sum(old != new for old, new in renamed.items()) > len(people) // 2
    for path in journals:
        ended = path.read_bytes().endswith(b"\n")
        lines = [rewritten(line, renamed) for line in path.read_bytes().split(b"\n")]
        path.write_bytes(b"\n".join(lines if not ended else [*lines[:-1], b""]))


def who_of(line: bytes) -> str | None:
    try:
        found = json.loads(line.decode("utf-8-sig"))
    except ValueError:
        return None
    who = found.get("who") if isinstance(found, dict) else None
    return who if isinstance(who, str) and who else None


def rewritten(line: bytes, renamed: dict[str, str]) -> bytes:
    who = who_of(line)
    if who is None:
        return line
    return line.replace(json.dumps(who, ensure_ascii=False).encode(), json.dumps(renamed[who]).encode())


async def published_by(territory: Path, folder: Path, name: str, kafka: str) -> list[Message]:
    """Everything that a new agent of this name says about a territory."""
    since = await end_offsets(kafka, TOPIC)
    agent_for(territory, folder, name=name, seed=b"anonymity", bootstrap=kafka, now=NOW).run()
    messages = await read_topic(kafka, TOPIC, since)
    return [message for message in messages if dict(message.headers)["agent"].decode() == name]


async def test_renaming_and_permuting_people_changes_no_byte(kafka, tmp_path):
    await create_topics(kafka)
    seed = random.SystemRandom().randrange(10**6)
    write_nasty(tmp_path / "territory", seed, NOW)
    # Rotated copies would have to be renamed in both their forms at once to stay the same file.
    for copy in (tmp_path / "territory").rglob("*.gz"):
        copy.unlink()
    name = f"agent-{uuid4().hex[:8]}"
    before = await published_by(tmp_path / "territory", tmp_path / "one", name, kafka)
    rename_everybody(tmp_path / "territory", random.Random(seed))
    after = await published_by(tmp_path / "territory", tmp_path / "two", name, kafka)
    assert len(before) > 10, f"seed {seed}"
    assert sorted((each.key, each.value) for each in before) == sorted((each.key, each.value) for each in after), (
        f"seed {seed}"
    )
    assert all(CANARY.encode() not in each.value for each in before)
    hours = [report for each in before for report in decode(each.value).reports if report.grain == "hour"]
    assert hours, "hours are reported, so that they were compared too"
