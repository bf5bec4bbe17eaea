"""A real registry in a fresh database, and a real Redis emptied for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from asgi_lifespan import LifespanManager
from httpx import ASGITransport, AsyncClient
from pydantic import SecretStr
from redis.asyncio import Redis
from sqlalchemy import text

from chassis.database import create_engine, migrate
from services.identity.app import MIGRATIONS, create_app
from services.identity.config import IdentitySettings, RegistrarSettings
from services.identity.service import Registrar, open_registrar
from services.identity.tables import SCHEMA, metadata
from tests.support.servers import Database

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
INTERNAL = {"Authorization": "Bearer internal"}


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(valkey)
    await client.flushdb()
    yield client
    await client.aclose()


@pytest.fixture(scope="module")
async def migrated(module_database: Database) -> str:
    """URL of a registry that a module's tests use one after the other."""
    engine = create_engine(module_database.identity, application="test")
    await migrate(engine, MIGRATIONS, schema=SCHEMA)
    await engine.dispose()
    return module_database.identity


@pytest.fixture
async def settings(migrated: str, valkey: str, redis: Redis) -> RegistrarSettings:
    """Settings of an empty registry."""
    engine = create_engine(migrated, application="test")
    async with engine.begin() as connection:
        await connection.execute(text("truncate " + ", ".join(str(table) for table in metadata.sorted_tables)))
    await engine.dispose()
    return RegistrarSettings(identity_database=SecretStr(migrated), redis=SecretStr(valkey), now=NOW)


@pytest.fixture
async def registrar(settings: RegistrarSettings) -> AsyncIterator[Registrar]:
    async with open_registrar(settings) as registrar:
        yield registrar


@pytest.fixture
async def client(settings: RegistrarSettings, kafka: str) -> AsyncIterator[AsyncClient]:
    """The internal API, as its askers reach it."""
    app = create_app(
        IdentitySettings(
            identity_database=settings.identity_database,
            redis=settings.redis,
            kafka=kafka,
            internal_token=SecretStr("internal"),
            now=NOW,
        )
    )
    async with (
        LifespanManager(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://identity", headers=INTERNAL) as client,
    ):
        yield client
