"""Identity and its operator's commands killed at each step: what was committed is told and shown, what was not never happened."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest
from redis.asyncio import Redis

from chassis.database import create_engine, migrate
from contracts import identity_changed
from contracts.rights_version import RIGHTS_VERSION_KEY
from deploy.local.places import ROOT
from services.identity.app import MIGRATIONS
from services.identity.tables import SCHEMA
from tests.chaos.identity_process import NOWHERE, OF_A_COMMAND, OF_THE_OUTBOX
from tests.services.aggregator.stage import until
from tests.services.identity.documents import A, territory
from tests.support.wire import create_topics, end_offsets, read_topic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.connected


@dataclass
class Registry:
    database: str
    kafka: str
    valkey: str

    async def process(self, point: str, *words: str) -> asyncio.subprocess.Process:
        environment = {
            **os.environ, "TERRITORIALE_IDENTITY_DATABASE": self.database, "TERRITORIALE_REDIS": self.valkey,
            "TERRITORIALE_KAFKA": self.kafka, "TERRITORIALE_INTERNAL_TOKEN": "between services",
        }  # fmt: skip
        command = (sys.executable, "-m", "tests.chaos.identity_process", point, *words)
        return await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=environment, stdout=asyncio.subprocess.DEVNULL
        )

    async def dies(self, point: str, *words: str) -> None:
        process = await self.process(point, *words)
        assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL, point

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        process = await self.process(NOWHERE)
        try:
            yield
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 15) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def ask(self, sql: str) -> int:
        connection = await asyncpg.connect(self.database.replace("+asyncpg", ""))
        try:
            return int(await connection.fetchval(sql) or 0)
        finally:
            await connection.close()

    async def version(self) -> int:
        return await self.ask("select version from identity.rights_version")

    async def waiting(self) -> int:
        return await self.ask("select count(*) from identity.outbox")


@pytest.fixture
async def registry(identity_database: str, kafka: str, valkey: str) -> Registry:
    engine = create_engine(identity_database, application="test")
    await migrate(engine, MIGRATIONS, schema=SCHEMA)
    await engine.dispose()
    await create_topics(kafka)
    return Registry(identity_database, kafka, valkey)


@pytest.mark.fault(row=1)
async def test_killed_at_each_step(registry: Registry, tmp_path: Path):
    """A command before and after its commit, then the service at each step of telling it."""
    document = tmp_path / "territory.json"
    name = f"t{uuid4().hex[:8]}"
    described = territory(A, territory={"id": name, "name": "Vienne", "zone": "Europe/Paris"})
    document.write_text(json.dumps(described), "utf-8")
    before = await end_offsets(registry.kafka, identity_changed.TOPIC)
    for committed, point in enumerate(OF_A_COMMAND):
        await registry.dies(point, "import", str(document))
        assert await registry.version() == committed
    for point in OF_THE_OUTBOX:
        assert await registry.waiting()
        await registry.dies(point)
    redis = Redis.from_url(registry.valkey)
    await redis.delete(RIGHTS_VERSION_KEY)
    async with registry.serving():
        await until(lambda: _shows(redis, b"1"))
        await until(lambda: _is_told(registry))
    await redis.aclose()
    messages = await read_topic(registry.kafka, identity_changed.TOPIC, before)
    told = [identity_changed.decode(each.value).version for each in messages if each.key == name.encode()]
    assert len(told) > 1, "said again after each death: at least once"
    assert set(told) == {1}


async def _shows(redis: Redis, version: bytes) -> bool:
    return await redis.get(RIGHTS_VERSION_KEY) == version


async def _is_told(registry: Registry) -> bool:
    return await registry.waiting() == 0
