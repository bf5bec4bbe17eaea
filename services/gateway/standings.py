"""How far the platform knows an agent's restatements, held a while: a hello of a thousand establishments brings 12,000 of them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from contracts.fleet import FamilyStanding
from services.gateway.upstream import QueryClient

HELD_SECONDS = 600.0
"""Who needs it is an agent whose state was lost, and its new state has another name. One restored from an old copy waits this long."""
MAX_HELD = 10_000

_Key = tuple[str, str, tuple[str, ...]]


class Standings:
    """Asked once for an agent, its state file and its establishments."""

    def __init__(self, query: QueryClient, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._query = query
        self._monotonic = monotonic
        self._held: OrderedDict[_Key, tuple[float, list[FamilyStanding]]] = OrderedDict()

    async def of(self, agent: str, state: str, uais: tuple[str, ...]) -> list[FamilyStanding]:
        """The highest restatement of each family of these establishments, as it was known at most HELD_SECONDS ago."""
        key, now = (agent, state, uais), self._monotonic()
        until, standing = self._held.get(key, (0.0, []))
        if now >= until:
            (told,) = await self._query.standing((agent,), uais)
            standing = told.standing
            self._held[key] = now + HELD_SECONDS, standing
            self._held.move_to_end(key)
            if len(self._held) > MAX_HELD:
                self._held.popitem(last=False)
        return standing
