"""How long a source was observed (rules.md 3): from its first line to where the agent stood, or between heartbeats. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from contracts.periods import bounds

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

APART = 7200.0
"""Seconds: two heartbeats at most this far apart vouch for what is between them."""

Span = tuple[float, float]


class Heartbeats:
    """Instants of heartbeats, kept as the spans that they cover, so that years of them take no room."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self.spans = sorted(spans)

    def add(self, at: float) -> None:
        """Take one heartbeat; the order in which they come does not matter."""
        left = bisect_left(self.spans, at - APART, key=lambda span: span[1])
        right = bisect_right(self.spans, at + APART, key=lambda span: span[0])
        touched = self.spans[left:right]
        first = min([at, *(span[0] for span in touched)])
        last = max([at, *(span[1] for span in touched)])
        self.spans[left:right] = [(first, last)]


def observed(earliest: float | None, stood: float | None, beats: list[Span]) -> list[Span]:
    """Spans observed by someone who saw a first line at `earliest` and stood at the end at `stood`."""
    if earliest is None or stood is None:
        return []
    spans = [(earliest, beats[0][0]), *beats] if beats else [(earliest, stood)]
    if beats and beats[-1][1] < stood <= beats[-1][1] + APART:
        spans.append((beats[-1][1], stood))
    return [(start, min(end, stood)) for start, end in spans if start < min(end, stood)]


def minutes_of_day(day: date, zone: str, spans: list[Span]) -> dict[int, int]:
    """Observed minutes by index of the hour in a local day; half a minute goes up, hours without any are absent."""
    start, end = (instant.timestamp() for instant in bounds("day", day, zone))
    seconds: dict[int, float] = {}
    for left, right in spans:
        _add_span(seconds, max(left, start) - start, min(right, end) - start)
    minutes = {index: int(total / 60 + 0.5) for index, total in seconds.items()}
    return {index: count for index, count in minutes.items() if count}


def _add_span(seconds: dict[int, float], left: float, right: float) -> None:
    if left >= right:
        return
    for index in range(int(left // 3600), int(-(-right // 3600))):
        inside = min(right, (index + 1) * 3600) - max(left, index * 3600)
        seconds[index] = seconds.get(index, 0.0) + inside
