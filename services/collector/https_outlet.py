"""Reports through the gateway: the same signed bytes as on the topic, POSTed one message at a time."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from contracts.usage_reported import encode

if TYPE_CHECKING:
    from contracts.usage_reported import UsageReported
    from services.collector.gateway import Gateway
    from services.collector.keys import KeyRing


class HttpsOutlet:
    """Delivers over HTTPS; the gateway answers once Kafka has the message, so that an answer is an acknowledgement."""

    def __init__(self, gateway: Gateway, agent: str, keys: KeyRing) -> None:
        self._gateway, self._agent, self._keys = gateway, agent, keys

    async def publish(self, message: UsageReported) -> None:
        """Deliver one message; `NotDeliveredError` when it is to be sent again, `MessageRefusedError` when that is of no use."""
        value = encode(message)
        await self._gateway.report(self._agent, value, self._keys.sign(value), traceparent())

    async def close(self) -> None:
        """The gateway's connection is its owner's to close."""


def traceparent() -> bytes:
    """W3C trace context: each message starts a trace, which the platform goes on with."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01".encode()
