"""Reports that come over HTTPS: their shape, then the same bytes on the topic. What they may report is judged there."""

from __future__ import annotations

import asyncio
import re
import secrets

from chassis.errors import UnavailableError
from chassis.kafka import Deliveries, NotDeliveredError
from contracts.catalogue import CATALOGUE_VERSION
from contracts.signing import AGENT_HEADER, SIGNATURE_HEADER
from contracts.uai import InvalidUaiError, parse_uai
from contracts.usage_reported import MAX_MESSAGE_BYTES, TOPIC, MalformedMessageError, UsageReported, decode, validate
from services.gateway.errors import RefusedReportsError

DELIVERY_SECONDS = 10.0
"""Kafka acknowledges in milliseconds or is away: the agent keeps its states and comes again."""
MAX_REQUEST_BYTES = 2 * MAX_MESSAGE_BYTES
MAX_UNDER_WAY = 64
"""Messages waiting for Kafka at once: while it is away their memory stays below 32 MB."""
LONG_BYTES = 50_000
"""From here on checking takes milliseconds (30 for the longest message): beside the loop, so that others are answered meanwhile."""
RETRY_SECONDS = 10
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


class ReportsDesk:
    """Puts checked messages on `usage.reported.v1`."""

    def __init__(self, bootstrap: str) -> None:
        self._deliveries = Deliveries(
            bootstrap, "gateway", within_seconds=DELIVERY_SECONDS, max_request_bytes=MAX_REQUEST_BYTES
        )
        self._under_way = 0

    async def put(self, body: bytes, agent: str, signature: str, traceparent: str) -> None:
        """Returns once Kafka has the message on all in-sync replicas; `RefusedReportsError`, `UnavailableError`."""
        told = await asyncio.to_thread(read, body, agent) if len(body) > LONG_BYTES else read(body, agent)
        headers = [
            (SIGNATURE_HEADER, signature.encode()),
            (AGENT_HEADER, agent.encode()),
            ("traceparent", _trace(traceparent)),
        ]
        if self._under_way >= MAX_UNDER_WAY:
            raise UnavailableError("Kafka is slow to take reports", retry_after=RETRY_SECONDS)
        self._under_way += 1
        try:
            await self._deliveries.deliver(TOPIC, body, key=told.uai.encode(), headers=headers)
        except NotDeliveredError as error:
            raise UnavailableError("Kafka does not take reports", retry_after=RETRY_SECONDS) from error
        finally:
            self._under_way -= 1

    async def close(self) -> None:
        await self._deliveries.close()


def read(body: bytes, agent: str) -> UsageReported:
    """A message of that agent; `RefusedReportsError` names the first fault."""
    try:
        message = decode(body)
        _check(message, agent)
    except (MalformedMessageError, InvalidUaiError) as error:
        raise RefusedReportsError(error.code, str(error)) from error
    return message


def _check(message: UsageReported, agent: str) -> None:
    """Cells of a newer catalogue are not ours to judge."""
    if message.agent != agent:
        raise MalformedMessageError("agent_mismatch", "the header and the message name two agents")
    if parse_uai(message.uai) != message.uai:
        raise MalformedMessageError(InvalidUaiError.code, f"{message.uai!r} is not written as a UAI is")
    if message.catalogue <= CATALOGUE_VERSION:
        for report in message.reports:
            validate(report)


def _trace(given: str) -> bytes:
    """W3C trace context: the agent's, or a trace that begins here."""
    if _TRACEPARENT.fullmatch(given):
        return given.encode()
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01".encode()
