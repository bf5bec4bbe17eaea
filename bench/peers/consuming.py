"""The plainest consumer there is: a topic read by aiokafka from its start, in batches, by one process, without a group."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer

from chassis.kafka import partitions_of

BATCH = 4000


async def batches(bootstrap: str, topic: str, messages: int) -> AsyncIterator[list[bytes]]:
    """The values of the first so many messages, as they come."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    partitions = await partitions_of(bootstrap, topic)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", max_partition_fetch_bytes=2 * 1024 * 1024
    )
    await consumer.start()
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    while messages > 0:
        found = (await consumer.getmany(timeout_ms=200, max_records=BATCH)).values()
        values = [record.value for records in found for record in records][:messages]
        messages -= len(values)
        if values:
            yield values
    await consumer.stop()
