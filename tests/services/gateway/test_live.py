"""Live events: on the tick, of the own perimeter only, never a value, and never after the right has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer
from httpx import AsyncClient

from contracts.counters_updated import TOPIC
from services.gateway.app import create_app
from services.gateway.live import Touched
from tests.services.gateway.conftest import TICK, Platform, bearer, served
from tests.services.identity.documents import A, C

LIVE = "/api/v1/live"


def test_only_what_is_touched_after_the_mark_counts():
    touched = Touched()
    touched.touch([A])
    mark = touched.mark()
    assert not touched.since(mark, {A})
    touched.touch([C])
    assert not touched.since(mark, {A})
    assert touched.since(mark, {A, C})
    assert not touched.since(touched.mark(), {A, C})


def test_after_an_interruption_everything_counts():
    touched = Touched()
    mark = touched.mark()
    touched.touch_all()
    assert touched.since(mark, set())
    assert not touched.since(touched.mark(), {A})


@pytest.fixture
async def producer(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    yield producer
    await producer.stop()


async def lines_until(lines: AsyncIterator[str], wanted: str) -> list[str]:
    """Lines of a stream up to the wanted one."""
    found = []
    async with asyncio.timeout(20):
        async for line in lines:
            found.append(line)
            if line == wanted:
                return found
    raise AssertionError(f"the stream ended with {found}")


async def ticks(lines: AsyncIterator[str], number: int) -> list[str]:
    """What the next ticks say, blank lines aside."""
    said: list[str] = []
    async with asyncio.timeout(20):
        while len(said) < number:
            line = await anext(lines)
            said += [line] if line.startswith((":", "event")) else []
    return said


async def touch(producer: AIOKafkaProducer, uai: str) -> None:
    message = b'{"uai": "%s", "families": ["web"], "grains": ["day"]}' % uai.encode()
    await producer.send_and_wait(TOPIC, message, key=uai.encode())


@pytest.mark.connected
async def test_a_change_in_the_perimeter_says_refetch_and_another_says_nothing(
    reader: AsyncClient, platform: Platform, producer: AIOKafkaProducer
):
    async with reader.stream("GET", LIVE) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        lines = response.aiter_lines()
        await lines_until(lines, ": nothing new")
        await producer.send_and_wait(TOPIC, b"not a message")
        await producer.send_and_wait(TOPIC, None, key=C.encode())
        await touch(producer, C)
        assert set(await ticks(lines, 6)) == {": nothing new"}
        await touch(producer, A)
        told = await lines_until(lines, "event: refetch")
        assert await anext(lines) == "data: {}"
        assert A not in "".join(told)


@pytest.mark.connected
async def test_rights_that_change_say_refetch_and_a_revoked_token_ends_the_stream(
    anyone: AsyncClient, platform: Platform
):
    made = await platform.registrar.create_token("d086")
    async with anyone.stream("GET", LIVE, headers=bearer(made.token)) as response:
        lines = response.aiter_lines()
        await lines_until(lines, ": nothing new")
        await platform.registrar.create_token("d087")
        assert set(await ticks(lines, 3)) == {": nothing new"}, "what changes elsewhere is nobody's business here"
        await platform.registrar.end_convention("d086", A)
        await lines_until(lines, "event: refetch")
        await platform.registrar.revoke_token(made.id)
        async with asyncio.timeout(20 * TICK + 5):
            rest = [line async for line in lines]
        assert "event: refetch" not in rest
    assert (await anyone.get(LIVE, headers=bearer(made.token))).status_code == 401


@pytest.mark.connected
async def test_a_server_that_stops_ends_its_streams(platform: Platform):
    app = create_app(platform.settings)
    headers = bearer(platform.reader)
    async with (
        AsyncClient(timeout=20, headers=headers) as client,
        served(app) as url,
        client.stream("GET", f"{url}{LIVE}") as response,
    ):
        lines = response.aiter_lines()
        await lines_until(lines, ": nothing new")
        app.state.live.close()
        async with asyncio.timeout(5):
            assert {line async for line in lines} <= {"", ": nothing new"}


@pytest.mark.connected
async def test_without_kafka_streams_stay_open_and_say_nothing(platform: Platform, free_port):
    away = platform.settings.model_copy(update={"kafka": f"127.0.0.1:{free_port()}"})
    async with served(create_app(away)) as url, AsyncClient(base_url=url, headers=bearer(platform.reader)) as client:
        async with client.stream("GET", LIVE) as response:
            assert set(await ticks(response.aiter_lines(), 4)) == {": open", ": nothing new"}
        assert (await client.get("/health/ready")).status_code == 200
