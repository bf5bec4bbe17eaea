"""Hello: the agent says that it is there, learns what to obey, and remembers it with its state."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import structlog

from contracts.catalogue import CATALOGUE
from contracts.fleet import Hello
from services.collector.clock import skew
from services.collector.errors import KeyRefusedError
from services.collector.knowledge import Knowledge
from services.collector.orders import ALLOWED_SKEW
from services.collector.version import agent_version

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from contracts.fleet import HelloAnswer
    from services.collector.clock import AgentClock
    from services.collector.config import AgentSettings
    from services.collector.gateway import Gateway
    from services.collector.keys import KeyRing
    from services.collector.store import Store

_log = structlog.get_logger(__name__)
_encode = msgspec.json.Encoder().encode


class Situation(NamedTuple):
    """What a hello tells of the agent's state: its name, periods to publish, what stands in the way of sources."""

    state: str
    waiting: int
    problems: int


class Heard(NamedTuple):
    """An answer, how far our clock is ahead of the one that gave it, and when that was."""

    answer: HelloAnswer
    ahead: timedelta
    at: datetime


class Greeter:
    """Says hello for one agent, and replaces its key once the platform knows the next one."""

    def __init__(self, settings: AgentSettings, gateway: Gateway, keys: KeyRing) -> None:
        self._settings, self._gateway, self._keys = settings, gateway, keys
        self._clock: AgentClock = settings.clock
        self.version = agent_version()

    async def greet(self, situation: Situation) -> Heard:
        """One hello; `NotDeliveredError` when it got no answer, `KeyRefusedError` when no key of ours is in force."""
        self._rotate_when_old()
        announced = self._keys.next_public
        try:
            heard = await self._ask(situation, announced)
        except KeyRefusedError:
            if not announced:
                raise
            heard = await self._ask_with_next(
                situation
            )  # the answer that made it valid was lost, and the old one has ended
        if announced:
            self._keys.switch()
            _log.info("key_replaced", file=str(self._keys.path), old_valid_until=str(heard.answer.key_until))
        return heard

    def _rotate_when_old(self) -> None:
        days = self._settings.rotate_key_days
        if days and self._keys.is_older_than(timedelta(days=days), self._clock.real_now()):
            self._keys.prepare_next()

    async def _ask(self, situation: Situation, announced: str) -> Heard:
        body = self._hello(situation, announced)
        return await self._send(body, self._keys.sign(body))

    async def _ask_with_next(self, situation: Situation) -> Heard:
        body = self._hello(situation, "")
        return await self._send(body, self._keys.sign_with_next(body))

    def _hello(self, situation: Situation, announced: str) -> bytes:
        return _encode(
            Hello(
                agent=self._settings.agent,
                version=self.version,
                catalogue=CATALOGUE.version,
                state=situation.state,
                sent_at=self._clock.real_now(),
                waiting=situation.waiting,
                problems=situation.problems,
                next_public_key=announced,
            )
        )

    async def _send(self, body: bytes, signature: bytes) -> Heard:
        sent = self._clock.real_now()
        answer = await self._gateway.hello(self._settings.agent, body, signature)
        received = self._clock.real_now()
        return Heard(answer, skew(sent, received, answer.server_time), received)


# --- on the agent's state


def situation_of(store: Store, path: Path) -> Situation:
    """What to say of the state in `path`; opens its transaction."""
    with store.transaction():
        return Situation(store.memory.name(path), store.waiting(), store.problems.number())


def learn(store: Store, heard: Heard) -> Knowledge:
    """Remember an answer and obey what it asks of the state, all in one transaction; returns what is known from now on."""
    before = store.memory.knowledge()
    resend = heard.answer.resend
    is_new = resend is not None and resend.id > before.resent
    known = msgspec.structs.replace(
        before,
        answer=heard.answer,
        heard_at=heard.at.timestamp(),
        ahead=heard.ahead.total_seconds(),
        resent=resend.id if resend and is_new else before.resent,
        failure="",
        failed_since=None,
    )
    with store.transaction():
        store.memory.save(known)
        if resend and is_new:
            store.restatements.mark_all(resend.since)
            _log.info("resending", since=resend.since.isoformat(), request=resend.id)
    return known


def fail(store: Store, detail: str, now: datetime) -> None:
    """Remember that the platform could not be reached, and since when."""
    before = store.memory.knowledge()
    since = before.failed_since if before.failure else now.timestamp()
    with store.transaction():
        store.memory.save(msgspec.structs.replace(before, failure=detail, failed_since=since))


def warn(before: Knowledge, known: Knowledge, remarks: Iterable[str], told: Iterable[str]) -> None:
    """Say what changed: once, not at every hello."""
    if abs(known.ahead - before.ahead) >= ALLOWED_SKEW.total_seconds():
        _log.warning(
            "clock_off", seconds=known.ahead, todo="set this machine's clock by NTP; it is corrected meanwhile"
        )
    for remark in sorted(set(remarks) - set(told)):
        _log.warning("platform_says", remark=remark)
