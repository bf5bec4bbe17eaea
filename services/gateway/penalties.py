"""Who guesses waits: after a few refused attempts a network waits longer before each next one. Never for good."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.gateway.errors import TooManyAttemptsError

FREE_ATTEMPTS = 5
"""A code is typed by hand: some mistakes cost nothing."""
FORGOTTEN_SECONDS = 900
"""After a quarter of an hour without attempts a network begins anew; nobody waits longer than that either."""
IPV4_NETWORK, IPV6_NETWORK = 24, 48
"""Bits that one site's addresses share."""
MAX_IN_MEMORY = 10_000


def network_of(address: str | None) -> str:
    """The network of a client's address; whatever is none shares one."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    bits = IPV4_NETWORK if found.version == 4 else IPV6_NETWORK  # noqa: PLR2004 - IP's own version numbers
    return str(ipaddress.ip_network((found, bits), strict=False))


def delay_after(refused: int) -> int:
    """Seconds to wait after so many refused attempts: none, then 1, 2, 4… up to FORGOTTEN_SECONDS."""
    beyond = refused - FREE_ATTEMPTS
    return 0 if beyond < 0 else min(2 ** min(beyond, 20), FORGOTTEN_SECONDS)


class Penalties:
    """Counted in Redis, in memory while Redis is away. An attempt while waiting is refused unseen and does not lengthen the wait."""

    def __init__(self, redis: Redis, now: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._now = now
        self._memory: OrderedDict[str, tuple[int, float]] = OrderedDict()

    async def check(self, network: str) -> None:
        """`TooManyAttemptsError` tells when this network may try again."""
        refused, last = await self._known(network)
        wait = last + delay_after(refused) - self._now()
        if wait > 0:
            raise TooManyAttemptsError(retry_after=max(1, round(wait)))

    async def note(self, network: str) -> None:
        """An attempt of this network was refused."""
        name, now = _name(network), self._now()
        try:
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.hincrby(name, "refused", 1)
                pipeline.hset(name, "last", str(now))
                pipeline.expire(name, 2 * FORGOTTEN_SECONDS)
                await pipeline.execute()
        except RedisError:
            self._note_here(network, now)

    async def _known(self, network: str) -> tuple[int, float]:
        try:
            refused, last = await self._redis.hmget(_name(network), ["refused", "last"])
        except RedisError:
            return self._memory.get(network, (0, 0.0))
        return int(refused or 0), float(last or 0)

    def _note_here(self, network: str, now: float) -> None:
        refused, last = self._memory.pop(network, (0, now))
        self._memory[network] = (refused + 1 if now - last < 2 * FORGOTTEN_SECONDS else 1, now)
        if len(self._memory) > MAX_IN_MEMORY:
            self._memory.popitem(last=False)


def _name(network: str) -> str:
    return f"gateway:refused:{network}"
