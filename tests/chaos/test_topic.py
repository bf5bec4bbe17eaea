"""The topic itself: made anew, given more partitions, purged of what nobody has read, in a new version, read again from its start."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from click.testing import CliRunner

from chassis.kafka import ensure_topics, partitions_of
from contracts.usage_reported import UsageReported
from contracts.usage_reported import decode as decode_v1
from services.aggregator import admission, handlers
from services.aggregator.cli import reread
from services.aggregator.dead_letter_box import letters, replay
from services.aggregator.running import topics
from tests.chaos.scene import SEED
from tests.services.aggregator.process import started
from tests.services.aggregator.stage import PEOPLE, UAI, WEB, Stage, has_outcome, report, until
from tests.support.wire import end_offsets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.servers import PostgresServer

pytestmark = pytest.mark.connected

PROGRESS_WITHIN_S = 30
"""Whatever joins and leaves, merging never stops for longer."""
ENDS_WITHIN_S = 15
"""What every service has promised for SIGTERM."""


def states(stage: Stage, number: int, draw: random.Random) -> list[bytes]:
    """Growing states of two months and a half, one report each, as one agent would publish them."""
    found, counts = [], dict[date, int]()
    for _ in range(number):
        day = date(2026, 1, 1) + timedelta(days=draw.randrange(75))
        counts[day] = counts.get(day, 0) + draw.randint(1, 300)
        found.append(stage.agent.message(report(day.isoformat(), {WEB[0]: counts[day], WEB[3]: counts[day] // 2})))
    return found


@asynccontextmanager
async def administrator(stage: Stage) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=stage.kafka)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def expected_image(stage: Stage, postgres: PostgresServer, *messages: bytes) -> list[tuple[Any, ...]]:
    """What an aggregator that met no fault makes of these messages."""
    with postgres.database() as other:
        calm = Stage(stage.kafka, other.usage, stage.identity, agent=stage.agent)
        async with calm.running():
            await calm.send(*messages)
            await calm.drained()
            return await calm.image()


@pytest.mark.fault(row=9)
async def test_two_months_late(stage: Stage, postgres: PostgresServer):
    """The states of January come after those of March, and yesterday's once more."""
    messages = states(stage, 60, random.Random(SEED))
    late = sorted(messages, key=lambda each: decode_v1(each).reports[0].start, reverse=True)
    async with stage.running():
        await stage.send(*late, *late[:10])
        await stage.drained()
        assert await stage.image() == await expected_image(stage, postgres, *messages)


@pytest.mark.fault(row=9)
async def test_a_topic_made_anew(stage: Stage, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch):
    """Deleted under a running aggregator and created again: what agents then send is merged, from the first message on."""
    monkeypatch.setattr(handlers, "METADATA_MS", 1000)
    before, after = states(stage, 40, random.Random(SEED)), states(stage, 12, random.Random(SEED + 1))
    async with stage.running():
        await stage.send(*before)
        await stage.drained()
        async with administrator(stage) as client:
            await client.delete_topics([stage.topic])
            await until(lambda: _is_gone(stage))
            await ensure_topics(stage.kafka, topics(stage.prefix))
        await stage.send(*after)
        await until(lambda: has_outcome(stage, "accepted", 52))
        assert await stage.image() == await expected_image(stage, postgres, *before, *after)


async def _is_gone(stage: Stage) -> bool:
    return not await partitions_of(stage.kafka, stage.topic)


@pytest.mark.fault(row=9)
async def test_partitions_added(stage: Stage, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch):
    """Under a running aggregator: establishments move to other partitions, old and new states of one are read in any order."""
    monkeypatch.setattr(handlers, "METADATA_MS", 1000)
    messages = states(stage, 60, random.Random(SEED))
    async with stage.running():
        await stage.send(*messages[:30])
        await stage.drained()
        async with administrator(stage) as client:
            await client.create_partitions({stage.topic: NewPartitions(97)})
        await until(lambda: _has(stage, 97))
        await stage.send(*messages[30:])
        await stage.drained()
        assert await stage.image() == await expected_image(stage, postgres, *messages)


async def _has(stage: Stage, partitions: int) -> bool:
    return len(await partitions_of(stage.kafka, stage.topic)) == partitions


@pytest.mark.fault(row=9)
async def test_what_nobody_read_is_past_its_retention(stage: Stage, postgres: PostgresServer):
    """The aggregator was away for longer than Kafka keeps: it goes on behind the hole, and what agents resend closes it."""
    messages = states(stage, 60, random.Random(SEED))
    async with stage.running():
        await stage.send(*messages[:10])
        await stage.drained()
    await stage.send(*messages[10:50])
    await forget_what_stands(stage)
    await stage.send(*messages[50:])
    async with stage.running():
        await until(lambda: has_outcome(stage, "accepted", 20))
        await stage.send(*messages)
        await stage.drained()
        assert await stage.image() == await expected_image(stage, postgres, *messages)


async def forget_what_stands(stage: Stage, but: int = 0) -> None:
    """As retention does, at once; the last messages of each partition may stay."""
    ends = await end_offsets(stage.kafka, stage.topic)
    async with administrator(stage) as client:
        partitions = await partitions_of(stage.kafka, stage.topic)
        await client.delete_records({each: RecordsToDelete(max(0, ends[each.partition] - but)) for each in partitions})


def _decode_v2(value: bytes) -> UsageReported:
    """A release that knows both: reports by name, instead of a list."""
    found = msgspec.json.decode(value)
    if not isinstance(found, dict) or "states" not in found:
        return decode_v1(value)
    return decode_v1(msgspec.json.encode({**found, "reports": list(found["states"].values())}))


@pytest.mark.fault(row=11)
async def test_a_new_major_waits_among_the_dead_letters_for_its_release(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    known = decode_v1(stage.agent.message(report("2026-03-16", {WEB[0]: 3})))
    body = {"agent": known.agent, "uai": UAI, "catalogue": known.catalogue, "states": {"web": known.reports[0]}}
    async with stage.running():
        await stage.send(msgspec.json.encode(body), stage.agent.message(report("2026-03-15", {WEB[0]: 1})))
        await stage.drained()
        assert [letter["dlq-cause"] for letter in await stage.dead_letters()] == ["malformed"]
        assert (UAI, "day", date(2026, 3, 16)) not in await stage.sheets()
    monkeypatch.setattr(admission, "decode", _decode_v2)
    async with stage.running():
        found = [letter async for letter in letters(stage.kafka, stage.prefix)]
        assert await replay(stage.kafka, found, stage.prefix) == 1
        await until(lambda: has_outcome(stage, "accepted", 2))
        assert (await stage.sheets())[UAI, "day", date(2026, 3, 16)] == {WEB[0]: 3}


@pytest.mark.fault(row=16)
async def test_replicas_that_come_and_go(stage: Stage, postgres: PostgresServer):
    """One steady replica, others that join, die and leave all the while: each message is merged soon, and all of them once."""
    messages = states(stage, 48, random.Random(SEED))
    ways = random.Random(SEED)
    async with stage.running():
        for first in range(0, len(messages), 12):
            async with started(stage) as (coming, _):
                for number in range(first, first + 12, 4):
                    await stage.send(*messages[number : number + 4])
                    async with asyncio.timeout(PROGRESS_WITHIN_S):
                        await until(lambda number=number: has_outcome(stage, "accepted", number + 4))
                coming.send_signal(ways.choice([signal.SIGTERM, signal.SIGKILL]))
                await coming.wait()
        assert await stage.image() == await expected_image(stage, postgres, *messages)


@pytest.mark.fault(row=33)
async def test_a_database_restored_from_backup(stage: Stage, postgres: PostgresServer):
    """The topic is read again from its start, agents send again what Kafka no longer keeps: no hole, nothing twice."""
    messages = states(stage, 60, random.Random(SEED))
    people = [stage.agent.message(report("2026-03-01", {PEOPLE[0]: n}, family="people", grain="month")) for n in (2, 7)]
    async with stage.running():
        await stage.send(*messages[:20], people[0])
        await stage.drained()
    backup = postgres.dump(stage.database)
    async with stage.running():
        refused = await asyncio.to_thread(CliRunner().invoke, reread, ["--json"], env=stage.environment())
        assert "stop every aggregator" in refused.output
        await stage.send(*messages[20:50], people[1])
        await stage.drained()
    await forget_what_stands(stage, but=25)
    with postgres.restored(backup) as database:
        restored = Stage(stage.kafka, database.usage, stage.identity, prefix=stage.prefix, agent=stage.agent)
        done = await asyncio.to_thread(CliRunner().invoke, reread, ["--json"], env=stage.environment())
        assert 0 < json.loads(done.output)["messages"] < len(messages)
        async with restored.running():
            await restored.drained()
            await restored.send(*messages, *people)
            await restored.drained()
            assert await restored.image() == await expected_image(stage, postgres, *messages, *people)


@pytest.mark.fault(row=2)
@pytest.mark.parametrize("stuck", [False, True], ids=["finished", "left uncommitted"])
async def test_told_to_stop_in_the_middle_of_a_flush(stage: Stage, *, stuck: bool):
    """The flush that waits for a lock is finished once it may be; else it is left, and merged by the next process."""
    message = stage.agent.message(report("2026-03-16", {WEB[0]: 3}))
    holder = await asyncpg.connect(stage.database.replace("+asyncpg", ""))
    async with started(stage) as (process, _):
        await until(lambda: _has(stage, 48))
        await stage.send(stage.agent.message(report("2026-03-15", {WEB[0]: 1})))
        await stage.drained()
        await holder.execute("begin; lock table usage.sheets in access exclusive mode")
        await stage.send(message)
        await until(lambda: _waits(stage))
        process.send_signal(signal.SIGTERM)
        if not stuck:
            await holder.close()
        assert await asyncio.wait_for(process.wait(), ENDS_WITHIN_S) == 0
    await holder.close()
    async with stage.running():
        await stage.drained()
        assert (await stage.sheets())[UAI, "month", date(2026, 3, 1)] == {WEB[0]: 4}


async def _waits(stage: Stage) -> bool:
    return bool(await stage.query("select 1 from pg_stat_activity where wait_event_type = 'Lock'"))
