"""What stands on a topic, read from its start to its end, and messages put there by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

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


async def read_topic(bootstrap: str, topic: str, since: Mapping[int, int] | None = None) -> list[Message]:
    """All messages up to the end as it is now, by partition and offset; `since` gives first offsets."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        await consumer.topics()
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        starts = await consumer.beginning_offsets(partitions)
        found: list[Message] = []
        for partition in partitions:
            start = max(starts[partition], (since or {}).get(partition.partition, 0))
            consumer.seek(partition, start)
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                found += [Message(each.key, each.value or b"", each.headers, each.partition) for each in records]
        return found
    finally:
        await consumer.stop()


async def end_offsets(bootstrap: str, topic: str) -> dict[int, int]:
    """Where each partition ends now."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        await consumer.topics()
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
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
