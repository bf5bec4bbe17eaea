"""Keeping: what is past its time is purged by whole school years (hours by whole days), and sheets built from it are frozen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime

import asyncpg
import structlog

from chassis.clock import Clock
from contracts.periods import local_midnight
from services.aggregator import parking_store, store
from services.aggregator.keeping import ENDED_KEPT, PARKED_KEPT, horizon
from services.aggregator.periods import DAY, MONTH, SCHOOL_YEAR
from services.aggregator.registry import Directory, RegistryClient
from services.aggregator.service import with_retries

AT_ONCE = 200
"""Establishments purged in one transaction, so that no flush waits long for their locks."""

log = structlog.get_logger()


class Retention:
    """Run once an hour; running it twice, or in two replicas at once, purges no more than once."""

    def __init__(self, pool: asyncpg.Pool, registry: RegistryClient, clock: Clock) -> None:
        self._pool = pool
        self._registry = registry
        self._clock = clock

    async def run(self) -> None:
        """Purge what is past its time at the business instant."""
        now, directory = self._clock.now(), self._registry.directory
        for zone, uais in _by_zone(directory).items():
            for chunk in _chunks(uais):
                await with_retries(lambda zone=zone, chunk=chunk: self._purge(chunk, zone, now))  # type: ignore[misc]
        for chunk in _chunks(ended(directory, now) if self._registry.reached else []):
            await with_retries(lambda chunk=chunk: self._forget(chunk))  # type: ignore[misc]
        async with self._pool.acquire() as connection:
            await parking_store.purge_parked(connection, self._clock.real_now() - PARKED_KEPT)

    async def _purge(self, uais: Sequence[str], zone: str, now: datetime) -> None:
        """School-year reports and sheets stay; a year is frozen once its days, later its months, are gone."""
        hour, day, month, _ = (date.fromordinal(floor) for floor in horizon(now, zone).floors)
        async with self._pool.acquire() as connection, connection.transaction():
            await store.lock(connection, uais)
            await store.purge_hours(connection, uais, local_midnight(hour, zone))
            days = await store.purge_grain(connection, uais, DAY, day, freeze=[MONTH, SCHOOL_YEAR])
            months = await store.purge_grain(connection, uais, MONTH, month, freeze=[SCHOOL_YEAR])
        if days or months:
            log.info("Purged", establishments=len(uais), days=days, months=months)

    async def _forget(self, uais: Sequence[str]) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await store.lock(connection, uais)
            if await store.forget(connection, uais):
                log.info("Purged after the end of their conventions", establishments=list(uais))


def ended(directory: Directory, now: datetime) -> list[str]:
    """Establishments whose last convention ended long enough ago; never one of which the registry says nothing."""
    return [
        uai
        for uai, conventions in directory.conventions.items()
        if conventions and all(one.valid_to is not None and one.valid_to <= now - ENDED_KEPT for one in conventions)
    ]


def _by_zone(directory: Directory) -> dict[str, list[str]]:
    zones: defaultdict[str, list[str]] = defaultdict(list)
    for uai, zone in directory.zones.items():
        zones[zone].append(uai)
    return zones


def _chunks(uais: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(uais), AT_ONCE):
        yield uais[first : first + AT_ONCE]
