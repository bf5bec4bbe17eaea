"""Several files of one source read together, in the order of time (rules.md 4): the fronts of a farm, rotated files."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from services.collector.access_log.stamps import instant_of

LONGEST_RUN = 4096
"""Lines handed over at once, so that a reader may stop between two runs."""


class _Front:
    """A file and the line that it would give next."""

    def __init__(self, name: str, place: int, lines: Iterable[bytes]) -> None:
        self.name, self.place = name, place
        self._lines = iter(lines)
        self.next: bytes | None = None
        self.at: float = -math.inf
        self.advance()

    def advance(self) -> None:
        self.next = next(self._lines, None)
        found = None if self.next is None else instant_of(self.next)
        # A line without an instant follows the one before it at once: it never holds the others up.
        self.at = -math.inf if found is None else found

    def take_any(self) -> list[bytes]:
        """The next lines, whenever they happened."""
        run = [] if self.next is None else [self.next, *islice(self._lines, LONGEST_RUN - 1)]
        self.advance()
        return run

    def take(self, until: tuple[float, int]) -> list[bytes]:
        """The next line, and those after it that are not after `until`."""
        run: list[bytes] = []
        while self.next is not None and len(run) < LONGEST_RUN and (not run or (self.at, self.place) <= until):
            run.append(self.next)
            self.advance()
        return run


def interleave(files: Mapping[str, Iterable[bytes]]) -> Iterator[tuple[str, list[bytes]]]:
    """Runs of lines, each of one file, so that lines come in the order of time as far as each file is in order.

    The order depends only on the lines that stand next in each file, so that reading on from stored positions goes on as if
    nothing had happened. The reader counts as read what was handed over, not what was taken from the iterables.
    """
    fronts = [_Front(name, place, lines) for place, (name, lines) in enumerate(files.items())]
    while fronts := [front for front in fronts if front.next is not None]:
        first, *others = sorted(fronts, key=lambda front: (front.at, front.place))
        yield first.name, first.take((others[0].at, others[0].place)) if others else first.take_any()
