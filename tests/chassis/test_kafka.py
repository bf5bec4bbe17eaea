"""Kafka's everyday needs, on a real one."""

from __future__ import annotations

from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from chassis.kafka import TopicSpec, ensure_topics, lag, partitions_of

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
