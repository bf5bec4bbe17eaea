"""What costs much to make and is asked for again, kept as long as it is used most, within so many bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Kept = TypeVar("Kept")


class Shelf(Generic[Key, Kept]):
    """The last things used. Whoever takes one down checks that it still holds: nothing here expires by itself."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._taken = 0
        self._kept: OrderedDict[Key, tuple[Kept, int]] = OrderedDict()

    @property
    def taken(self) -> int:
        """Bytes kept now, never more than the room."""
        return self._taken

    def get(self, key: Key) -> Kept | None:
        """What is kept under a key."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def put(self, key: Key, kept: Kept, weight: int) -> None:
        """Keep something of so many bytes, in place of what was there; what does not fit at all is not kept."""
        self._drop(key)
        if weight > self._room:
            return
        self._kept[key] = kept, weight
        self._taken += weight
        while self._taken > self._room:
            self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        self._kept.clear()
        self._taken = 0

    def _drop(self, key: Key) -> None:
        self._taken -= self._kept.pop(key, (None, 0))[1]
