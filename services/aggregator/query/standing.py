"""How far the platform knows agents: their last report, and the highest restatement of each family."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis.errors import UnavailableError
from contracts.catalogue import CATALOGUE
from contracts.fleet import AgentStanding, FamilyStanding, StandingQuestion
from services.aggregator.bundle import WIDE_RECORD
from services.aggregator.query.errors import MalformedQuestionError
from services.aggregator.query.standing_store import read_agent_numbers, read_last_reports, read_records
from services.aggregator.query.store import snapshot

AT_ONCE = 50
"""Establishments whose records are held in memory at once: some ten megabytes where everything was restated."""
_FAMILIES = {family.number: family.id for family in CATALOGUE.families.values()}


def standing_router(engine: AsyncEngine) -> APIRouter:
    """`/internal/standing`; app.py guards it with the internal token."""
    api = APIRouter(prefix="/internal")

    @api.post("/standing")
    async def standing(request: Request) -> Response:
        try:
            asked = msgspec.json.decode(await request.body(), type=StandingQuestion)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedQuestionError(str(error)) from error
        answer = await standing_of(engine, asked)
        return Response(msgspec.json.encode(answer), media_type="application/json")

    return api


async def standing_of(engine: AsyncEngine, asked: StandingQuestion) -> list[AgentStanding]:
    """One entry per agent asked about, in their order; what nobody knows stands empty."""
    try:
        async with engine.connect() as connection, connection.begin():
            await snapshot(connection)
            last = await read_last_reports(connection, asked.agents)
            known = await _restatements(connection, asked) if asked.uais else {}
    except (DBAPIError, PoolTimeoutError, OSError) as error:
        raise UnavailableError from error
    return [AgentStanding(agent, last.get(agent), known.get(agent, [])) for agent in asked.agents]


async def _restatements(connection: AsyncConnection, asked: StandingQuestion) -> dict[str, list[FamilyStanding]]:
    """By agent; some establishments at a time, since all their periods may have been restated."""
    numbers = await read_agent_numbers(connection, asked.agents)
    known: defaultdict[str, list[FamilyStanding]] = defaultdict(list)
    for uais in batched(asked.uais, AT_ONCE):
        for uai, records in await read_records(connection, uais):
            for number, family, restatement in highest(records):
                if number in numbers:
                    known[numbers[number]].append(FamilyStanding(uai, _FAMILIES[family], restatement))
    return known


def highest(records: bytes) -> list[tuple[int, int, int]]:
    """Agent's number, number of the family and its highest restatement, of an establishment's wide records."""
    reports = np.frombuffer(records, WIDE_RECORD)
    reports = reports[reports["restatement"] > 0]
    kinds, places = np.unique(reports[["agent", "family"]], return_inverse=True)
    greatest = np.zeros(kinds.size, np.uint64)
    np.maximum.at(greatest, places, reports["restatement"])
    return [(agent, family, most) for (agent, family), most in zip(kinds.tolist(), greatest.tolist(), strict=True)]


def batched(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
