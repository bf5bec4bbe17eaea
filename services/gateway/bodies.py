"""Request bodies, refused before memory grows: too long by what is announced or by what arrives, encoded, or too slow."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from chassis.errors import UnavailableError
from services.gateway.errors import EncodedBodyError, MalformedBodyError, OversizeBodyError, SlowBodyError

BODY_SECONDS = 30.0
"""A message of half a megabyte over a school's slowest line takes less."""


ROOM_BYTES = 64 * 1024 * 1024
"""Over a hundred of the longest messages at once; who finds no room comes again."""
RETRY_SECONDS = 10


class Room:
    """The bytes that bodies may take together while they arrive: until a signature is checked anybody may send them.

    Whoever fills it with slow bodies has agents come again later for as long, and memory does not grow.
    """

    def __init__(self, size: int = ROOM_BYTES) -> None:
        self._left = size

    def take(self, size: int) -> None:
        """`UnavailableError` when there is not so much left."""
        if size > self._left:
            raise UnavailableError("too many bodies arrive at once", retry_after=RETRY_SECONDS)
        self._left -= size

    def give_back(self, size: int) -> None:
        self._left += size


async def read_body(request: Request, limit: int, room: Room) -> bytes:
    """The whole body, of at most `limit` bytes; one that is longer is given up at the first byte too many."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise EncodedBodyError
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise OversizeBodyError(f"{announced} bytes, at most {limit} are read")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(request, limit, room)
    except TimeoutError as error:
        raise SlowBodyError from error
    except ClientDisconnect as error:
        raise MalformedBodyError("the body ends before its end") from error


async def _read(request: Request, limit: int, room: Room) -> bytes:
    body = bytearray()
    try:
        async for part in request.stream():
            room.take(len(part))
            body += part
            if len(body) > limit:
                raise OversizeBodyError(f"more than the {limit} bytes that are read")
        return bytes(body)
    finally:
        room.give_back(len(body))
