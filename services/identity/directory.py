"""What the platform asks the registry: its snapshot, its version, the scope of a token. Reads only."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import msgspec
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.clock import Clock
from contracts.fleet import KeyRing
from contracts.registry import Registry
from contracts.scope import Scope
from services.identity.errors import RefusedTokenError
from services.identity.scope import Rights, scope_of
from services.identity.store import RegistryStore


class TokenScope(msgspec.Struct, frozen=True):
    """A token's scope, and the instant (real clock) after which the token itself ends."""

    scope: Scope
    expires_at: datetime | None


class Directory:
    """Answers from one consistent snapshot each."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine.execution_options(isolation_level="REPEATABLE READ")
        self._clock = clock

    async def version(self) -> int:
        async with self._snapshot() as store:
            return await store.version()

    async def is_ready(self) -> bool:
        """Whether the registry's database answers."""
        with suppress(SQLAlchemyError, OSError):
            await self.version()
            return True
        return False

    async def key_ring(self) -> KeyRing:
        """The agents' keys, past and to come included."""
        async with self._snapshot() as store:
            return KeyRing(await store.version(), await store.keys())

    async def registry(self) -> Registry:
        """Everything the platform obeys."""
        async with self._snapshot() as store:
            return Registry(
                version=await store.version(),
                territories=await store.territories(),
                establishments=await store.establishments(),
                conventions=[row.convention for row in await store.conventions()],
                keys=await store.keys(),
                grants=await store.grants(),
            )

    async def scope_of_token(self, token: str) -> TokenScope:
        """What the bearer may see now; `RefusedTokenError`, and nothing more, for an unknown, expired or revoked token."""
        async with self._snapshot() as store:
            row = await store.token(digest(token))
            if row is None or not row.usable(self._clock.real_now()):
                raise RefusedTokenError
            (territory,) = await store.territories([row.territory])
            now = self._clock.now()
            members, agreed = await store.members(territory.id), await store.agreed(territory.id, now)
            scope = scope_of(Rights(territory), members, agreed, await store.version(), now)
            return TokenScope(scope, row.expires_at)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[RegistryStore]:
        async with self._engine.connect() as connection:
            yield RegistryStore(connection)


def digest(token: str) -> bytes:
    """What is kept of a token. Lone surrogates, which no token has, hash like anything else."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
