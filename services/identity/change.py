"""Every change of the registry: one transaction that raises the version, then the version shown to all, then the event."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.clock import Clock
from contracts.identity_changed import IdentityChanged, Subject, encode
from contracts.registry import Grant
from contracts.rights_version import LEASE_SECONDS
from services.identity import errors
from services.identity.fleet_store import FleetStore
from services.identity.rights_board import RightsBoard
from services.identity.store import RegistryStore

IDS_PER_EVENT = 1_000
"""Ids of ten characters: an event stays far below a message's limit."""

log = structlog.get_logger()


@dataclass
class Change:
    """One change under way: its transaction's store, its version, and what it touched."""

    store: RegistryStore
    fleet: FleetStore
    version: int
    touched: list[tuple[Subject, Sequence[str]]]

    def touch(self, subject: Subject, ids: Sequence[str]) -> None:
        self.touched.append((subject, ids))

    def messages(self) -> list[tuple[str, bytes]]:
        """Events as they go to the outbox: the first id is the key."""
        return [
            (chunk[0], encode(IdentityChanged(self.version, subject, tuple(chunk))))
            for subject, ids in self.touched
            for start in range(0, len(ids), IDS_PER_EVENT)
            if (chunk := ids[start : start + IDS_PER_EVENT])
        ]


class Changes:
    """Base of what changes the registry. When a method returns, readers obey: the version is committed and shown."""

    def __init__(self, engine: AsyncEngine, board: RightsBoard, clock: Clock) -> None:
        self._engine = engine
        self._board = board
        self._clock = clock

    @asynccontextmanager
    async def _change(self) -> AsyncIterator[Change]:
        async with self._engine.begin() as connection:
            store = RegistryStore(connection)
            change = Change(store, FleetStore(connection), await store.raise_version(), [])
            yield change
            await store.leave_in_outbox(change.messages())
        await self._announce(change.version)

    async def _announce(self, version: int) -> None:
        try:
            await self._board.announce(version)
        except RedisError as error:
            log.warning(
                "the change is kept, but Redis does not answer: readers may obey it only when the shown version's lease ends",
                lease_seconds=LEASE_SECONDS,
                error=str(error),
            )

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[RegistryStore]:
        async with self._engine.connect() as connection:
            yield RegistryStore(connection)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[tuple[RegistryStore, FleetStore]]:
        """Several reads of one instant."""
        engine = self._engine.execution_options(isolation_level="REPEATABLE READ")
        async with engine.connect() as connection:
            yield RegistryStore(connection), FleetStore(connection)


async def put_grants(change: Change, grants: Sequence[Grant]) -> None:
    """Add grants; `GrantOverlapError` where one covers days of another for the same establishment and family."""
    uais = list(dict.fromkeys(grant.uai for grant in grants))
    await change.store.put_grants(grants)
    if taken := await change.store.overlapping_grant(uais):
        days = f"{taken.from_day or '…'} to {taken.to_day or '…'}"
        raise errors.GrantOverlapError(
            f"{taken.family} of {taken.uai}, {days}: days of an earlier grant are among these"
        )
    change.touch("grant", uais)
