"""Kafka's everyday needs: topics that exist, and how far a group has read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code


@dataclass(frozen=True)
class TopicSpec:
    """A topic to create: partitions, replication and broker-side settings."""

    name: str
    partitions: int
    replication: int = 1
    config: Mapping[str, str] = field(default_factory=dict)


async def ensure_topics(bootstrap: str, specs: Iterable[TopicSpec]) -> None:
    """Create the topics that are missing; those that exist are left as they are."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        missing = [spec for spec in specs if spec.name not in set(await admin.list_topics())]
        if missing:
            response = await admin.create_topics([_new_topic(spec) for spec in missing])
            _raise_unless_created(response.topic_errors)
    finally:
        await admin.close()


def _new_topic(spec: TopicSpec) -> NewTopic:
    return NewTopic(spec.name, spec.partitions, spec.replication, topic_configs=dict(spec.config))


def _raise_unless_created(errors: Iterable[tuple[object, ...]]) -> None:
    for name, code, *_ in errors:
        error: type[KafkaError] = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error(f"topic {name}")


async def partitions_of(bootstrap: str, topic: str) -> list[TopicPartition]:
    """Partitions of a topic, in order; none while it does not exist.

    Asked of the brokers: a consumer that is not subscribed to a topic does not know its partitions.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        described = (await admin.describe_topics([topic]))[0]
        return [
            TopicPartition(topic, number) for number in sorted(each["partition"] for each in described["partitions"])
        ]
    finally:
        await admin.close()


async def lag(bootstrap: str, group: str, topic: str) -> int:
    """Messages of `topic` that `group` has not committed yet."""
    partitions = await partitions_of(bootstrap, topic)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        starts = await consumer.beginning_offsets(partitions)
        committed = await asyncio.gather(*(consumer.committed(partition) for partition in partitions))
        return sum(
            max(0, ends[partition] - (starts[partition] if done is None else done))
            for partition, done in zip(partitions, committed, strict=True)
        )
    finally:
        await consumer.stop()
