"""The gate before every route: nobody passes without a token in force, except to the few open paths and to what agents sign."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.errors import NamedError
from chassis.http import problem
from services.gateway.errors import OversizeQueryError
from services.gateway.parameters import MAX_QUERY_BYTES, check_query
from services.gateway.rate import RateLimit
from services.gateway.readers import Reader, Readers
from services.gateway.rights import OPEN_PATHS, SIGNED

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer, unless the route says otherwise: figures stay in no cache, in no frame, in no other site."""


class Gate:
    """Finds the reader, checks the query string, counts the request; then, and only then, the routes see it."""

    def __init__(self, app: ASGIApp, *, readers: Readers, rate: RateLimit) -> None:
        self._app = app
        self._readers = readers
        self._rate = rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._admit(scope)
        except NamedError as error:
            await problem(error.status, error.code, error.title, error.detail, **error.extra)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> None:
        query = scope["query_string"]
        if len(query) > MAX_QUERY_BYTES:
            raise OversizeQueryError(f"{len(query)} bytes, at most {MAX_QUERY_BYTES} are read")
        if scope["path"] not in OPEN_PATHS and (scope["method"], scope["path"]) not in SIGNED:
            reader = await self._readers.find(Headers(scope=scope).get("authorization", ""))
            await self._rate.count(reader.key)
            scope.setdefault("state", {})["reader"] = reader
        check_query(query)


class SecurityHeaders:
    """Adds what every answer carries, refusals included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def reader_of(request: Request) -> Reader:
    """The reader that the gate has found; a route that asks for one behind an open path is a mistake and fails."""
    reader: Reader = request.state.reader
    return reader
