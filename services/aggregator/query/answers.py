"""Answers kept as they were sent: what would be made of the same question, at the same time, of the same sheets."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import msgspec

from services.aggregator.query.shelf import Shelf

ROOM = 64 << 20
"""Bytes of answers kept; a table of a thousand establishments takes half a megabyte."""
Versions = tuple[int, ...]
_encode = msgspec.json.Encoder().encode


class KeptAnswers:
    """The last answers given. One is given again only for the versions, read for this very question, that it was made of."""

    def __init__(self, room: int = ROOM) -> None:
        self._shelf: Shelf[Hashable, tuple[Versions, msgspec.Raw]] = Shelf(room)

    def give(self, key: Hashable, versions: Versions, make: Callable[[], object]) -> msgspec.Raw:
        """An answer's JSON; `key` holds all that it depends on but what was read."""
        known = self._shelf.get(key)
        if known and known[0] == versions:
            return known[1]
        body = _encode(make())
        answer = msgspec.Raw(body)
        self._shelf.put(key, (versions, answer), len(body))
        return answer
