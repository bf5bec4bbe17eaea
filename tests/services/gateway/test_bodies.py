"""Bodies are refused before memory grows: whatever is announced, whatever arrives."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from chassis.errors import NamedError
from services.gateway import bodies
from services.gateway.bodies import read_body

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
        await read_body(client.request(**headers), LIMIT)
    return refused.value.code, refused.value.status


async def test_a_body_arrives_whole():
    assert (
        await read_body(Client(b"a" * 600, b"", b"b" * 400).request(content_length="1000"), LIMIT)
        == b"a" * 600 + b"b" * 400
    )
    assert await read_body(Client().request(content_encoding="identity"), LIMIT) == b""


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
        await read_body(Request({"type": "http", "method": "POST", "headers": []}, nothing), LIMIT)
    assert (refused.value.code, refused.value.status) == ("slow_body", 408)
