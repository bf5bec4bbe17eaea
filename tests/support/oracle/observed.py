"""Which minutes of a journal were observed (rules.md 3), and what that makes of a window (rules.md 8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.support.oracle.days import Window, days_between, hours_of, midnight

if TYPE_CHECKING:
    from tests.support.oracle.journal import Journal
    from tests.support.oracle.territory import Establishment

HOUR = timedelta(hours=1)
RECENT = timedelta(hours=2)
BETWEEN_HEARTBEATS = timedelta(hours=2)

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Quality:
    """What observation says of a window: its state (`nd na partial` or nothing) and the observed share of it."""

    state: str | None
    share: float | None = None


def observed_spans(journal: Journal, now: datetime) -> list[Span]:
    """From the earliest accepted line to now; from the first heartbeat on, only between close heartbeats.

    Doubt: heartbeats ahead of the clock (up to 24 h are accepted) observe nothing after now.
    """
    if journal.earliest is None:
        return []
    if not journal.heartbeats:
        return [(journal.earliest, now)] if journal.earliest < now else []
    beats = sorted(journal.heartbeats)
    if beats[-1] < now:
        beats.append(now)
    spans = [(journal.earliest, beats[0])]
    spans += [(one, other) for one, other in pairwise(beats) if other - one <= BETWEEN_HEARTBEATS]
    return [(start, min(end, now)) for start, end in spans if start < min(end, now)]


def minutes_by_hour(establishment: Establishment, spans: list[Span]) -> dict[datetime, int]:
    """Observed minutes of each local hour, by the UTC instant at which it starts; hours without any are absent."""
    seconds: dict[datetime, float] = {}
    for start, end in spans:
        first, last = (instant.astimezone(establishment.zone).date() for instant in (start, end))
        for hour in (hour for day in days_between(first, last) for hour in hours_of(day, establishment.zone)):
            inside = (min(end, hour + HOUR) - max(start, hour)).total_seconds()
            if inside > 0:
                seconds[hour] = seconds.get(hour, 0) + inside
    # Doubt: half a minute goes up.
    return {hour: minutes for hour, total in seconds.items() if (minutes := int(total / 60 + 0.5))}


def quality_of_hours(minutes: dict[datetime, int], hours: list[datetime], now: datetime, *, tolerance: int) -> Quality:
    """`nd` without any observed minute; `partial` when more than `tolerance` hundredths of the past hours were missed."""
    if not any(minutes.get(hour, 0) for hour in hours):
        return Quality("nd")
    past = [hour for hour in hours if now - (hour + HOUR) > RECENT]
    due, seen = 60 * len(past), sum(minutes.get(hour, 0) for hour in past)
    partial = (due - seen) * 100 > tolerance * due
    return Quality("partial" if partial else None, seen / due if due else None)


def quality_of_window(
    establishment: Establishment, minutes: dict[datetime, int], window: Window, now: datetime
) -> Quality:
    days = [day for day in days_between(window.first, window.last) if establishment.open_on(day)]
    if not days:
        return Quality("na")
    hours = [hour for day in days for hour in hours_of(day, establishment.zone)]
    found = quality_of_hours(minutes, hours, now, tolerance=0 if window.grain == "day" else 1)
    still_open_here = window.complete and now < midnight(window.period[1], establishment.zone)
    if found.state is None and still_open_here:
        return Quality("partial", found.share)
    return found
