"""Bodies are refused before memory grows: whatever is announced, whatever arrives."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from chassis.errors import NamedError, UnavailableError
from services.gateway import bodies
from services.gateway.bodies import Room, read_body
from services.gateway.errors import OversizeBodyError

LIMIT = 1000


class Client:
    """A client that sends parts for as long as somebody takes them."""

    def __init__(self, *parts: bytes, endless: bytes = b"", leaves: bool = False) -> None:
        self.parts = list(parts)
        self.endless = endless
        self.leaves = leaves
        self.taken = 0

    async def receive(self) -> dict[str, Any]:
        self.taken += 1
        if self.endless:
            return {"type": "http.request", "body": self.endless, "more_body": True}
        if self.leaves and not self.parts:
            return {"type": "http.disconnect"}
        part = self.parts.pop(0) if self.parts else b""
        return {"type": "http.request", "body": part, "more_body": bool(self.parts) or self.leaves}

    def request(self, **headers: str) -> Request:
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        return Request({"type": "http", "method": "POST", "headers": raw}, self.receive)


async def refusal(client: Client, **headers: str) -> tuple[str, int]:
    with pytest.raises(NamedError) as refused:
        await read_body(client.request(**headers), LIMIT, Room())
    return refused.value.code, refused.value.status


async def test_a_body_arrives_whole():
    assert (
        await read_body(Client(b"a" * 600, b"", b"b" * 400).request(content_length="1000"), LIMIT, Room())
        == b"a" * 600 + b"b" * 400
    )
    assert await read_body(Client().request(content_encoding="identity"), LIMIT, Room()) == b""


async def test_what_is_announced_too_long_is_not_read():
    client = Client(b"a")
    assert await refusal(client, content_length="1001") == ("oversize", 413)
    assert await refusal(client, content_length="9" * 400) == ("oversize", 413)
    assert client.taken == 0


@pytest.mark.parametrize(
    "headers", [{}, {"content_length": "10"}, {"content_length": "²"}, {"transfer_encoding": "chunked"}]
)
async def test_what_does_not_end_is_given_up_at_the_limit(headers: dict[str, str]):
    client = Client(endless=b"a" * 300)
    assert await refusal(client, **headers) == ("oversize", 413)
    assert client.taken == 4


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "zstd", "x"])
async def test_encoded_bodies_are_not_unpacked(encoding: str):
    client = Client(b"a")
    assert await refusal(client, content_encoding=encoding) == ("encoded_body", 415)
    assert client.taken == 0


async def test_a_body_that_breaks_off_is_named():
    assert await refusal(Client(b"a", leaves=True)) == ("malformed", 422)


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.01)

    async def nothing() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(NamedError) as refused:
        await read_body(Request({"type": "http", "method": "POST", "headers": []}, nothing), LIMIT, Room())
    assert (refused.value.code, refused.value.status) == ("slow_body", 408)


async def test_bodies_that_arrive_together_share_one_room():
    """What a request took is there again once it is over, however it ended."""
    room, arriving = Room(2 * LIMIT + 1), asyncio.Event()
    held = Client(b"a" * LIMIT)

    async def slowly() -> dict[str, Any]:
        if held.taken:
            arriving.set()
            await asyncio.Event().wait()
        return {**await held.receive(), "more_body": True}

    request = Request({"type": "http", "method": "POST", "headers": []}, slowly)
    slow = asyncio.create_task(read_body(request, LIMIT, room))
    await arriving.wait()
    assert len(await read_body(Client(b"a" * LIMIT).request(), LIMIT, room)) == LIMIT
    with pytest.raises(OversizeBodyError):
        await read_body(Client(b"a" * LIMIT, b"a").request(), LIMIT, room)
    room.take(2)
    with pytest.raises(UnavailableError):
        await read_body(Client(b"a" * LIMIT).request(), LIMIT, room)
    slow.cancel()
    await asyncio.wait([slow])
    room.take(2 * LIMIT - 1)
    with pytest.raises(UnavailableError):
        room.take(1)
