"""The dead letters as an operator meets them: read from the topic, shown, sent again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from chassis.kafka import partitions_of
from contracts.usage_reported import TOPIC
from services.aggregator.dead_letters import (
    AGENT,
    APPENDED,
    CAUSE,
    DEAD_LETTER_TOPIC,
    DETAIL,
    FROM_OFFSET,
    FROM_PARTITION,
    OUR_HEADERS,
)

POLL_MS = 1000


class Letter(NamedTuple):
    """One dead letter; `partition` and `offset` are its place among the dead letters and name it in commands."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    def header(self, name: str) -> str:
        return (dict(self.headers).get(name) or b"").decode("utf-8", "replace")

    @property
    def cause(self) -> str:
        return self.header(CAUSE)

    def summary(self) -> dict[str, Any]:
        """What `dlq list` shows."""
        return {
            "id": f"{self.partition}:{self.offset}",
            "cause": self.cause,
            "detail": self.header(DETAIL),
            "agent": self.header(AGENT) or self.header("agent"),
            "key": (self.key or b"").decode("utf-8", "replace"),
            "bytes": len(self.value or b""),
            "from": f"{self.header(FROM_PARTITION)}:{self.header(FROM_OFFSET)}",
            "appended_ms": int(self.header(APPENDED) or 0),
        }


async def letters(bootstrap: str, prefix: str = "") -> AsyncIterator[Letter]:
    """All dead letters that Kafka still keeps, partition by partition."""
    partitions = await partitions_of(bootstrap, prefix + DEAD_LETTER_TOPIC)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning(*partitions)
        while [where for where in partitions if await consumer.position(where) < ends[where]]:
            for where, records in (await consumer.getmany(timeout_ms=POLL_MS)).items():
                for record in records:
                    yield _letter(where, record)
    finally:
        await consumer.stop()


def _letter(where: TopicPartition, record: Any) -> Letter:
    return Letter(where.partition, record.offset, record.key, record.value, tuple(record.headers))


@asynccontextmanager
async def _producing(bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def replay(bootstrap: str, chosen: Sequence[Letter], prefix: str = "") -> int:
    """Send letters again with their own key, bytes and signature; merged if what was wrong has been put right. How many.

    Kafka appends them anew: they are judged by the keys that are valid now.
    """
    async with _producing(bootstrap) as producer:
        for letter in chosen:
            headers = [(name, value) for name, value in letter.headers if name not in OUR_HEADERS]
            await producer.send_and_wait(prefix + TOPIC, letter.value, letter.key, headers=headers)
    return len(chosen)
