"""What the aggregator's connected tests stand on: a registry that can be changed, agents that sign, an aggregator in this process."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition
from asgi_lifespan import LifespanManager
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.kafka import lag
from contracts import identity_changed
from contracts.catalogue import CATALOGUE, GRAINS
from contracts.packed import unpack
from contracts.registry import AgentKey, Convention, Establishment, Grant, Registry, Territory
from contracts.signing import public_to_text, sign
from contracts.usage_reported import TOPIC, Report, UsageReported, encode
from services.aggregator import store
from services.aggregator.app import create_app
from services.aggregator.config import AggregatorSettings
from services.aggregator.handlers import GROUP
from services.aggregator.rebuild import rebuild

NOW = datetime(2026, 3, 17, 10, 0, tzinfo=UTC)
TOKEN = "between services"
WEB = CATALOGUE.select("web", "connections")
HOURLY = CATALOGUE.select("web", "connections_hour")
PEOPLE = CATALOGUE.select("people", "people")
WITHIN_S = 60.0


def uai(number: int) -> str:
    """A valid UAI."""
    return f"{number:07d}{'ABCDEFGHJKLMNPRSTUVWXYZ'[number % 23]}"


UAI, OTHER_UAI = uai(750_001), uai(750_002)


@dataclass
class Agent:
    """Signs as a real agent does."""

    name: str = "agent-1"
    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def key(self) -> AgentKey:
        return AgentKey(self.name, public_to_text(self.private.public_key()))

    def message(self, *reports: Report, to: str = UAI, catalogue: int = CATALOGUE.version) -> bytes:
        return encode(UsageReported(self.name, to, catalogue, list(reports)))

    def headers(self, value: bytes) -> list[tuple[str, bytes]]:
        return [("agent", self.name.encode()), ("signature", sign(self.private, value))]


def report(start: str, cells: dict[int, int], *, family: str = "web", grain: str = "day", **more: object) -> Report:
    codes = sorted(cells)
    return Report(family, grain, start, codes, [cells[code] for code in codes], **more)  # type: ignore[arg-type]


def registry(agents: list[Agent], *, version: int = 1, uais: tuple[str, ...] = (UAI,), **more: object) -> Registry:
    """One territory under a consent, every agent granted everything everywhere."""
    families = [name for name in CATALOGUE.families if name != "diagnostics"]
    whole: dict[str, object] = {
        "version": version,
        "territories": [Territory("test", "Test", "Europe/Paris")],
        "establishments": [Establishment(one, one, "college", "Europe/Paris") for one in uais],
        "conventions": [Convention("test", one, "consent") for one in uais],
        "keys": [agent.key() for agent in agents],
        "grants": [Grant(agent.name, one, family) for agent in agents for one in uais for family in families],
    }
    return Registry(**{**whole, **more})  # type: ignore[arg-type]


class RegistryServer:
    """Serves `GET /internal/registry` as identity does; `asked` is set at each question."""

    def __init__(self, snapshot: Registry) -> None:
        self.snapshot = snapshot
        self.asked = threading.Event()
        self.refuses = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.set()
                tag = f'"{outer.snapshot.version}"'
                known = self.headers.get("If-None-Match") == tag
                authorised = self.headers.get("Authorization") == f"Bearer {TOKEN}" and not outer.refuses
                self.send_response(401 if not authorised else 304 if known else 200)
                self.send_header("ETag", tag)
                body = b"" if known or not authorised else msgspec.json.encode(outer.snapshot)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def serving(self) -> Iterator[RegistryServer]:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


@dataclass
class Stage:
    """A Kafka prefix, a database and a registry of one test; sends, waits, reads back."""

    kafka: str
    database: str
    identity: RegistryServer
    now: datetime = NOW
    prefix: str = field(default_factory=lambda: f"t{uuid4().hex[:8]}.")
    agent: Agent = field(default_factory=Agent)

    def settings(self, **more: object) -> AggregatorSettings:
        values: dict[str, object] = {
            "usage_database": self.database, "kafka": self.kafka, "identity_url": self.identity.url,
            "internal_token": TOKEN, "topic_prefix": self.prefix, "now": self.now,
        }  # fmt: skip
        return AggregatorSettings(**{**values, **more})  # type: ignore[arg-type]

    def environment(self) -> dict[str, str]:
        """The same for a process of its own."""
        settings = self.settings()
        return {
            "TERRITORIALE_USAGE_DATABASE": self.database, "TERRITORIALE_KAFKA": self.kafka,
            "TERRITORIALE_IDENTITY_URL": self.identity.url, "TERRITORIALE_INTERNAL_TOKEN": TOKEN,
            "TERRITORIALE_TOPIC_PREFIX": self.prefix, "TERRITORIALE_NOW": self.now.isoformat(),
            "TERRITORIALE_HOST": settings.host,
        }  # fmt: skip

    @property
    def topic(self) -> str:
        return self.prefix + TOPIC

    @property
    def dlq(self) -> str:
        return f"{self.topic}.dlq"

    @asynccontextmanager
    async def running(self, **more: object) -> AsyncIterator[object]:
        """An aggregator in this process, consuming."""
        ended: list[bool] = []
        app = create_app(self.settings(**more), end=lambda: ended.append(True))
        async with LifespanManager(app, startup_timeout=WITHIN_S, shutdown_timeout=WITHIN_S):
            aggregator = app.state.aggregator
            await until(aggregator.ready)
            yield app
        assert ended == [], aggregator.stopped_by

    async def send(self, *values: bytes, by: Agent | None = None, to: str = UAI) -> None:
        """Publish messages signed by `by`, keyed by `to`."""
        agent = by or self.agent
        await self.send_raw(*((to.encode(), value, agent.headers(value)) for value in values))

    async def send_raw(self, *records: tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka, acks="all", max_request_size=20_000_000)
        await producer.start()
        try:
            for key, value, headers in records:
                await producer.send_and_wait(self.topic, value, key, headers=headers)
        finally:
            await producer.stop()

    async def drained(self) -> None:
        """Wait until the group has committed all that stands in the topic."""

        async def is_drained() -> bool:
            return await lag(self.kafka, self.prefix + GROUP, self.topic) == 0

        await until(is_drained)

    async def dead_letters(self) -> list[dict[str, str]]:
        """Headers of all dead letters, as text."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka, auto_offset_reset="earliest")
        await consumer.start()
        try:
            partitions = [TopicPartition(self.dlq, number) for number in range(6)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            found: list[dict[str, str]] = []
            while len(found) < sum(ends.values()):
                for records in (await consumer.getmany(timeout_ms=1000)).values():
                    found += [
                        {name: (value or b"").decode("utf-8", "replace") for name, value in r.headers} for r in records
                    ]
            return found
        finally:
            await consumer.stop()

    async def query(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.database.replace("+asyncpg", ""))
        try:
            return [tuple(row) for row in await connection.fetch(sql, *arguments)]
        finally:
            await connection.close()

    async def sheets(self) -> dict[tuple[str, str, date], dict[int, int]]:
        """Every sheet's cells."""
        rows = await self.query("select uai, grain, start, cells from usage.sheets")
        return {(row[0], GRAINS[row[1]], row[2]): cells(row[3]) for row in rows}

    async def image(self) -> list[tuple[Any, ...]]:
        """All that is stored and does not depend on when it was done."""
        return [
            *await self.query(
                "select uai, family, grain, start, agent, restatement, cut, cells from usage.reports order by 1,2,3,4,5"
            ),
            *await self.query(
                "select uai, family, start, agent, restatement, cut, total, cells from usage.hours order by 1,2,3,4"
            ),
            *await self.query(
                "select uai, grain, start, cells, folded, cut_families, frozen from usage.sheets order by 1,2,3"
            ),
            *await self.query("select uai, family, agent, highest from usage.restatements order by 1,2,3"),
        ]

    async def outcomes(self) -> dict[str, int]:
        rows = await self.query("select outcome, cause, sum(count)::int from usage.outcomes group by 1, 2")
        return {f"{row[0]}.{row[1]}" if row[1] else str(row[0]): row[2] for row in rows}


def cells(packed: bytes) -> dict[int, int]:
    codes, counts = unpack(packed)
    return dict(zip(codes.tolist(), counts.tolist(), strict=True))


async def until(condition: object) -> None:
    """Await a condition that another process or task makes true, asking ever less often."""
    async with asyncio.timeout(WITHIN_S):
        delay = 0.01
        while not await condition():  # type: ignore[operator]
            await asyncio.sleep(delay)
            delay = min(delay * 1.5, 0.25)


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


async def has_outcome(stage: Stage, outcome: str, at_least: int) -> bool:
    return (await stage.outcomes()).get(outcome, 0) >= at_least


async def notify(stage: Stage) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=stage.kafka)
    await producer.start()
    notice = identity_changed.encode(identity_changed.IdentityChanged(2, "grant", (UAI,)))
    await producer.send_and_wait(stage.prefix + identity_changed.TOPIC, notice, UAI.encode())
    await producer.stop()


async def rebuilt(stage: Stage, wanted: str = UAI) -> int:
    async with store.pool(stage.database) as pool:
        return await rebuild(pool, [wanted], lambda *_: None)


async def poke(stage: Stage) -> bool:
    """Agents are numbered when the next message is judged."""
    await stage.send(b"{")
    await stage.drained()
    return False
