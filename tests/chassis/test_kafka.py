"""Kafka's everyday needs, on a real one."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from chassis.kafka import Deliveries, NotDeliveredError, TopicSpec, ensure_topics, lag, partitions_of

pytestmark = pytest.mark.connected


async def test_lag_is_what_a_group_has_not_committed(kafka):
    """It once was 0 whatever the group had read, and a stack said that it was ready before it was."""
    topic, group = f"topic-{uuid4().hex}", f"group-{uuid4().hex}"
    assert await partitions_of(kafka, topic) == []
    await ensure_topics(kafka, [TopicSpec(topic, partitions=3)])
    assert len(await partitions_of(kafka, topic)) == 3
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    for partition in (0, 1, 1, 2):
        await producer.send_and_wait(topic, b"fact", partition=partition)
    await producer.stop()
    assert await lag(kafka, group, topic) == 4
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=kafka, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    seen = 0
    while seen < 3:
        seen += sum(map(len, (await consumer.getmany(timeout_ms=1000, max_records=3 - seen)).values()))
    await consumer.commit()
    await consumer.stop()
    assert await lag(kafka, group, topic) == 1


def deliveries(bootstrap: str, within_seconds: float = 20.0) -> Deliveries:
    return Deliveries(bootstrap, "test", within_seconds=within_seconds, max_request_bytes=1_000_000)


async def read_all(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(30):
            return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


async def test_many_deliver_at_once_by_one_producer(kafka):
    topic = f"topic-{uuid4().hex}"
    await ensure_topics(kafka, [TopicSpec(topic, partitions=1)])
    sending = deliveries(kafka)
    values = [str(number).encode() for number in range(50)]
    await asyncio.gather(*(sending.deliver(topic, value, key=b"k") for value in values))
    await sending.close()
    assert sorted(await read_all(kafka, topic, 50)) == sorted(values)


async def test_a_producer_that_failed_is_replaced_for_everybody(kafka):
    """aiokafka's idempotent producer, once out of order, refuses every message for ever."""
    topic = f"topic-{uuid4().hex}"
    await ensure_topics(kafka, [TopicSpec(topic, partitions=1)])
    sending = deliveries(kafka)
    await sending.deliver(topic, b"before", key=b"k")
    assert sending._producer
    await sending._producer.stop()
    failures = await asyncio.gather(
        *(sending.deliver(topic, b"lost", key=b"k") for _ in range(3)), return_exceptions=True
    )
    assert any(isinstance(failure, NotDeliveredError) for failure in failures)
    await sending.deliver(topic, b"after", key=b"k")
    await sending.close()
    assert (await read_all(kafka, topic, 2))[0] == b"before"


async def test_a_broker_that_is_away_is_told_in_time(free_port):
    with pytest.raises(NotDeliveredError, match="did not take"):
        await deliveries(f"127.0.0.1:{free_port()}", within_seconds=0.5).deliver("topic", b"x", key=b"k")
