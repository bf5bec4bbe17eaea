"""The internal API: registry, version, scopes. Only for who bears the internal token."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
import structlog
from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, Field

from chassis.clock import Clock
from chassis.errors import UnavailableError
from chassis.http import problem
from services.identity.directory import Directory

SCOPE_MAX_AGE_SECONDS = 30
"""How long a scope may be held without asking again, while the version stays and no edge passes (defence in depth)."""

log = structlog.get_logger()


class ScopeRequest(BaseModel):
    token: Annotated[str, Field(max_length=400)]


def internal_router(directory: Directory, clock: Clock) -> APIRouter:
    """Routes over one directory."""
    router = APIRouter(prefix="/internal")

    @router.get("/registry")
    async def registry(if_none_match: Annotated[str, Header()] = "") -> Response:
        """The whole registry; 304 while its version is the one already known."""
        tag = f'"{await directory.version()}"'
        if if_none_match == tag:
            return Response(status_code=304, headers={"ETag": tag})
        snapshot = await directory.registry()
        return _json(msgspec.json.encode(snapshot), {"ETag": f'"{snapshot.version}"'})

    @router.get("/version")
    async def version() -> Response:
        """The version alone, for readers that cannot see it in Redis."""
        return _json(msgspec.json.encode({"version": await directory.version()}))

    @router.post("/scopes")
    async def scopes(asked: ScopeRequest) -> Response:
        """The scope of a token; `Cache-Control: max-age` ends with the token at the latest."""
        found = await directory.scope_of_token(asked.token)
        age = _max_age(found.expires_at, clock.real_now())
        return _json(msgspec.json.encode(found.scope), {"Cache-Control": f"private, max-age={age}"})

    return router


def _json(body: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(body, media_type="application/json", headers=headers)


def _max_age(expires_at: datetime | None, now: datetime) -> int:
    if expires_at is None:
        return SCOPE_MAX_AGE_SECONDS
    return max(0, min(SCOPE_MAX_AGE_SECONDS, int((expires_at - now).total_seconds())))


async def answer_unavailable(_: Request, error: Exception) -> Response:
    """PostgreSQL is away or refuses: the asker tries again later."""
    log.warning("the registry's database does not answer", error=type(error).__name__)
    return problem(503, UnavailableError.code, UnavailableError.title)
