"""The real servers of the suite are what they promise: reachable, private, and separate for each test."""

from __future__ import annotations

from uuid import uuid4

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from tests.support.servers import Database, PostgresServer

pytestmark = pytest.mark.connected


def plain(url: str) -> str:
    return url.replace("+asyncpg", "")


async def test_kafka_keeps_and_stamps_what_is_sent(kafka: str) -> None:
    topic = f"kept-{uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=True, compression_type="zstd") as producer:
        sent = await producer.send_and_wait(topic, b"whole", timestamp_ms=1)
    async with AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest") as consumer:
        message = await consumer.getone()
    assert (message.value, message.offset) == (b"whole", sent.offset)
    assert message.timestamp_type == 1, "the broker's clock, not the sender's"
    assert message.timestamp > 1


async def test_kafka_makes_no_topic_by_itself(kafka: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        unknown = f"unknown-{uuid4().hex}"
        await admin.describe_topics([unknown])
        assert unknown not in await admin.list_topics()
    finally:
        await admin.close()


@pytest.mark.parametrize("role", ["identity", "usage"])
async def test_a_role_owns_the_schema_of_its_name(database: Database, role: str) -> None:
    connection = await asyncpg.connect(plain(getattr(database, role)))
    try:
        await connection.execute("CREATE TABLE mine (value int)")
        assert await connection.fetchval("SELECT schemaname FROM pg_tables WHERE tablename = 'mine'") == role
    finally:
        await connection.close()


async def test_a_role_does_not_see_the_other_schema(database: Database) -> None:
    connection = await asyncpg.connect(plain(database.usage))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE TABLE identity.stolen (value int)")
    finally:
        await connection.close()


async def test_postgres_wants_a_password(database: Database) -> None:
    address = plain(database.usage).replace("postgresql://usage:", "postgresql://usage:not-")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(address)


async def test_databases_are_separate(postgres: PostgresServer) -> None:
    with postgres.database() as one, postgres.database() as other:
        connection = await asyncpg.connect(plain(one.usage))
        await connection.execute("CREATE TABLE seen (value int)")
        await connection.close()
        connection = await asyncpg.connect(plain(other.usage))
        assert await connection.fetchval("SELECT to_regclass('seen')") is None
        await connection.close()


async def test_postgres_is_eighteen_and_speaks_unicode(database: Database) -> None:
    connection = await asyncpg.connect(plain(database.usage))
    try:
        assert (await connection.fetchval("SHOW server_version")).startswith("18")
        assert await connection.fetchval("SELECT upper('é')") == "É"
    finally:
        await connection.close()


async def test_valkey_wants_a_password_and_remembers(valkey: str) -> None:
    async with Redis.from_url(valkey) as redis:
        await redis.set("key", "value")
        assert await redis.get("key") == b"value"
    async with Redis.from_url(valkey.replace("redis://:", "redis://:not-")) as stranger:
        with pytest.raises(AuthenticationError):
            await stranger.get("key")
