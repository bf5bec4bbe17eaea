"""Poison in a real Kafka: set aside with its cause, listed, sent again; the partition goes on."""

from __future__ import annotations

from datetime import date

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.producer import message_accumulator, producer
from aiokafka.record import default_records

from chassis.kafka import UNREADABLE, ensure_topics
from services.aggregator.dead_letter_box import letters, replay
from services.aggregator.dead_letters import AGENT_LIMIT
from services.aggregator.running import topics
from tests.services.aggregator.stage import (
    OTHER_UAI,
    UAI,
    WEB,
    Agent,
    Stage,
    has_outcome,
    notify,
    poke,
    registry,
    report,
    until,
)

pytestmark = pytest.mark.connected


async def test_poison_is_set_aside_with_its_cause_and_the_partition_goes_on(stage: Stage):
    agent, stranger = stage.agent, Agent()
    good = agent.message(report("2026-03-16", {WEB[0]: 3}))
    key = UAI.encode()
    async with stage.running():
        await stage.send_raw(
            (key, b"\x00\xff{", agent.headers(b"\x00\xff{")),
            (key, None, [("agent", b"agent-1"), ("odd", b"\xff\xfe")]),
            (None, good, agent.headers(good)),
            (key, good, stranger.headers(good)),
            (OTHER_UAI.encode(), good, agent.headers(good)),
            (key, b"[" * 600_000, agent.headers(b"[" * 600_000)),
            (key, good, []),
            (key, good, [("agent", None), ("signature", None)]),
            (key, good, agent.headers(good)),
        )
        await stage.drained()
        dead = sorted(letter["dlq-cause"] for letter in await stage.dead_letters())
        assert dead == [
            "bad_signature",
            "key_mismatch",
            "key_mismatch",
            "malformed",
            "no_agent",
            "no_agent",
            "no_signature",
            "oversize",
        ]
        assert (await stage.sheets())[UAI, "day", date(2026, 3, 16)] == {WEB[0]: 3}
        assert all(
            letter["dlq-topic"] == stage.topic and "dlq-offset" in letter for letter in await stage.dead_letters()
        )


class _NoUtf8(str):
    """A header's name as no client of ours would write it."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe"


async def test_a_record_that_cannot_be_parsed_stops_no_partition(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    """aiokafka failed on it at each poll, and forgot what it had taken from other partitions."""
    for module in (producer, message_accumulator):
        monkeypatch.setattr(module, "DefaultRecordBatchBuilder", default_records._DefaultRecordBatchBuilderPy)
    good = stage.agent.message(report("2026-03-16", {WEB[0]: 3}))
    await ensure_topics(stage.kafka, topics(stage.prefix))
    await stage.send_raw(
        (UAI.encode(), good, [(_NoUtf8("xx"), b"1"), *stage.agent.headers(good)]),
        (UAI.encode(), good, stage.agent.headers(good)),
    )
    async with stage.running():
        await stage.drained()
        assert (await stage.sheets())[UAI, "day", date(2026, 3, 16)] == {WEB[0]: 3}
        (letter,) = await stage.dead_letters()
        assert "UnicodeDecodeError" in letter[UNREADABLE]


async def test_ten_megabytes_are_refused_by_the_broker(stage: Stage):
    async with stage.running():
        sender = AIOKafkaProducer(bootstrap_servers=stage.kafka, max_request_size=20_000_000)
        await sender.start()
        with pytest.raises(MessageSizeTooLargeError):
            await sender.send_and_wait(stage.topic, b" " * 10_000_000, UAI.encode())
        await sender.stop()


async def test_what_is_small_only_while_compressed_leaves_its_headers(stage: Stage):
    value = b" " * 3_000_000
    async with stage.running():
        sender = AIOKafkaProducer(bootstrap_servers=stage.kafka, max_request_size=20_000_000, compression_type="gzip")
        await sender.start()
        await sender.send_and_wait(stage.topic, value, UAI.encode(), headers=stage.agent.headers(value))
        await sender.stop()
        await stage.send(stage.agent.message(report("2026-03-16", {WEB[0]: 3})))
        await stage.drained()
        assert [letter["dlq-cause"] for letter in await stage.dead_letters()] == ["oversize"]
        assert (await stage.sheets())[UAI, "day", date(2026, 3, 16)] == {WEB[0]: 3}


async def test_a_noisy_agent_is_quarantined_by_itself(stage: Stage):
    noisy = Agent("noisy")
    stage.identity.snapshot = registry([stage.agent, noisy])
    poison = noisy.message(report("2026-03-16", {1: 1}))
    async with stage.running():
        await stage.send(*[poison] * (AGENT_LIMIT + 40), by=noisy)
        await stage.send(stage.agent.message(report("2026-03-16", {WEB[0]: 3})), b"{")
        await stage.drained()
        by = [letter["dlq-agent"] for letter in await stage.dead_letters()]
        assert (by.count("noisy"), by.count("agent-1")) == (AGENT_LIMIT, 1)
        assert (await stage.outcomes())["dead_lettered.cell_not_in_family"] == AGENT_LIMIT + 40
        await stage.send(noisy.message(report("2026-03-17", {WEB[0]: 5})), by=noisy)
        await stage.drained()
        assert (await stage.sheets())[UAI, "day", date(2026, 3, 17)] == {WEB[0]: 5}


async def test_dead_letters_are_listed_and_sent_again(stage: Stage):
    late = Agent("late")
    async with stage.running():
        await stage.send(late.message(report("2026-03-16", {WEB[0]: 3})), by=late)
        await stage.drained()
        found = [letter async for letter in letters(stage.kafka, stage.prefix)]
        assert [(letter.cause, letter.summary()["key"]) for letter in found] == [("unknown_agent", UAI)]
        stage.identity.snapshot = registry([stage.agent, late], version=2)
        await notify(stage)
        await until(lambda: _known(stage, late))
        assert await replay(stage.kafka, found, stage.prefix) == 1
        await until(lambda: has_outcome(stage, "accepted", 1))
        assert (await stage.sheets())[UAI, "day", date(2026, 3, 16)] == {WEB[0]: 3}


async def _known(stage: Stage, agent: Agent) -> bool:
    return bool(await stage.query("select 1 from usage.agents where id = $1", agent.name)) or await poke(stage)
