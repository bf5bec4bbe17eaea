"""Request bodies, refused before memory grows: too long by what is announced or by what arrives, encoded, or too slow."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from services.gateway.errors import EncodedBodyError, MalformedBodyError, OversizeBodyError, SlowBodyError

BODY_SECONDS = 30.0
"""A message of half a megabyte over a school's slowest line takes less."""


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, of at most `limit` bytes; one that is longer is given up at the first byte too many."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise EncodedBodyError
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise OversizeBodyError(f"{announced} bytes, at most {limit} are read")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(request, limit)
    except TimeoutError as error:
        raise SlowBodyError from error
    except ClientDisconnect as error:
        raise MalformedBodyError("the body ends before its end") from error


async def _read(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise OversizeBodyError(f"more than the {limit} bytes that are read")
    return bytes(body)
