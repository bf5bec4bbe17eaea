"""What the aggregator sends to Kafka: dead letters, and news of what changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from contracts import counters_updated
from services.aggregator.admission import DeadLetter
from services.aggregator.dead_letters import DEAD_LETTER_TOPIC, DeadLetters, Headers, Limits
from services.aggregator.errors import StoppedError
from services.aggregator.service import Flushed

MAX_REQUEST_BYTES = 1_200_000
"""A dead letter is the message it holds and its headers."""
RETRY_DELAYS_S = (0.5, 2.0, 5.0, 10.0)

log = structlog.get_logger()


class Outgoing:
    """One producer. Not idempotent on purpose: a repeated letter or notice harms nobody, a producer stuck out of order would."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, client_id="aggregator", acks="all", max_request_size=MAX_REQUEST_BYTES
        )
        self._dead = prefix + DEAD_LETTER_TOPIC
        self._updated = prefix + counters_updated.TOPIC
        self.letters = DeadLetters(self._send, Limits(monotonic))

    async def start(self) -> None:
        await self._producer.start()

    async def stop(self) -> None:
        await self._producer.stop()

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Set messages aside; returns once Kafka has them, because they are acknowledged next."""
        await self.letters.publish(letters)

    async def _send(self, key: bytes | None, value: bytes, headers: Headers) -> None:
        for delay in RETRY_DELAYS_S:
            try:
                await self._producer.send_and_wait(self._dead, value, key, headers=headers)
            except KafkaError as error:
                if not error.retriable:
                    raise
                log.warning("A dead letter was not taken; trying again", cause=repr(error), delay_s=delay)
                await asyncio.sleep(delay)
            else:
                return
        raise StoppedError("Kafka takes no dead letters: see whether the broker runs, then start again")

    async def announce(self, flushed: Flushed) -> None:
        """Say what changed; readers that miss a notice find out by themselves within half a minute."""
        try:
            for event in flushed.events():
                await self._producer.send(self._updated, msgspec.json.encode(event), event.uai.encode())
        except KafkaError as error:
            log.warning("Readers were not told what changed; they will see at their next tick", cause=repr(error))
