"""How much one token may ask: counted per minute in Redis, in memory while Redis is away."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.gateway.errors import TooManyRequestsError

_WINDOW_SECONDS = 60


class RateLimit:
    """A fixed window: at the turn of a minute a reader may ask twice the limit within two minutes, which hurts nobody.

    In memory each replica counts for itself, so that n replicas let n times as much through while Redis is away.
    """

    def __init__(self, redis: Redis, per_minute: int, now: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._per_minute = per_minute
        self._now = now
        self._memory: Counter[str] = Counter()
        self._memory_window = 0

    async def count(self, key: str) -> None:
        """Count one request of a reader; `TooManyRequestsError` tells when to come back."""
        now = self._now()
        window = int(now // _WINDOW_SECONDS)
        if await self._counted(key, window) > self._per_minute:
            wait = max(1, round(_WINDOW_SECONDS * (window + 1) - now))
            raise TooManyRequestsError(f"at most {self._per_minute} requests a minute", retry_after=wait)

    async def _counted(self, key: str, window: int) -> int:
        name = f"gateway:rate:{key}:{window}"
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.incr(name)
                pipeline.expire(name, 2 * _WINDOW_SECONDS)
                count, _ = await pipeline.execute()
            return int(count)
        except RedisError:
            return self._counted_here(key, window)

    def _counted_here(self, key: str, window: int) -> int:
        if window != self._memory_window:
            self._memory.clear()
            self._memory_window = window
        self._memory[key] += 1
        return self._memory[key]
