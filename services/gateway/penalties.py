"""Who guesses waits: after a few refused attempts a network waits longer before each next one. Never for good."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

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


_COUNT = """
local known = redis.call('HMGET', KEYS[1], 'refused', 'last')
local refused, last = tonumber(known[1] or 0), known[2] or '0'
local beyond, wait = refused - tonumber(ARGV[2]), 0
if beyond >= 0 then
    wait = math.min(2 ^ math.min(beyond, 20), tonumber(ARGV[3])) - (tonumber(ARGV[1]) - tonumber(last))
end
if wait <= 0 then
    redis.call('HSET', KEYS[1], 'refused', refused + 1, 'last', ARGV[1])
    redis.call('EXPIRE', KEYS[1], 2 * ARGV[3])
end
return {tostring(wait), last}
"""
"""Looks and counts in one go; the delay is that of `delay_after`. Returns the wait (none: not over 0) and the attempt before."""
_UNCOUNT = """
if redis.call('HINCRBY', KEYS[1], 'refused', -1) <= 0 then
    redis.call('DEL', KEYS[1])
elseif redis.call('HGET', KEYS[1], 'last') == ARGV[1] then
    redis.call('HSET', KEYS[1], 'last', ARGV[2])
end
"""


class Attempt(NamedTuple):
    """One attempt of a network, when it was counted, and when the one before was."""

    network: str
    at: float
    before: float


class Penalties:
    """Counted in Redis, in memory while Redis is away. An attempt while waiting is refused unseen and does not lengthen the wait."""

    def __init__(self, redis: Redis, now: Callable[[], float] = time.time) -> None:
        self._count = redis.register_script(_COUNT)
        self._uncount = redis.register_script(_UNCOUNT)
        self._now = now
        self._memory: OrderedDict[str, tuple[int, float]] = OrderedDict()

    async def count(self, network: str) -> Attempt:
        """Count an attempt as refused before anything is looked at, so that guesses made at once do not all pass.

        `TooManyAttemptsError` tells when this network may try again.
        """
        now = self._now()
        try:
            told = await self._count([_name(network)], [repr(now), FREE_ATTEMPTS, FORGOTTEN_SECONDS])
            wait, before = map(float, told)
        except RedisError:
            wait, before = self._count_here(network, now)
        if wait > 0:
            raise TooManyAttemptsError(retry_after=max(1, round(wait)))
        return Attempt(network, now, before)

    async def forgive(self, attempt: Attempt) -> None:
        """Take an attempt back that was no mistake; those of others stay."""
        try:
            await self._uncount([_name(attempt.network)], [repr(attempt.at), repr(attempt.before)])
        except RedisError:
            refused, last = self._memory.get(attempt.network, (0, 0.0))
            if refused:
                self._memory[attempt.network] = refused - 1, attempt.before if last == attempt.at else last

    def _count_here(self, network: str, now: float) -> tuple[float, float]:
        refused, before = self._memory.pop(network, (0, 0.0))
        if now - before >= 2 * FORGOTTEN_SECONDS:
            refused = 0
        wait = before + delay_after(refused) - now
        self._memory[network] = (refused, before) if wait > 0 else (refused + 1, now)
        if len(self._memory) > MAX_IN_MEMORY:
            self._memory.popitem(last=False)
        return wait, before


def _name(network: str) -> str:
    return f"gateway:refused:{network}"
