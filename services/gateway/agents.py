"""Routes of agents, opened by their signatures, and of who looks after them, opened by a token."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from redis.asyncio import Redis

from chassis.errors import NamedError
from contracts.fleet import MAX_FLEET_BYTES, Hello, HelloAnswer
from contracts.usage_reported import MAX_MESSAGE_BYTES
from services.gateway.agent_keys import AgentKeys, agent_of, check_signature, signature_of
from services.gateway.bodies import Room, read_body
from services.gateway.config import GatewaySettings
from services.gateway.errors import AnsweredError
from services.gateway.figures import establishments_asked
from services.gateway.gate import reader_of
from services.gateway.parameters import Parameters
from services.gateway.penalties import Penalties, network_of
from services.gateway.rate import RateLimit
from services.gateway.readers import Reader
from services.gateway.reports import ReportsDesk
from services.gateway.rights_watch import RightsWatch
from services.gateway.standings import Standings
from services.gateway.upstream import IdentityClient, QueryClient

_encode = msgspec.json.Encoder().encode
_decode_hello = msgspec.json.Decoder(Hello).decode
_decode_answer = msgspec.json.Decoder(HelloAnswer).decode


def described(asked: str, answer: str | None) -> dict[str, Any]:
    """How OpenAPI tells of a route whose bytes are signed, and therefore read by nobody before the signature is checked."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{asked}"}}}
    return {"openapi_extra": {"requestBody": {"required": True, "content": content}}, **answered(answer)}


def answered(answer: str | None) -> dict[str, Any]:
    if answer is None:
        return {"status_code": 204, "response_class": Response}
    schema = {"$ref": f"#/components/schemas/{answer}"}
    return {"responses": {200: {"description": "The answer", "content": {"application/json": {"schema": schema}}}}}


class Agents:
    """What agents ask, once their signature is checked against the keys in force."""

    def __init__(
        self, settings: GatewaySettings, redis: Redis, watch: RightsWatch, identity: IdentityClient, query: QueryClient
    ) -> None:
        self._identity = identity
        self._query = query
        self._standings = Standings(query)
        self._keys = AgentKeys(identity, watch, settings.clock)
        self._desk = ReportsDesk(settings.kafka)
        self._room = Room()
        self._penalties = Penalties(redis)
        self._rate = RateLimit(redis, settings.agent_requests_per_minute)

    async def enrol(self, request: Request) -> bytes:
        """Identity judges code and signature; refusals make the network wait. What is not refused by it is no guess."""
        signature = signature_of(request)
        attempt = await self._penalties.count(network_of(request.client.host if request.client else None))
        try:
            answer = await self._identity.enrol(await read_body(request, MAX_FLEET_BYTES, self._room), signature)
        except AnsweredError:
            raise
        except NamedError:
            await self._penalties.forgive(attempt)
            raise
        await self._penalties.forgive(attempt)
        return answer

    async def hello(self, request: Request) -> bytes:
        """Identity's answer, and how far the platform knows the agent's restatements."""
        agent, signature, body = await self._signed(request, MAX_FLEET_BYTES)
        answer = _decode_answer(await self._identity.hello(body, agent, signature))
        uais = tuple(each.uai for each in answer.establishments)
        standing = await self._standings.of(agent, _decode_hello(body).state, uais)
        return _encode(msgspec.structs.replace(answer, standing=standing))

    async def report(self, request: Request) -> None:
        agent, signature, body = await self._signed(request, MAX_MESSAGE_BYTES)
        await self._desk.put(body, agent, signature, request.headers.get("traceparent", ""))

    async def _signed(self, request: Request, limit: int) -> tuple[str, str, bytes]:
        """Agent, signature and body of a request; only what is signed counts against an agent.

        Until the signature holds all names are treated alike, known or not: whoever tries names learns none.
        """
        agent, signature = agent_of(request), signature_of(request)
        keys = await self._keys.of(agent)
        body = await read_body(request, limit, self._room)
        check_signature(keys, signature, body)
        await self._rate.count(f"agent:{agent}")
        return agent, signature, body

    async def statuses(self, uais: Iterable[str]) -> bytes:
        """How the agents of these establishments are."""
        found = await self._identity.agents(tuple(sorted(uais)))
        told = await self._query.standing(tuple(each.agent for each in found.agents))
        last = {each.agent: each.last_report for each in told}
        return _encode([each.with_report(last.get(each.agent), found.silent_before) for each in found.agents])

    async def close(self) -> None:
        await self._desk.close()


def agents_router(agents: Agents) -> APIRouter:
    """The routes over one gateway's agents."""
    router = APIRouter(tags=["agents"], default_response_class=Response)

    @router.post("/agents/enrol", summary="Enrol an agent", **described("Enrol", "Enrolled"))
    async def enrol(request: Request) -> Response:
        """A code given once and the agent's public key, signed with that key. The same code and key get the answer again."""
        return _json(await agents.enrol(request))

    @router.post("/agents/hello", summary="An agent is there", **described("Hello", "HelloAnswer"))
    async def hello(request: Request) -> Response:
        """Signed with a key in force. Tells time, grants, cadence, what to send again; registers the next key."""
        return _json(await agents.hello(request))

    @router.post("/agents/reports", summary="Reports", **described("UsageReported", None))
    async def reports(request: Request) -> Response:
        """The same bytes as on the topic, signed with a key in force; answered once Kafka has them for good."""
        await agents.report(request)
        return Response(status_code=204)

    @router.get("/agents", summary="How agents are", **answered("AgentList"))
    async def agent_list(
        asked: Annotated[Parameters, Query()], reader: Annotated[Reader, Depends(reader_of)]
    ) -> Response:
        """One entry per agent that has a grant for an establishment asked about, or of the perimeter."""
        return _json(await agents.statuses(establishments_asked(asked, reader) or reader.uais))

    return router


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
