"""The aggregator's life: start in order, consume, look after the registry and the keeping, stop in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property

import asyncpg
import structlog
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker
from sqlalchemy.exc import SQLAlchemyError

from chassis.database import create_engine, migrate
from chassis.kafka import TopicSpec, ensure_topics
from contracts.topics import load_cards
from services.aggregator import store
from services.aggregator.config import AggregatorSettings
from services.aggregator.errors import StartError, StoppedError
from services.aggregator.handlers import Handlers, create_broker
from services.aggregator.outgoing import Outgoing
from services.aggregator.registry import RegistryClient
from services.aggregator.retention import Retention
from services.aggregator.service import Reports
from services.aggregator.tables import SCHEMA

REFRESH_S = 30.0
"""Registry notices come by Kafka at once; this finds what a lost one would have said."""
RETENTION_S = 3600.0

log = structlog.get_logger()


class Aggregator:
    """One process of the consumer group."""

    def __init__(self, settings: AggregatorSettings, end: Callable[[], None]) -> None:
        self._settings = settings
        self._end = end
        self.stopped_by: StoppedError | None = None
        self.broker: KafkaBroker | None = None
        self.outgoing: Outgoing | None = None
        self._consuming = False

    @cached_property
    def pool(self) -> asyncpg.Pool:
        return store.pool(self._settings.usage_database.get_secret_value())

    async def ready(self) -> bool:
        """Whether it consumes and PostgreSQL answers."""
        if not self._consuming:
            return False
        try:
            async with self.pool.acquire(timeout=2) as connection:
                return bool(await connection.fetchval("select true"))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            return False

    def stop(self, error: StoppedError) -> None:
        """Have the process ended as if it had been told to; its exit code says that it was not."""
        if self.stopped_by is None:
            self.stopped_by = error
            log.error("The aggregator stops; its supervisor starts it again", cause=str(error), code=error.exit_code)
            self._end()

    async def run(self) -> None:
        """Start, consume until cancelled, and leave nothing half done."""
        try:
            async with AsyncExitStack() as stack:
                await self._start(stack)
                self._consuming = True
                log.info("The aggregator consumes")
                await asyncio.Event().wait()
        except (SQLAlchemyError, asyncpg.PostgresError, OSError, KafkaError, TimeoutError) as error:
            self.stop(StartError(f"cannot start: {error!r}"))
        except Exception as error:
            log.exception("The aggregator failed at its start in a way that nobody foresaw: report this")
            self.stop(StartError(f"cannot start: {error!r}"))
        finally:
            self._consuming = False

    async def _start(self, stack: AsyncExitStack) -> None:
        settings = self._settings
        await prepare_database(settings.usage_database.get_secret_value())
        await stack.enter_async_context(self.pool)
        async with self.pool.acquire() as connection:
            await store.write_cells(connection)
        await ensure_topics(settings.kafka, topics(settings.topic_prefix))
        registry = RegistryClient(settings.identity_url, settings.internal_token.get_secret_value())
        stack.push_async_callback(registry.close)
        await registry.wait()
        self.outgoing = Outgoing(settings.kafka, settings.topic_prefix)
        await self.outgoing.start()
        stack.push_async_callback(self.outgoing.stop)
        handlers = Handlers(Reports(self.pool, registry, settings.clock), self.outgoing, self.stop)
        await handlers.unpark()
        self.broker = create_broker(
            settings.kafka, settings.topic_prefix, handlers, max_records=settings.flush_messages
        )
        await self.broker.start()
        stack.push_async_callback(self.broker.stop)
        stack.push_async_callback(handlers.finish)
        retention = Retention(self.pool, registry, settings.clock)
        await stack.enter_async_context(_every(REFRESH_S, handlers.refresh))
        await stack.enter_async_context(_every(RETENTION_S, retention.run))


async def prepare_database(url: str) -> None:
    """Bring the schema to its newest revision."""
    engine = create_engine(url, application="aggregator-migrations", pool_size=1)
    try:
        await migrate(engine, store.MIGRATIONS, schema=SCHEMA)
    finally:
        await engine.dispose()


def topics(prefix: str = "") -> list[TopicSpec]:
    """Every topic that has a card."""
    return [TopicSpec(prefix + card.name, card.partitions, config=card.config()) for card in load_cards().values()]


@asynccontextmanager
async def _every(seconds: float, duty: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run `duty` now and then every so many seconds beside the body; one failure is said and does not end it."""
    task = asyncio.create_task(_repeat(seconds, duty))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _repeat(seconds: float, duty: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await duty()
        except Exception:
            log.exception("A duty failed; it is tried again at its next turn", duty=duty.__qualname__)
        await asyncio.sleep(seconds)
