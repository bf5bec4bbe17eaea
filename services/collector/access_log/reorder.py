"""The reorder buffer (rules.md 4): what was read, put back in order before it is understood."""

from __future__ import annotations

import math
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from services.collector.access_log.requests import Call, Opening, Page

if TYPE_CHECKING:
    from collections.abc import Iterator

Second = tuple[list[Page], list[Opening], list[Call]]
"""One second's lines: pages, then openings, then calls, each in the order read."""


class ReorderBuffer:
    """Lines by second; `first` is the earliest one held, infinity when there is none.

    A line added behind what has left already leaves at the next asking: it cannot be put back in its place any more.
    """

    def __init__(self, seconds: dict[int, Second]) -> None:
        self.seconds = seconds
        self._order = sorted(seconds)
        self.first: float = min(seconds, default=math.inf)

    def add(self, at: int, line: Page | Opening | Call) -> None:
        second = self.seconds.get(at)
        if second is None:
            second = self.seconds[at] = ([], [], [])
            heappush(self._order, at)
            self.first = self._order[0]
        if isinstance(line, Call):
            second[2].append(line)
        elif isinstance(line, Page):
            second[0].append(line)
        else:
            second[1].append(line)

    def leaving(self, until: float) -> Iterator[tuple[int, Second]]:
        """The seconds up to `until`, in order, each taken out when it is asked for."""
        while self._order and self.first <= until:
            at = heappop(self._order)
            self.first = self._order[0] if self._order else math.inf
            yield at, self.seconds.pop(at)
