"""The gateway on a socket of its own, before a real identity service, PostgreSQL and Redis; the query API is a stand-in."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import uvicorn
from fastapi import FastAPI
from httpx import AsyncClient
from pydantic import SecretStr
from redis.asyncio import Redis

from services.gateway.app import create_app as create_gateway
from services.gateway.config import GatewaySettings
from services.identity.app import create_app as create_identity
from services.identity.config import IdentitySettings, RegistrarSettings
from services.identity.service import Registrar, open_registrar
from tests.services.gateway.standin import StandIn
from tests.services.identity.documents import A, B, C, as_file, territory
from tests.support.servers import Database
from tests.support.wire import create_topics

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
TICK = 0.2
"""Seconds of a live tick here; thirty in real life."""


class Server(uvicorn.Server):
    """A server that leaves the test run's signals alone."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield


@contextlib.asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """An application on a free port of 127.0.0.1, for as long as the context lasts."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    async with asyncio.timeout(30):
        while not server.started:
            await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running


@dataclass
class Platform:
    """What stands behind the gateway, and three readers: of d086 (A, B), of d087 (B, C), and one whose token is revoked."""

    registrar: Registrar
    query: StandIn
    settings: GatewaySettings
    reader: str = ""
    other: str = ""
    revoked: str = ""
    expired: str = ""

    async def populate(self) -> None:
        self.reader = (await self.registrar.import_(as_file(territory(A, B)))).token
        other = {"id": "d087", "name": "Haute-Vienne", "zone": "Europe/Paris"}
        self.other = (await self.registrar.import_(as_file(territory(B, C, territory=other)))).token
        gone = await self.registrar.create_token("d086")
        await self.registrar.revoke_token(gone.id)
        an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
        self.revoked = gone.token
        self.expired = (await self.registrar.create_token("d086", expires_at=an_hour_ago)).token


@pytest.fixture(scope="module")
async def redis(valkey: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(valkey)
    await client.flushdb()
    yield client
    await client.aclose()


@pytest.fixture(scope="module")
async def standing(module_database: Database, redis: Redis, valkey: str, kafka: str) -> AsyncIterator[Platform]:
    """The services, started once for a module's tests."""
    await create_topics(kafka)  # as the aggregator has done long before in real life
    database_url, redis_url = SecretStr(module_database.identity), SecretStr(valkey)
    identity = create_identity(
        IdentitySettings(
            identity_database=database_url,
            redis=redis_url,
            kafka=kafka,
            internal_token=SecretStr("internal"),
            now=NOW,
            agent_kafka="kafka.example:9092",
            agent_cadence_seconds=60,
        )
    )
    query = StandIn()
    registry = RegistrarSettings(identity_database=database_url, redis=redis_url, now=NOW)
    async with served(identity) as identity_url, served(query.app) as query_url, open_registrar(registry) as registrar:
        settings = GatewaySettings(
            identity_url=identity_url,
            query_url=query_url,
            redis=redis_url,
            kafka=kafka,
            internal_token=SecretStr("internal"),
            live_tick_seconds=TICK,
            now=NOW,
        )
        yield Platform(registrar, query, settings)


@pytest.fixture(scope="module")
async def gateway(standing: Platform) -> AsyncIterator[str]:
    """URL of one gateway for a module's tests."""
    async with served(create_gateway(standing.settings)) as url:
        yield url


@pytest.fixture
async def platform(standing: Platform) -> Platform:
    """The services as every test wants to find them: both territories whole, fresh tokens, a query API in good health."""
    standing.query.mode = "well"
    standing.query.asked.clear()
    standing.query.told.clear()
    standing.query.standing.clear()
    await standing.populate()
    return standing


@pytest.fixture
async def anyone(platform: Platform, gateway: str) -> AsyncIterator[AsyncClient]:
    """The gateway, asked without a token."""
    async with AsyncClient(base_url=gateway, timeout=20) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def reader(anyone: AsyncClient, platform: Platform) -> AsyncClient:
    """The gateway, asked by the administrator's machine of d086."""
    anyone.headers.update(bearer(platform.reader))
    return anyone
