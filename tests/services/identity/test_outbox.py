"""Committed changes reach Kafka, and the shown version lives as long as the service does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from contracts.identity_changed import TOPIC, decode
from contracts.rights_version import RIGHTS_VERSION_KEY
from services.identity.service import Registrar
from services.identity.tables import outbox
from tests.services.identity.documents import KEY, A, as_file, territory, uai
from tests.support.wire import create_topics, end_offsets, read_topic

pytestmark = pytest.mark.connected


async def left_in_outbox(registrar: Registrar) -> int:
    async with registrar._engine.connect() as connection:
        return int((await connection.execute(select(func.count()).select_from(outbox))).scalar_one())


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.05)


async def test_changes_are_published_in_order_and_leave_the_outbox(registrar, client, kafka):
    await create_topics(kafka)
    before = await end_offsets(kafka, TOPIC)
    number = uuid4().int % 9_000_000
    name, first, last = f"t{number}", uai(number), uai(number + 1)
    registered = {"id": name, "name": "Vienne", "zone": "Europe/Paris"}
    document = territory(first, last, territory=registered, agent={"id": f"agent-{number}", "public_key": KEY})
    await registrar.import_(as_file(document))
    await registrar.end_convention(name, last)
    await until(lambda: _is_empty(registrar))
    own = {each.encode() for each in (name, first, last, f"agent-{number}")}
    messages = [each for each in await read_topic(kafka, TOPIC, before) if each.key in own]  # others use the topic too
    told = [decode(message.value) for message in messages]
    assert [event.version for event in told] == sorted(event.version for event in told)
    assert told[-1].subject == "convention"
    assert told[-1].ids == (last,)
    assert [message.key for message in messages] == [event.ids[0].encode() for event in told]


async def _is_empty(registrar: Registrar) -> bool:
    return await left_in_outbox(registrar) == 0


async def test_the_service_shows_the_version_again_after_redis_lost_it(registrar, client, redis):
    await registrar.import_(as_file(territory(A)))
    await redis.flushdb()
    await until(lambda: redis.get(RIGHTS_VERSION_KEY))
    assert await redis.get(RIGHTS_VERSION_KEY) == b"1"
