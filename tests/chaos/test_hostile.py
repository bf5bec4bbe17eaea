"""What nobody well-meaning sends, at every door: refused by its name, never a fault of ours, never much memory."""

from __future__ import annotations

import asyncio
import gzip
import random
import resource
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

import httpx
import psutil
import pytest

from contracts.fleet import AGENT_HTTP_HEADER, SIGNATURE_HTTP_HEADER
from contracts.signing import AGENT_HEADER, SIGNATURE_HEADER
from contracts.usage_reported import TOPIC
from tests.chaos.outage import UNPLUGGED
from tests.chaos.scene import PATIENCE_S, SEED
from tests.support.agents import finished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.chaos.scene import Scene
    from tests.support.wire import Message

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("chaos")]

TEXTS = (
    b"", b"\x00", b"a\x00b", b"\xff", b"\xed\xa0\x80", b"NaN", b"Infinity", b"true", b"null", b"-1", b"1e309", b"9" * 400,
    b"[" * 3000, b"../../../etc/passwd", b"' or 1=1 --", b"=1+1", "\u202eabc".encode(), "é".encode() * 900, b"%00", b"\r\nX: y",
)  # fmt: skip
BODIES = (
    b"", b"{", b"null", b"true", b"[" * 200_000, b'{"a":' * 50_000, b'{"agent":NaN}', b'{"agent":"\\ud800"}', b"\x00", b"\xff\xfe",
    b'{"uai":true,"reports":1e999}', b"0" * 400_000,
)  # fmt: skip
AT_ONCE_PER_FIELD = 6
OVERSIZE = 64 * 1024 * 1024
MOST_MEMORY = 32 * 1024 * 1024
"""Bytes that a process may grow by while it refuses twice as much."""


def requests(document: dict[str, Any], draw: random.Random) -> Iterator[tuple[str, str, bytes | None]]:
    """Method, address and body: every operation of the OpenAPI document, each of its parameters in turn with hostile values."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if "text/event-stream" in operation.get("responses", {}).get("200", {}).get("content", {}):
                continue
            fields = operation.get("parameters", [])
            for field in fields or [None]:
                for value in draw.sample(TEXTS, AT_ONCE_PER_FIELD):
                    yield method.upper(), address(path, fields, field, value), None
            if "requestBody" in operation:
                for body in draw.sample(BODIES, AT_ONCE_PER_FIELD):
                    yield method.upper(), address(path, fields, None, b""), body


def address(path: str, fields: list[dict[str, Any]], hostile: dict[str, Any] | None, value: bytes) -> str:
    """The path with harmless parameters, but for one."""
    shown = quote_from_bytes(value, safe="")
    for field in fields:
        if field["in"] == "path":
            path = path.replace(f"{{{field['name']}}}", shown if field is hostile else "connexions.authentifiees")
    return f"{path}?{hostile['name']}={shown}" if hostile and hostile["in"] == "query" else path


@pytest.mark.fault(row=18)
async def test_every_operation_of_the_api_with_hostile_values(faults: Scene):
    document = faults.stack.json("/openapi.json")
    asked = list(requests(document, random.Random(SEED)))
    assert len(asked) > 100
    async with httpx.AsyncClient(base_url=faults.stack.url, trust_env=False, timeout=60) as client:
        for method, url, body in asked:
            answer = await client.request(method, url, content=body, headers=credentials(faults, body or b""))
            assert answer.status_code < 500, (
                f"seed {SEED}: {method} {url[:300]} {(body or b'')[:80]!r}: {answer.text[:300]}"
            )


def credentials(faults: Scene, body: bytes) -> dict[str, str]:
    """Of the administrator, and of the agent: what is refused is the value, not who sends it."""
    headers = {name: value.decode() for name, value in faults.signed(body).headers}
    return {
        "Authorization": f"Bearer {faults.stack.token}",
        AGENT_HTTP_HEADER: headers[AGENT_HEADER],
        SIGNATURE_HTTP_HEADER: headers[SIGNATURE_HEADER],
    }


async def _megabytes() -> AsyncIterator[bytes]:
    for _ in range(OVERSIZE // 65536):
        yield b"[" * 65536


@pytest.mark.fault(row=17)
async def test_oversize_requests_are_refused_before_they_are_held(faults: Scene):
    """A body of 64 MB and a query of 200 kB to every operation, whether it reads a body or not."""
    document = faults.stack.json("/openapi.json")
    gateway = psutil.Process(faults.node("gateway")["pid"])
    before, signed = gateway.memory_info().rss, credentials(faults, b"")
    async with httpx.AsyncClient(base_url=faults.stack.url, trust_env=False, timeout=60) as client:
        for path in document["paths"]:
            for method in ("POST", "GET"):
                assert await status(client, method, path, _megabytes()) < 500
            assert await status(client, "GET", f"{path}?search={'x' * 60_000}") in {401, 413, 414, 431}
        for what in ("enrol", "hello", "reports"):
            assert await status(client, "POST", f"/api/v1/agents/{what}", _megabytes(), signed) in {400, 413}
    assert gateway.memory_info().rss - before < MOST_MEMORY


@pytest.mark.fault(row=29)
async def test_a_request_that_is_a_bomb(faults: Scene):
    """A body is taken as it was signed, never unpacked."""
    bomb = gzip.compress(b" " * OVERSIZE)
    gateway = psutil.Process(faults.node("gateway")["pid"])
    before = gateway.memory_info().rss
    async with httpx.AsyncClient(base_url=faults.stack.url, trust_env=False, timeout=60) as client:
        for what in ("hello", "reports"):
            headers = {**credentials(faults, bomb), "Content-Encoding": "gzip"}
            answer = await client.post(f"/api/v1/agents/{what}", content=bomb, headers=headers)
            assert answer.status_code == httpx.codes.UNSUPPORTED_MEDIA_TYPE
    assert gateway.memory_info().rss - before < MOST_MEMORY


async def status(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    content: AsyncIterator[bytes] | None = None,
    headers: dict[str, str] | None = None,
) -> int:
    """400 where the server hung up on us, as it may."""
    try:
        return (await client.request(method, url, content=content, headers=headers)).status_code
    except httpx.TransportError:
        return 400


def messages(faults: Scene, key: bytes) -> list[Message]:
    """Signed by the agent, and yet nothing that any agent of ours would say."""
    whole = faults.signed(faults.usage(key.decode(), cells=[1], counts=[1])).value
    changed = [
        whole.replace(b'"web"', value)
        for value in (
            b'"\\ud800"',
            b'"\\u0000"',
            b"NaN",
            b"true",
            b'"' + b"x" * 400_000 + b'"',
            b"[" * 200_000,
            b"1e999",
        )
    ]
    changed += [
        whole.replace(b'"counts": [1]', b'"counts": [' + value + b"]")
        for value in (b"true", b"NaN", b"1.0", b'"1"', b"-0")
    ]
    assert whole not in changed
    return [faults.signed(value, key=key) for value in changed]


@pytest.mark.fault(row=18)
async def test_signed_messages_with_hostile_values(faults: Scene):
    """Each is set aside, and the process that met them all is the same one."""
    pid = faults.node("aggregator")["pid"]
    key = next(each.key for each in await faults.messages() if each.key)
    hostile = messages(faults, key)
    await faults.send(*hostile)
    async with asyncio.timeout(PATIENCE_S):
        while not {each.value for each in hostile} <= {each.value for each in await faults.messages(f"{TOPIC}.dlq")}:
            await asyncio.sleep(0.25)
    faults.grow()
    faults.agent.run()
    await faults.expect_truth("signed messages with hostile values")
    assert faults.node("aggregator")["pid"] == pid


MOST_OF_AN_AGENT = 400 * 1024 * 1024


@pytest.mark.fault(row=29)
@pytest.mark.parametrize("content", [b"\x00", b"\n"], ids=["one line", "blank lines"])
async def test_an_archive_that_is_a_bomb(faults: Scene, content: bytes):
    """A megabyte that holds a gigabyte: left, told, and no other source waits for it. Its data may not grow over 400 MB meanwhile."""
    bomb = faults.feed.folder / UNPLUGGED / "gone" / "journal.ndjson"
    bomb.parent.mkdir(exist_ok=True)
    with gzip.open(bomb, "wb", compresslevel=9) as archive:
        for _ in range(1024):
            archive.write(content * (1024 * 1024 // len(content)))
    faults.grow()
    process = faults.agent.start()
    resource.prlimit(process.pid, resource.RLIMIT_DATA, (MOST_OF_AN_AGENT, MOST_OF_AN_AGENT))
    said = await asyncio.to_thread(finished, process)
    assert "source_not_observed" in said
    bomb.unlink()
    await faults.expect_truth("an archive that is a bomb")
