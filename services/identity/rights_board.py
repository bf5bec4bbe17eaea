"""The version of rights, where every reader sees it at once: a key in Redis that only rises and dies unless it is renewed."""

from __future__ import annotations

from redis.asyncio import Redis

from contracts.rights_version import LEASE_SECONDS, RIGHTS_VERSION_KEY

TIMEOUT_SECONDS = 2.0
"""Redis answers in a millisecond or is away; nobody waits for it."""
_RAISE = """
local known = tonumber(redis.call('get', KEYS[1]) or '-1')
local given = tonumber(ARGV[1])
if known > given then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""
"""A slower writer never lowers the version. After a restored database the higher key of before is not renewed and dies by itself."""


class RightsBoard:
    """Writes the version for all to compare."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._raise = redis.register_script(_RAISE)

    @classmethod
    def connect(cls, url: str) -> RightsBoard:
        """A board on the Redis of that URL; nothing is sent before it is used."""
        return cls(Redis.from_url(url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS))

    async def announce(self, version: int) -> bool:
        """Show `version` and renew its lease; False when a higher one is shown. Raises `redis.RedisError` when Redis is away."""
        return bool(await self._raise(keys=[RIGHTS_VERSION_KEY], args=[version, LEASE_SECONDS]))

    async def close(self) -> None:
        await self._redis.aclose()
