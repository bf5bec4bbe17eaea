"""HTTP as every service speaks it: problem+json errors with stable codes, an internal token, health, one way to serve."""

from __future__ import annotations

import hmac
import signal
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import uvicorn
from fastapi import APIRouter, FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import SecretStr
from starlette.exceptions import HTTPException

from chassis.errors import NamedError, UnauthorizedError

PROBLEM = "application/problem+json"
GRACEFUL_SHUTDOWN_S = 10
"""Requests in flight get this long at SIGTERM, so that a service ends within 15 s."""


def problem(status: int, code: str, title: str, detail: str = "", **extra: object) -> JSONResponse:
    """One RFC 9457 answer; `retry_after` (seconds) is also said in the header of that name."""
    body = {"type": "about:blank", "title": title, "status": status, "code": code, **extra}
    if detail:
        body["detail"] = detail
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    if "retry_after" in extra:
        headers["Retry-After"] = str(extra["retry_after"])
    return JSONResponse(body, status, headers, PROBLEM)


def add_problem_handlers(app: FastAPI) -> None:
    """Render named errors, framework errors and bad parameters alike as problem+json."""
    app.add_exception_handler(NamedError, _render_named)
    app.add_exception_handler(HTTPException, _render_http)
    app.add_exception_handler(RequestValidationError, _render_validation)


async def _render_named(_: Request, error: Exception) -> Response:
    assert isinstance(error, NamedError)
    return problem(error.status, error.code, error.title, error.detail, **error.extra)


async def _render_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    return problem(error.status_code, phrase.lower().replace(" ", "_"), phrase, str(error.detail))


async def _render_validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [{"where": ".".join(map(str, fault["loc"])), "what": fault["msg"]} for fault in error.errors()]
    return problem(422, "invalid_request", "The request is not understood", faults=faults)


def internal_only(token: SecretStr) -> Callable[..., Awaitable[None]]:
    """Dependency that lets through only who bears the internal token; compared in constant time."""

    async def check(authorization: str = Header(default="")) -> None:
        expected = f"Bearer {token.get_secret_value()}"
        if not hmac.compare_digest(authorization.encode(), expected.encode()):
            raise UnauthorizedError

    return check


def health_router(ready: Callable[[], Awaitable[bool]]) -> APIRouter:
    """`/health/live` says the process runs; `/health/ready` that it can do its work."""
    router = APIRouter(prefix="/health", include_in_schema=False)

    @router.get("/live")
    async def live() -> Response:
        return Response(status_code=204)

    @router.get("/ready")
    async def is_ready() -> Response:
        return Response(status_code=200 if await ready() else 503)

    return router


def serve(app: FastAPI, *, host: str, port: int) -> None:
    """Run one app until SIGTERM or Ctrl-C; requests in flight are finished, and having been told to stop is no failure."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(
            number, lambda *_: None
        )  # uvicorn raises the signal again once it has stopped: the exit code stays 0
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
    )
