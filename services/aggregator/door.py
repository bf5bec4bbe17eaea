"""The small internal door: AsyncAPI for everybody on the machine, counters for who bears the internal token."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Protocol

import asyncpg
from fastapi import APIRouter
from faststream.kafka import KafkaBroker

from chassis.errors import UnavailableError
from services.aggregator import metrics, store
from services.aggregator.asyncapi import document
from services.aggregator.outgoing import Outgoing


class Running(Protocol):
    """What the door shows of the process behind it."""

    broker: KafkaBroker | None
    outgoing: Outgoing | None

    @property
    def pool(self) -> asyncpg.Pool: ...


def public_router(running: Running) -> APIRouter:
    """`/asyncapi.json`."""
    router = APIRouter()

    @router.get("/asyncapi.json")
    async def asyncapi() -> dict[str, Any]:
        """The messages this service reads and writes, by FastStream."""
        if running.broker is None:
            raise UnavailableError("the service is starting")
        return document(running.broker)

    return router


def internal_router(running: Running) -> APIRouter:
    """`/internal/counters`."""
    router = APIRouter(prefix="/internal")

    @router.get("/counters")
    async def counters() -> dict[str, Any]:
        """What became of reports, over all replicas: totals, by cause, by agent; and who is in quarantine here."""
        try:
            async with running.pool.acquire(timeout=5) as connection:
                outcomes = await store.read_outcomes(connection)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise UnavailableError(repr(error)) from error
        quarantined = running.outgoing.letters.limits.quarantined() if running.outgoing else {}
        return {**summary(outcomes), "quarantined": quarantined}

    return router


def summary(outcomes: list[tuple[str, str, str, int]]) -> dict[str, Any]:
    """Counters by outcome and cause, and the same for each agent."""
    total: defaultdict[str, int] = defaultdict(int)
    causes: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    agents: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for agent, outcome, cause, count in outcomes:
        total[outcome] += count
        if cause:
            causes[outcome][cause] += count
        agents[agent][f"{outcome}.{cause}" if cause else outcome] = count
    return {"total": total, "causes": causes, "agents": agents, "meanings": metrics.MEANINGS}
