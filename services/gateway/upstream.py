"""What stands behind the gateway: the identity service, the query API, Redis. Pooled, with time-outs, unavailable when they are."""

from __future__ import annotations

from typing import Any, NoReturn

import httpx
import msgspec
import structlog
from pydantic import SecretStr
from redis.asyncio import Redis

from chassis.errors import UnauthorizedError, UnavailableError
from services.gateway.errors import AnsweredError

CONNECT_SECONDS = 2.0
"""Both are neighbours: slower means away."""
ANSWER_SECONDS = 30.0
"""As long as a statement may take in the database."""
CONNECTIONS = 50
REDIS_SECONDS = 0.5
"""Redis answers in a millisecond or is away."""
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


async def is_ready(client: httpx.AsyncClient) -> bool:
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


class QueryClient:
    """Figures, as ready bytes."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def ask(self, path: str, question: msgspec.Struct) -> bytes:
        """The answer's bytes, untouched; `AnsweredError` passes a refusal on, anything else is unavailable."""
        content = msgspec.json.encode(question)
        response = await _send(self.client, "POST", path, content=content, headers={"Content-Type": "application/json"})
        if response.status_code in _REFUSALS and response.status_code != httpx.codes.UNAUTHORIZED:
            raise AnsweredError(_problem(response) or _fail(response))
        return _expect_success(response).content


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
