"""Background duties of the identity process: publish what is committed, and keep the shown version of rights alive."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.kafka import TopicSpec, ensure_topics
from contracts.identity_changed import TOPIC
from contracts.topics import load_cards
from services.identity.directory import Directory
from services.identity.rights_board import RightsBoard
from services.identity.store import RegistryStore

POLL_SECONDS = 0.5
"""How long a committed change may wait for the relay; reading an empty table costs nothing."""
RENEWAL_SECONDS = 5.0
"""A sixth of the lease: several renewals may fail before readers have to ask."""
RETRY_SECONDS = 5.0
"""Between attempts to reach Kafka; changes wait in the outbox meanwhile and readers compare the version anyway."""
STOP_SECONDS = 3.0
"""A duty that still waits for Kafka or the database after this is cut off; what it had not finished stays in the outbox."""
_BATCH = 100

log = structlog.get_logger()


class OutboxRelay:
    """Publishes the outbox in order, at least once: a row goes only once Kafka has acknowledged it."""

    def __init__(self, engine: AsyncEngine, bootstrap: str, stopping: asyncio.Event) -> None:
        self._engine = engine
        self._bootstrap = bootstrap
        self._stopping = stopping
        self._last_error = ""

    async def run(self) -> None:
        """Until stopped; a producer that fails is replaced, whatever it failed of."""
        while not self._stopping.is_set():
            try:
                await self._publish_until_failure()
            except (KafkaError, SQLAlchemyError, OSError) as error:
                self._say_once(str(error))
            await within(self._stopping, RETRY_SECONDS)

    def _say_once(self, error: str) -> None:
        if error != self._last_error:
            log.warning("changes of the registry wait to be published", error=error)
        self._last_error = error

    async def _publish_until_failure(self) -> None:
        card = load_cards()[TOPIC]
        await ensure_topics(self._bootstrap, [TopicSpec(TOPIC, card.partitions, config=card.config())])
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True)
        try:
            await producer.start()
            self._last_error = ""
            while not await within(self._stopping, POLL_SECONDS):
                while await self.publish_some(producer):
                    pass
        finally:
            await producer.stop()

    async def publish_some(self, producer: AIOKafkaProducer) -> int:
        """Publish the oldest messages; how many there were."""
        async with self._engine.begin() as connection:
            store = RegistryStore(connection)
            rows = await store.take_from_outbox(_BATCH)
            for _, key, message in rows:
                await producer.send_and_wait(TOPIC, message, key=key.encode())
            await store.clear_outbox([row_id for row_id, _, _ in rows])
        return len(rows)


async def keep_version_shown(directory: Directory, board: RightsBoard, stopping: asyncio.Event) -> None:
    """Until stopped, renew the shown version from the database; a failure heals at the next round or makes readers ask."""
    while not stopping.is_set():
        with suppress(RedisError, SQLAlchemyError, OSError):
            await board.announce(await directory.version())
        await within(stopping, RENEWAL_SECONDS)


async def within(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event has come by then."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await event.wait()
    return False


async def end(tasks: list[asyncio.Task[None]]) -> None:
    """Let tasks that were told to stop finish what they do; an unforeseen fault of theirs is raised here."""
    _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=bool(late))
