"""How far the platform knows agents: their last report, and the highest restatement of each family."""

from __future__ import annotations

from collections import defaultdict

import msgspec
from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.errors import UnavailableError
from contracts.catalogue import CATALOGUE
from contracts.fleet import AgentStanding, FamilyStanding, StandingQuestion
from services.aggregator.query.errors import MalformedQuestionError
from services.aggregator.query.standing_store import read_last_reports, read_restatements
from services.aggregator.query.store import snapshot

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
            known = await read_restatements(connection, asked.agents, asked.uais)
    except (DBAPIError, PoolTimeoutError, OSError) as error:
        raise UnavailableError from error
    standing: defaultdict[str, list[FamilyStanding]] = defaultdict(list)
    for agent, uai, family, highest in known:
        standing[agent].append(FamilyStanding(uai, _FAMILIES[family], highest))
    return [AgentStanding(agent, last.get(agent), standing[agent]) for agent in asked.agents]
