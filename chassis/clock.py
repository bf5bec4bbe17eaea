"""Time as an argument: a business clock that tests and local stacks may hold still, and the real one beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


def parse_instant(text: str) -> datetime:
    """An ISO instant, which must say its offset; ValueError tells what is wrong."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an ISO instant") from None
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} needs an offset")
    return instant


@dataclass(frozen=True)
class Clock:
    """`now` is the business instant (windows, lateness, keeping); timers, tokens and traces use `real_now`.

    `fixed` holds the business instant still (TERRITORIALE_NOW, local stacks only).
    """

    fixed: datetime | None = None

    def now(self) -> datetime:
        """The business instant, aware, in UTC."""
        return self.fixed.astimezone(UTC) if self.fixed else self.real_now()

    def real_now(self) -> datetime:
        """The machine's instant, aware, in UTC."""
        return datetime.now(UTC)
