"""What stands on a topic, read from its start to its end, and messages put there by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from chassis.kafka import TopicSpec, ensure_topics, partitions_of
from contracts.topics import load_cards

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True)
class Message:
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | None = None

    def with_value(self, value: bytes) -> Message:
        return replace(self, value=value)


async def create_topics(bootstrap: str) -> None:
    """The topics of all cards, as the platform creates them."""
    cards = load_cards().values()
    await ensure_topics(bootstrap, [TopicSpec(card.name, card.partitions, config=card.config()) for card in cards])


async def read_topic(bootstrap: str, topic: str, since: Mapping[int, int] | None = None) -> list[Message]:
    """All messages up to the end as it is now, by partition and offset; `since` gives first offsets."""
    partitions = await partitions_of(bootstrap, topic)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        starts = await consumer.beginning_offsets(partitions)
        for partition in partitions:
            consumer.seek(partition, max(starts[partition], (since or {}).get(partition.partition, 0)))
        found: list[Message] = []
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                found += [Message(each.key, each.value or b"", each.headers, each.partition) for each in records]
        return found
    finally:
        await consumer.stop()


async def end_offsets(bootstrap: str, topic: str) -> dict[int, int]:
    """Where each partition ends now."""
    partitions = await partitions_of(bootstrap, topic)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(partitions)
        return {each.partition: offset for each, offset in (await consumer.end_offsets(partitions)).items()}
    finally:
        await consumer.stop()


async def write_topic(bootstrap: str, topic: str, messages: Iterable[Message]) -> None:
    """Send in this order; a message that names a partition goes there."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=20_000_000, acks="all")
    await producer.start()
    try:
        sent = [
            await producer.send(topic, each.value, key=each.key, headers=list(each.headers), partition=each.partition)
            for each in messages
        ]
        for acknowledgement in sent:
            await acknowledgement
    finally:
        await producer.stop()
