"""Messages that can never be merged: set aside with their cause, within limits that keep one sender, or one fault of ours, small."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog
from aiokafka.errors import MessageSizeTooLargeError

from contracts.usage_reported import TOPIC
from services.aggregator.admission import DeadLetter
from services.aggregator.errors import TooManyDeadLettersError

DEAD_LETTER_TOPIC = f"{TOPIC}.dlq"
WINDOW_S = 60.0
AGENT_LIMIT = 200
"""Dead letters of one sender in a window; past it, its bad messages are only counted: its good ones are merged as ever."""
QUARANTINE_S = 600.0
TOTAL_LIMIT = 2000
"""Dead letters in a window of messages whose signature holds: ten agents failing at once are more likely a fault of ours."""

CAUSE, DETAIL, AGENT = "dlq-cause", "dlq-detail", "dlq-agent"
FROM_TOPIC, FROM_PARTITION, FROM_OFFSET, APPENDED = "dlq-topic", "dlq-partition", "dlq-offset", "dlq-appended-ms"
OUR_HEADERS = frozenset({CAUSE, DETAIL, AGENT, FROM_TOPIC, FROM_PARTITION, FROM_OFFSET, APPENDED})

log = structlog.get_logger()

Headers = list[tuple[str, bytes | None]]
Send = Callable[[bytes | None, bytes, Headers], Awaitable[None]]
"""Publish a key, a value and headers to the dead letters; returns once Kafka has them. aiokafka refuses neither key nor value."""


def headers_of(letter: DeadLetter) -> Headers:
    """The original headers, then where the message stood and why it is here."""
    record = letter.record
    ours = {
        CAUSE: letter.code, DETAIL: letter.detail[:500], AGENT: letter.agent, FROM_TOPIC: record.topic,
        FROM_PARTITION: str(record.partition), FROM_OFFSET: str(record.offset), APPENDED: str(record.timestamp),
    }  # fmt: skip
    return [*record.headers, *((name, value.encode("utf-8", "replace")) for name, value in ours.items())]


@dataclass
class Limits:
    """Who has sent how many dead letters lately. In memory: a restart forgets, which costs at most one more window of letters."""

    now: Callable[[], float]
    _sent: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _total: deque[float] = field(default_factory=deque)
    _until: dict[str, float] = field(default_factory=dict)

    def admit(self, letter: DeadLetter) -> bool:
        """Whether to keep this one; TooManyDeadLettersError past the limit of all."""
        now = self.now()
        if self._until.get(letter.agent, 0.0) > now:
            return False
        if _count(self._sent[letter.agent], now) > AGENT_LIMIT:
            self._until[letter.agent] = now + QUARANTINE_S
            log.error(
                "An agent's bad messages are only counted from now on; look at its dead letters and correct it",
                agent=letter.agent or "(unknown)", cause=letter.code, minutes=QUARANTINE_S / 60,
            )  # fmt: skip
            return False
        if letter.vouched and _count(self._total, now) > TOTAL_LIMIT:
            raise TooManyDeadLettersError(
                f"{TOTAL_LIMIT} messages of several agents could not be merged within a minute (last: {letter.code}): "
                "nothing more is set aside; look at `territoriale dlq list`, correct, and start again"
            )
        return True

    def quarantined(self) -> dict[str, float]:
        """Senders in quarantine, and for how many more seconds."""
        now = self.now()
        return {agent: until - now for agent, until in self._until.items() if until > now}


def _count(times: deque[float], now: float) -> int:
    """Note one more, forget those before the window, and count."""
    times.append(now)
    while times[0] <= now - WINDOW_S:
        times.popleft()
    return len(times)


class DeadLetters:
    """Publishes what `Limits` lets through."""

    def __init__(self, send: Send, limits: Limits) -> None:
        self._send = send
        self.limits = limits

    async def publish(self, letters: Sequence[DeadLetter]) -> None:
        """Set messages aside, all at once; returns when Kafka has them."""
        admitted = [letter for letter in letters if self.limits.admit(letter)]
        await asyncio.gather(*map(self._publish, admitted))

    async def _publish(self, letter: DeadLetter) -> None:
        log.warning("Dead letter", cause=letter.code, detail=letter.detail[:200], agent=letter.agent,
                    partition=letter.record.partition, offset=letter.record.offset)  # fmt: skip
        headers = headers_of(letter)
        try:
            await self._send(letter.record.key, letter.record.value or b"", headers)
        except MessageSizeTooLargeError:
            await self._send(None, b"", headers[-len(OUR_HEADERS) :])
