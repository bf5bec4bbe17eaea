"""The version of rights as it stands now: read in Redis, asked of the identity service where Redis does not tell."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.rights_version import RIGHTS_VERSION_KEY
from services.gateway.upstream import IdentityClient


class RightsWatch:
    """Never remembers: what was true a moment ago gives no right now."""

    def __init__(self, redis: Redis, identity: IdentityClient) -> None:
        self._redis = redis
        self._identity = identity

    async def version(self) -> int:
        """The shown version; `UnavailableError` when neither Redis nor the identity service tells it."""
        try:
            shown = await self._redis.get(RIGHTS_VERSION_KEY)
        except RedisError:
            shown = None
        return int(shown) if shown is not None else await self._identity.version()
