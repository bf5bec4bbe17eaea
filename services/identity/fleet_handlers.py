"""The internal API about agents: what the gateway hands on of theirs, their keys, how they are."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Header, Request, Response

from contracts.fleet import AGENT_HTTP_HEADER, SIGNATURE_HTTP_HEADER, AgentsQuestion
from services.identity.directory import Directory
from services.identity.enrolment import Enrolments
from services.identity.errors import MalformedMessageError
from services.identity.fleet import Fleet

AgentName = Annotated[str, Header(alias=AGENT_HTTP_HEADER)]
Signature = Annotated[str, Header(alias=SIGNATURE_HTTP_HEADER)]


def fleet_router(directory: Directory, enrolments: Enrolments, fleet: Fleet, kafka: str) -> APIRouter:
    """Routes over one registry; `kafka` is where agents may reach it, empty where they may not."""
    router = APIRouter(prefix="/internal")

    @router.post("/enrolments")
    async def enrol(request: Request, signature: Signature = "") -> Response:
        """The agent's own bytes and signature; who it becomes."""
        return _json(await enrolments.enrol(await request.body(), _bytes(signature), kafka))

    @router.post("/hellos")
    async def hello(request: Request, agent: AgentName = "", signature: Signature = "") -> Response:
        """The agent's own bytes and signature; what it is to obey, standings apart."""
        return _json(await fleet.hello(await request.body(), agent, _bytes(signature)))

    @router.get("/keys")
    async def keys() -> Response:
        """Every agent's keys, to check reports with."""
        return _json(await directory.key_ring())

    @router.post("/agents")
    async def agents(request: Request) -> Response:
        """How the agents of some establishments are."""
        return _json(await fleet.statuses((await _question(request)).uais))

    return router


async def _question(request: Request) -> AgentsQuestion:
    try:
        return msgspec.json.decode(await request.body(), type=AgentsQuestion)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedMessageError(str(error)) from error


def _bytes(header: str) -> bytes:
    return header.encode("utf-8", "replace")


def _json(answer: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
