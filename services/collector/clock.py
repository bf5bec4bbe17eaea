"""The agent's clock: the machine's, less what it is ahead of the platform's as the last hello found it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from chassis.clock import Clock


@dataclass(frozen=True)
class AgentClock(Clock):
    """`now` is the business instant, corrected, unless it is held still; `real_now` stays the machine's, for timers.

    `ahead`: how far the machine's clock is ahead of the platform's.
    """

    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        return self.fixed.astimezone(UTC) if self.fixed else self.platform_now()

    def platform_now(self) -> datetime:
        """The real instant by the platform's clock: restatements are numbered by it."""
        return self.real_now() - self.ahead

    def business(self, instant: datetime) -> datetime:
        """A real instant on the business calendar: itself, unless that calendar is held still."""
        return self.now() if self.fixed else instant

    def corrected(self, ahead: timedelta) -> Self:
        return replace(self, ahead=ahead)


def skew(sent: datetime, received: datetime, server: datetime) -> timedelta:
    """How far the clock that read `sent` and `received` is ahead of the one that read `server` in between.

    What the journey there and back may explain is none; else whole seconds, so that it does not tremble from hello to hello.
    """
    ahead = (sent + (received - sent) / 2) - server
    if abs(ahead) <= (received - sent) / 2 + timedelta(seconds=1):
        return timedelta(0)
    return timedelta(seconds=round(ahead.total_seconds()))
