"""Reports to Kafka: idempotent producer, one signature a message, rebuilt after whatever it cannot recover from."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from contracts.signing import AGENT_HEADER, SIGNATURE_HEADER
from contracts.usage_reported import TOPIC, encode
from services.collector.errors import NotDeliveredError
from services.collector.https_outlet import traceparent
from services.collector.kafka_security import kafka_security

if TYPE_CHECKING:
    from contracts.usage_reported import UsageReported
    from services.collector.config import KafkaSettings
    from services.collector.keys import KeyRing

DELIVERY_SECONDS = 30.0
"""How long one message may take before its producer is given up; the state stays marked and is sent again."""
CLOSING_SECONDS = 5.0
MAX_REQUEST_BYTES = 1_000_000

_log = structlog.get_logger(__name__)


class Publisher:
    """Sends messages and returns once Kafka has them on all in-sync replicas.

    aiokafka's idempotent producer does not come back from an out-of-order sequence or a fenced epoch, so any failure replaces it.
    A message may then arrive twice: it is a state, the second changes nothing.
    """

    def __init__(self, bootstrap: str, agent: str, keys: KeyRing, settings: KafkaSettings | None = None) -> None:
        self._bootstrap, self._agent, self._keys = bootstrap, agent, keys
        self._security = kafka_security(settings) if settings else {}
        self._producer: AIOKafkaProducer | None = None

    async def publish(self, message: UsageReported) -> None:
        """Deliver one message; `NotDeliveredError` when Kafka did not acknowledge it."""
        value = encode(message)
        headers = [
            (SIGNATURE_HEADER, self._keys.sign(value)),
            (AGENT_HEADER, self._agent.encode()),
            ("traceparent", traceparent()),
        ]
        try:
            async with asyncio.timeout(DELIVERY_SECONDS):
                producer = await self._started()
                await producer.send_and_wait(TOPIC, value, key=message.uai.encode(), headers=headers)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise NotDeliveredError(f"Kafka at {self._bootstrap} did not take the reports: {error!r}") from error

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                client_id=f"agent-{self._agent}",
                enable_idempotence=True,
                acks="all",
                compression_type="zstd",
                max_request_size=MAX_REQUEST_BYTES,
                **self._security,
            )
            self._producer = producer
            await producer.start()
        return self._producer

    async def close(self) -> None:
        """Let the producer go, without waiting long for a broker that does not answer."""
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                async with asyncio.timeout(CLOSING_SECONDS):
                    await producer.stop()
            except (KafkaError, OSError, TimeoutError) as error:
                _log.debug("producer_not_closed", error=repr(error))
