"""What arrives from Kafka: report messages in batches, acknowledged once committed; news of the registry."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeVar

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage as Message
from faststream.kafka.message import KafkaAckableMessage

from chassis.kafka import tolerate_unreadable_records
from contracts import counters_updated, identity_changed, usage_reported
from services.aggregator.errors import StoppedError
from services.aggregator.outgoing import Outgoing
from services.aggregator.service import Judged, Reports
from services.aggregator.vouching import Record

GROUP = "aggregator"
POLL_MS = 3
"""One poll waits this long for a message, then sleeps as long: at low load a flush starts within both. Idle, it costs some
hundredths of a core."""
PARTITION_FETCH_BYTES = 2 * 1024 * 1024
FLUSH_BYTES = 16 * 1024 * 1024
"""Of messages in one flush: their cells, sorted, take some twenty times as much memory, and PostgreSQL drops a transaction that is idle
for ten seconds meanwhile. 4,000 everyday messages stay below; years sent again come in messages of half a megabyte."""
METADATA_MS = 20_000
"""A topic made anew, or given more partitions, is noticed within; the client's own five minutes would be five without a report."""
FINISH_S = 7.0
"""A batch being written when the process is told to stop has this long; else it is rolled back, and read again."""
LEAVE_S = 4.0
"""What is left of the 15 s in which a service has promised to end, less what closing takes."""
SESSION_MS = 10_000
"""A replica that says nothing for so long is taken for dead and its partitions go to the others."""

log = structlog.get_logger()
T = TypeVar("T")


class Handlers:
    """Receives, hands over, acknowledges; decides nothing."""

    def __init__(self, reports: Reports, outgoing: Outgoing, stop: Callable[[StoppedError], None]) -> None:
        self._reports = reports
        self._outgoing = outgoing
        self._stop = stop
        self._writing: asyncio.Task[None] | None = None
        self._settling = False
        self._halted = asyncio.Event()

    async def on_usage_reported(self, message: Message) -> None:
        """Judge a batch while the one before it is written; at low load there is none, and this one is written at once."""
        for records in portions(message.raw_message, FLUSH_BYTES):
            await self._take(records, message.consumer)

    async def _take(self, records: Sequence[Record], consumer: Any) -> None:
        judged = await self._or_stop(lambda: self._reports.judge(records))
        await self.settle()
        self._writing = asyncio.create_task(self._or_stop(lambda: self._write(judged, records, consumer)))
        if self._settling:
            await self.settle()

    async def _write(self, judged: Judged, records: Sequence[Record], consumer: Any) -> None:
        """Merge and commit to PostgreSQL, set dead letters aside, then acknowledge, then say what changed.

        Whatever fails here stops the process: the next batch waits for this one, and must not be acknowledged in its place.
        """
        flushed = await self._reports.write(judged)
        await self._outgoing.bury(flushed.dead)
        await _acknowledge(consumer, records)
        await self._outgoing.announce(flushed)

    async def settle(self) -> None:
        """Wait for the batch that is being written."""
        if self._writing:
            await self._writing

    async def finish(self) -> None:
        """Before the consumer stops: what is being written ends, unless that is what stopped us; then one batch at a time."""
        self._settling = True
        if self._writing:
            halted = asyncio.create_task(self._halted.wait())
            await asyncio.wait({self._writing, halted}, timeout=FINISH_S, return_when=asyncio.FIRST_COMPLETED)
            halted.cancel()
            if (
                not self._halted.is_set()
            ):  # it may wait for a lock for ever, and hold the connection that the pool waits for
                self._writing.cancel()
                await asyncio.wait({self._writing}, timeout=LEAVE_S)

    async def on_identity_changed(self, _: Message) -> None:
        """Read the registry again; whatever it lets in leaves its parking place."""
        await self.refresh()

    async def refresh(self) -> None:
        """Ask identity for news, and obey them."""
        if await self._reports.refresh():
            await self.unpark()

    async def unpark(self) -> None:
        """Merge what a newer registry, or a newer catalogue, lets in."""
        await self._outgoing.announce(await self._or_stop(self._reports.unpark))

    async def _or_stop(self, work: Callable[[], Awaitable[T]]) -> T:
        """Past help: stop the process, and hold this batch until it has, so that no later one is acknowledged before it."""
        try:
            return await work()
        except StoppedError as error:
            self._stop(error)
        except Exception as error:
            log.exception("A flush failed in a way that nobody foresaw: report this; nothing of it is acknowledged")
            self._stop(StoppedError(f"unforeseen: {error!r}"))
        self._halted.set()
        await asyncio.Event().wait()
        raise AssertionError


def portions(records: Sequence[Record], most: int) -> Iterator[Sequence[Record]]:
    """Cut a batch, in its order, into parts of at most so many bytes (of one message at least)."""
    first = size = 0
    for place, record in enumerate(records):
        size += len(record.value or b"")
        if size > most and place > first:
            yield records[first:place]
            first, size = place, len(record.value or b"")
    yield records[first:]


async def _acknowledge(consumer: Any, records: Sequence[Record]) -> None:
    """Offsets follow what is committed; where they cannot, the same messages come again and change nothing.

    Each batch commits its own offsets: the consumer has read further already.
    """
    offsets = {TopicPartition(record.topic, record.partition): record.offset + 1 for record in records}
    try:
        await consumer.commit(offsets)
    except (KafkaError, IllegalStateError, ConsumerStoppedError) as error:
        log.warning("Offsets were not taken (a rebalance, or Kafka away): these messages come again", cause=repr(error))


def create_broker(bootstrap: str, prefix: str, handlers: Handlers, *, max_records: int) -> KafkaBroker:
    """Both subscriptions; topics are made from their cards, never by a subscription."""
    tolerate_unreadable_records()
    broker = KafkaBroker(
        bootstrap.split(","),
        client_id="aggregator",
        allow_auto_create_topics=False,
        metadata_max_age_ms=METADATA_MS,
        graceful_timeout=LEAVE_S,
        logger=None,
        description="Reports in, sheets in PostgreSQL, news of what changed out.",
    )
    _subscribe_to_reports(broker, prefix, handlers, max_records)
    changed = broker.subscriber(
        prefix + identity_changed.TOPIC,
        ack_policy=AckPolicy.ACK_FIRST,
        auto_offset_reset="latest",
        title="identity.changed.v1",
        description="The registry changed: each replica reads it again. Nothing is lost with a notice: it is read every 30 s too.",
    )
    changed(handlers.on_identity_changed, decoder=_no_decoding)
    broker.publisher(prefix + counters_updated.TOPIC, title="counters.updated.v1", schema=dict)
    return broker


def _subscribe_to_reports(broker: KafkaBroker, prefix: str, handlers: Handlers, max_records: int) -> None:
    reported = broker.subscriber(
        prefix + usage_reported.TOPIC,
        batch=True,
        ack_policy=AckPolicy.MANUAL,
        group_id=prefix + GROUP,
        auto_offset_reset="earliest",
        batch_timeout_ms=POLL_MS,
        max_records=max_records,
        max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
        session_timeout_ms=SESSION_MS,
        title="usage.reported.v1",
        description="States of families and periods, merged by cell-wise maximum.",
    )

    async def raw(records: Any) -> Any:
        """Keys, values and headers as they are: a header that is no UTF-8 must not stop a batch."""
        consumer = reported.consumer
        return KafkaAckableMessage(
            body=b"", headers={}, raw_message=records, message_id="", correlation_id="", consumer=consumer
        )

    reported(handlers.on_usage_reported, parser=raw, decoder=_no_decoding)


async def _no_decoding(_: Any) -> bytes:
    return b""
