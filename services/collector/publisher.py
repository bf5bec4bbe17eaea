"""Reports straight to Kafka: one signature a message, keyed by its establishment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis import kafka
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
MAX_REQUEST_BYTES = 1_000_000


class Publisher:
    """Sends messages and returns once Kafka has them. One may arrive twice: it is a state, the second changes nothing."""

    def __init__(self, bootstrap: str, agent: str, keys: KeyRing, settings: KafkaSettings | None = None) -> None:
        self._agent, self._keys = agent, keys
        self._deliveries = kafka.Deliveries(
            bootstrap,
            f"agent-{agent}",
            within_seconds=DELIVERY_SECONDS,
            max_request_bytes=MAX_REQUEST_BYTES,
            security=kafka_security(settings) if settings else None,
        )

    async def publish(self, message: UsageReported) -> None:
        """Deliver one message; `NotDeliveredError` when Kafka did not acknowledge it."""
        value = encode(message)
        headers = [
            (SIGNATURE_HEADER, self._keys.sign(value)),
            (AGENT_HEADER, self._agent.encode()),
            ("traceparent", traceparent()),
        ]
        try:
            await self._deliveries.deliver(TOPIC, value, key=message.uai.encode(), headers=headers)
        except kafka.NotDeliveredError as error:
            raise NotDeliveredError(str(error)) from error

    async def close(self) -> None:
        """Let the producer go, without waiting long for a broker that does not answer."""
        await self._deliveries.close()
