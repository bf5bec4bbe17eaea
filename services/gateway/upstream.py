"""What stands behind the gateway: the identity service, the query API, Redis. Pooled, with time-outs, unavailable when they are."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any, NoReturn

import httpx
import msgspec
import structlog
from pydantic import SecretStr
from redis.asyncio import Redis

from chassis.errors import UnauthorizedError, UnavailableError
from contracts.fleet import (
    AGENT_HTTP_HEADER,
    SIGNATURE_HTTP_HEADER,
    AgentsQuestion,
    AgentStanding,
    AgentStatuses,
    KeyRing,
    StandingQuestion,
)
from contracts.questions import UNKNOWN_SCOPE, Asked
from services.gateway.errors import AnsweredError

CONNECT_SECONDS = 2.0
"""Both are neighbours: slower means away."""
ANSWER_SECONDS = 30.0
"""As long as a statement may take in the database."""
CONNECTIONS = 50
REDIS_SECONDS = 0.5
"""Redis answers in a millisecond or is away."""
TOLD = 1000
"""Digests remembered as told; one too many costs the sending of a scope, one too few a refusal."""
_REFUSALS = range(400, 500)

log = structlog.get_logger()


def connect(base_url: str, token: SecretStr) -> httpx.AsyncClient:
    """A client of one internal API; nothing is sent before it is used, so the other side may start later."""
    return httpx.AsyncClient(
        base_url=base_url,
        headers={"Authorization": f"Bearer {token.get_secret_value()}"},
        timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
        trust_env=False,
    )


def connect_redis(url: SecretStr) -> Redis:
    """A client of Redis that never makes anybody wait."""
    return Redis.from_url(url.get_secret_value(), socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS)


async def are_ready(*clients: httpx.AsyncClient) -> bool:
    return all(await asyncio.gather(*map(_is_ready, clients)))


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/ready", timeout=CONNECT_SECONDS)).is_success
    except httpx.HTTPError:
        return False


class IdentityClient:
    """Scopes and the version of rights."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def scope(self, token: str) -> httpx.Response:
        """A token's scope as the identity service wrote it; `UnauthorizedError` for a token that is none."""
        response = await _send(self.client, "POST", "/internal/scopes", json={"token": token})
        if response.status_code == httpx.codes.UNAUTHORIZED and _problem(response).get("code") == "refused_token":
            raise UnauthorizedError
        return _expect_success(response)

    async def version(self) -> int:
        response = _expect_success(await _send(self.client, "GET", "/internal/version"))
        return int(msgspec.json.decode(response.content)["version"])

    async def enrol(self, body: bytes, signature: str) -> bytes:
        """An agent's enrolment, handed on as it came; `AnsweredError` passes a refusal on."""
        return await self._hand_on("/internal/enrolments", body, {SIGNATURE_HTTP_HEADER: signature})

    async def hello(self, body: bytes, agent: str, signature: str) -> bytes:
        """An agent's hello, handed on as it came; `AnsweredError` passes a refusal on."""
        headers = {AGENT_HTTP_HEADER: agent, SIGNATURE_HTTP_HEADER: signature}
        return await self._hand_on("/internal/hellos", body, headers)

    async def _hand_on(self, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        response = await _send(self.client, "POST", path, content=body, headers=headers)
        if response.status_code in _REFUSALS and _problem(response).get("code") != UnauthorizedError.code:
            raise AnsweredError(_problem(response) or _fail(response))
        return _expect_success(response).content

    async def keys(self) -> KeyRing:
        """Every agent's keys."""
        response = _expect_success(await _send(self.client, "GET", "/internal/keys"))
        return msgspec.json.decode(response.content, type=KeyRing)

    async def agents(self, uais: tuple[str, ...]) -> AgentStatuses:
        """How the agents of these establishments are, by their hellos."""
        content = msgspec.json.encode(AgentsQuestion(uais))
        response = _expect_success(await _send(self.client, "POST", "/internal/agents", content=content))
        return msgspec.json.decode(response.content, type=AgentStatuses)


class QueryClient:
    """Figures, as ready bytes."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self._told: OrderedDict[str, None] = OrderedDict()

    async def ask(self, path: str, question: msgspec.Struct) -> bytes:
        """The answer's bytes, untouched; `AnsweredError` passes a refusal on, anything else is unavailable.

        A scope weighs half a megabyte for a thousand establishments: it goes along until it has been answered once.
        """
        if not isinstance(question, Asked) or question.scope_digest not in self._told:
            return await self._ask_whole(path, question)
        try:
            return await self._ask(path, msgspec.structs.replace(question, scope=msgspec.UNSET))
        except AnsweredError as error:
            if error.code != UNKNOWN_SCOPE:
                raise
        return await self._ask_whole(path, question)

    async def _ask_whole(self, path: str, question: msgspec.Struct) -> bytes:
        answer = await self._ask(path, question)
        if isinstance(question, Asked):
            self._told[question.scope_digest] = None
            while len(self._told) > TOLD:
                self._told.popitem(last=False)
        return answer

    async def _ask(self, path: str, question: msgspec.Struct) -> bytes:
        content = msgspec.json.encode(question)
        response = await _send(self.client, "POST", path, content=content, headers={"Content-Type": "application/json"})
        if response.status_code in _REFUSALS and response.status_code != httpx.codes.UNAUTHORIZED:
            raise AnsweredError(_problem(response) or _fail(response))
        return _expect_success(response).content

    async def standing(self, agents: tuple[str, ...], uais: tuple[str, ...] = ()) -> list[AgentStanding]:
        """How far the platform knows these agents, in their order."""
        answer = await self.ask("/internal/standing", StandingQuestion(agents, uais))
        return msgspec.json.decode(answer, type=list[AgentStanding])


async def _send(client: httpx.AsyncClient, method: str, path: str, **rest: Any) -> httpx.Response:
    try:
        return await client.request(method, path, **rest)
    except httpx.HTTPError as error:
        log.warning("an internal API does not answer", api=str(client.base_url), error=type(error).__name__)
        raise UnavailableError from error


def _expect_success(response: httpx.Response) -> httpx.Response:
    return response if response.is_success else _fail(response)


def _fail(response: httpx.Response) -> NoReturn:
    log.warning("an internal API refuses", path=response.url.path, status=response.status_code)
    raise UnavailableError


def _problem(response: httpx.Response) -> dict[str, Any]:
    """The problem in an answer; empty when it holds none."""
    try:
        problem = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        return {}
    return problem if isinstance(problem, dict) and {"code", "status"} <= problem.keys() else {}
