"""The disaster plan's first step: a database restored from backup knows less than Kafka, so the topic is read again from its start."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CommitFailedError, IllegalGenerationError, UnknownMemberIdError

from chassis.kafka import partitions_of
from contracts.usage_reported import TOPIC
from services.aggregator.errors import StillConsumingError
from services.aggregator.handlers import GROUP


async def reread(bootstrap: str, prefix: str = "") -> int:
    """Set the aggregators' group back to the oldest message that Kafka keeps; how many messages will be read.

    StillConsumingError while a replica runs, or died less than its session ago. What is merged twice changes nothing.
    """
    partitions = await partitions_of(bootstrap, prefix + TOPIC)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=prefix + GROUP, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(partitions)
        starts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        await consumer.commit(starts)
    except (CommitFailedError, IllegalGenerationError, UnknownMemberIdError) as error:
        raise StillConsumingError("stop every aggregator first, then wait ten seconds") from error
    finally:
        await consumer.stop()
    return sum(ends[each] - starts[each] for each in partitions)
