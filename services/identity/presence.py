"""What hellos tell: who was heard when, whether a hello is an old one played again, what an operator should look at. Pure.

A hello carries no number, only the agent's own clock. A copy of an agent whose clock is over TOLERANCE behind the other's is
therefore taken for a replay and not flagged; it is once its clock is right.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime, timedelta

import msgspec

from contracts.fleet import AgentStatus, Hello

COALESCING = timedelta(minutes=1)
"""A hello that says nothing new is written at most this often: thousands of agents say hello every few minutes."""
TOLERANCE = timedelta(minutes=10)
"""A hello sent longer ago than this by the platform's clock comes from a wrong clock, or is played again."""
ALLOWED_SKEW = timedelta(minutes=5)
"""How far an agent's clock may be off before it is flagged: windows follow local hours, which five minutes move by a twelfth."""
SHORTEST_COPY_WINDOW = timedelta(minutes=10)
SHORTEST_SILENCE = timedelta(minutes=15)
_NUMBERS = re.compile(r"\s*v?([0-9]+(?:\.[0-9]+)*)", re.ASCII)


class Presence(msgspec.Struct, frozen=True):
    """The last hello kept of an agent. `other_state_at`: when another state file last spoke in its name."""

    agent: str
    at: datetime
    sent_at: datetime
    version: str
    catalogue: int
    state: str
    waiting: int
    problems: int
    other_state_at: datetime | None = None

    @property
    def skew(self) -> timedelta:
        """How far the agent's clock is ahead."""
        return self.sent_at - self.at


class Expectations(msgspec.Struct, frozen=True):
    """What the platform asks of agents."""

    cadence: timedelta
    minimum_version: str

    def silent_before(self, now: datetime) -> datetime:
        """Who was not heard since is silent: three cadences may be missed, and a restart of a server."""
        return now - max(3 * self.cadence, SHORTEST_SILENCE)


def heard(known: Presence | None, hello: Hello, now: datetime) -> Presence | None:
    """What is to be kept after a hello; None where what is known stands: nothing new, or an old hello played again."""
    if known is not None and is_replay(known, hello.sent_at, now):
        return None
    fresh = Presence(
        hello.agent, now, hello.sent_at, hello.version, hello.catalogue, hello.state, hello.waiting, hello.problems,
        _other_state_at(known, hello.state),
    )  # fmt: skip
    return None if known is not None and _says_nothing_new(known, fresh) else fresh


def is_replay(known: Presence, sent_at: datetime, now: datetime) -> bool:
    """Whether a hello sent at `sent_at` (agent's clock) is one that was heard already, recorded or not.

    Hellos within COALESCING of the recorded one may have passed unrecorded. An agent whose clock was ahead and has been set right
    sends earlier instants than before: those are taken where they agree with our clock.
    """
    timely = abs(sent_at - now) <= TOLERANCE
    if timely:
        return sent_at <= known.sent_at <= now + TOLERANCE
    return sent_at <= known.sent_at + COALESCING


def _other_state_at(known: Presence | None, state: str) -> datetime | None:
    if known is None:
        return None
    return known.other_state_at if known.state == state else known.at


def _says_nothing_new(known: Presence, fresh: Presence) -> bool:
    """Instants apart, and a clock that only drifts."""
    same = msgspec.structs.replace(fresh, at=known.at, sent_at=known.sent_at) == known
    return same and fresh.at - known.at < COALESCING and abs(fresh.skew - known.skew) < COALESCING


def copied(presence: Presence | None, now: datetime, cadence: timedelta) -> bool:
    """Whether another state file spoke lately. An agent that starts afresh is flagged until its old file has been quiet long enough."""
    if presence is None or presence.other_state_at is None:
        return False
    return now - presence.other_state_at <= max(2 * cadence, SHORTEST_COPY_WINDOW)


def status_of(
    agent: str,
    uais: Collection[str],
    presence: Presence | None,
    now: datetime,
    expected: Expectations,
    *,
    revoked: bool,
) -> AgentStatus:
    """An agent as its hellos show it."""
    bare = AgentStatus(agent, sorted(uais), revoked=revoked)
    if presence is None:
        return bare.with_report(None, expected.silent_before(now))
    told = msgspec.structs.replace(
        bare, version=presence.version, last_hello=presence.at, skew_seconds=presence.skew.total_seconds(),
        waiting=presence.waiting, problems=presence.problems,
        too_old=is_older(presence.version, expected.minimum_version),
        skewed=abs(presence.skew) > ALLOWED_SKEW,
        copied=copied(presence, now, expected.cadence),
    )  # fmt: skip
    return told.with_report(None, expected.silent_before(now))


def is_older(version: str, minimum: str) -> bool:
    """Whether a version such as 0.9.2 comes before another; what follows the numbers does not count, a text without any is oldest."""
    return _numbers(version) < _numbers(minimum)


def _numbers(version: str) -> list[int]:
    match = _NUMBERS.match(version[:64])
    numbers = [int(number) for number in match[1].split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers
