"""Kafka's everyday needs: topics that exist, deliveries that are sure, and how far a group has read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.consumer import fetcher
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

UNREADABLE = "unreadable"
"""Header of what stands in the place of a record that cannot be parsed; its value says why."""

CLOSING_SECONDS = 5.0
"""A producer whose broker does not answer is left behind after this."""

log = structlog.get_logger()


COPIES = 3
"""Of each partition, where there are so many brokers: one may be lost while another is being restarted."""


class NotDeliveredError(Exception):
    """Kafka has not acknowledged a message in time; it may have it all the same."""


class Deliveries:
    """Sends messages, each acknowledged by all in-sync replicas before `deliver` returns.

    aiokafka's idempotent producer does not come back from an out-of-order sequence or a fenced epoch, so any failure replaces it,
    whoever else is using it: they fail too and send again. A message may then arrive twice.
    """

    def __init__(
        self,
        bootstrap: str,
        client_id: str,
        *,
        within_seconds: float,
        max_request_bytes: int,
        security: Mapping[str, Any] | None = None,
    ) -> None:
        """`security`: arguments of aiokafka's producer, such as `ssl_context`; none: what is said goes in the clear."""
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._within = within_seconds
        self._max_request = max_request_bytes
        self._security = dict(security or {})
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def deliver(self, topic: str, value: bytes, *, key: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        """Deliver one message; `NotDeliveredError` when Kafka did not acknowledge it."""
        producer = None
        try:
            async with asyncio.timeout(self._within):
                producer = await self._started()
                await producer.send_and_wait(topic, value, key=key, headers=list(headers))
        except (KafkaError, OSError, TimeoutError) as error:
            if producer is self._producer:
                await self.close()
            raise NotDeliveredError(f"Kafka at {self._bootstrap} did not take a message: {error!r}") from error

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap,
                    client_id=self._client_id,
                    enable_idempotence=True,
                    acks="all",
                    compression_type="zstd",
                    max_request_size=self._max_request,
                    **self._security,
                )
                try:
                    await producer.start()
                except BaseException:
                    await _leave(producer)
                    raise
                self._producer = producer
            return self._producer

    async def close(self) -> None:
        """Let the producer go, without waiting long for a broker that does not answer."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _leave(producer)


async def _leave(producer: AIOKafkaProducer) -> None:
    try:
        async with asyncio.timeout(CLOSING_SECONDS):
            await producer.stop()
    except (KafkaError, OSError, TimeoutError) as error:
        log.debug("producer_not_closed", error=repr(error))


@dataclass(frozen=True)
class TopicSpec:
    """A topic to create: partitions and broker-side settings."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


async def ensure_topics(bootstrap: str, specs: Iterable[TopicSpec]) -> None:
    """Create the topics that are missing, on up to three brokers; those that exist are left as they are.

    Brokers that are away at that moment get no copy: create topics, or run Kafka's own reassignment, once all are there.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        missing = [spec for spec in specs if spec.name not in set(await admin.list_topics())]
        if missing:
            copies = min(COPIES, len((await admin.describe_cluster())["brokers"]))
            response = await admin.create_topics([_new_topic(spec, copies) for spec in missing])
            _raise_unless_created(response.topic_errors)
    finally:
        await admin.close()


def _new_topic(spec: TopicSpec, copies: int) -> NewTopic:
    return NewTopic(spec.name, spec.partitions, copies, topic_configs=dict(spec.config))


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


def tolerate_unreadable_records() -> None:
    """Let this process's consumers go past records that aiokafka cannot parse, such as one with a header's name that is no UTF-8.

    aiokafka raises the same error at each poll, for ever, and forgets what it took from other partitions in that poll: one such
    record stops its partition and loses messages of others. This replaces a name inside aiokafka (pinned by the lock file); the
    connected tests of poison would see it move.
    """
    fetcher.MemoryRecords = _Records


class _Records:
    """What one partition answered to a fetch, batch by batch."""

    def __init__(self, fetched: bytes, _whole: Any = fetcher.MemoryRecords) -> None:
        self._records = _whole(fetched)
        self.has_next = self._records.has_next
        self.size_in_bytes = self._records.size_in_bytes

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        return batch if batch.is_control_batch else _Batch(batch)


class _Batch:
    """One producer's records, up to the first that cannot be parsed; then something that says so, and the rest is passed over."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        offset = self._batch.base_offset
        try:
            for record in self._batch:
                yield record
                offset = record.offset + 1
        except Exception as error:  # the checksum holds, so it would fail again, whatever it is
            log.exception("A record cannot be parsed: it and the rest of its batch are passed over", offset=offset)
            yield self._unreadable(offset, repr(error))

    def _unreadable(self, offset: int, cause: str) -> SimpleNamespace:
        return SimpleNamespace(
            offset=offset, timestamp=self._batch.max_timestamp, timestamp_type=self._batch.timestamp_type, key=None, value=None,
            checksum=None, headers=[(UNREADABLE, cause.encode())],
        )  # fmt: skip
