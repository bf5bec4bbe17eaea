"""How fast the aggregator catches up: from signed messages in Kafka to reports and folded sheets committed in PostgreSQL.

Run: python -m bench.aggregator. Kafka and PostgreSQL are started fresh. `raw` is the same topic consumed and decoded by the same
decoder and nothing else. Wall time: the servers share the cores.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import click
import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.results import Result, at_least, show, told
from chassis.clock import Clock
from chassis.kafka import ensure_topics, partitions_of
from contracts.catalogue import CATALOGUE, Grain
from contracts.registry import AgentKey, Convention, Establishment, Grant, Registry, Territory
from contracts.signing import public_to_text, sign
from contracts.uai import key_letter
from contracts.usage_reported import TOPIC, Report, UsageReported, decode, encode
from services.aggregator import store
from services.aggregator.__main__ import COLLECT_AFTER
from services.aggregator.registry import RegistryClient, index
from services.aggregator.running import prepare_database, topics
from services.aggregator.service import Reports
from tests.support.servers import PostgresServer, kafka_bootstrap, server, stop_servers

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIRST = date(2026, 9, 1)
AGENT = "bench"
FLUSH = 4000
MERGE_VS_RAW_GOAL = 0.5
"""Half of what the same decoder does with nothing behind it."""
WEB, HOURLY = CATALOGUE.select("web", "connections"), CATALOGUE.select("web", "connections_hour")
PEOPLE = sorted(CATALOGUE.select("people", "people"))
ACTIVITIES = [cell.code for cell in CATALOGUE.cells.values() if cell.family == "activities.scolarite"]


@dataclass
class Work:
    """What was sent."""

    messages: int = 0
    reports: int = 0
    cells: int = 0


@click.command()
@click.option("--establishments", default=400, show_default=True, help="Establishments that report.")
@click.option("--days", default=10, show_default=True, help="Messages of each, one a day.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def main(establishments: int, days: int, as_json: bool) -> None:
    """Reports and cells a second, from Kafka to committed sheets."""
    gc.set_threshold(COLLECT_AFTER)
    logging.getLogger("aiokafka").setLevel(
        logging.CRITICAL
    )  # leaders of topics made a moment ago are still being elected
    try:
        with PostgresServer(server("postgres")).database() as database:
            show(asyncio.run(measure(database.usage, kafka_bootstrap(), establishments, days)), as_json=as_json)
    finally:
        stop_servers()


async def measure(url: str, bootstrap: str, establishments: int, days: int) -> list[Result]:
    """Raw consumption, a first merge, and the same read again, of one topic."""
    prefix = f"bench{uuid4().hex[:6]}."
    await prepare_database(url)
    await ensure_topics(bootstrap, topics(prefix))
    private = Ed25519PrivateKey.generate()
    uais = [f"{n:07d}{key_letter(f'{n:07d}')}" for n in range(1, establishments + 1)]
    work = await _publish(bootstrap, prefix, private, uais, days)
    raw = await _raw(bootstrap, prefix, work)
    async with store.pool(url) as pool:
        client = RegistryClient("http://127.0.0.1:1", "")
        client.directory = index(_registry(private, uais))
        reports = Reports(pool, client, Clock(NOW))
        first = await _merge(bootstrap, prefix, reports, work)
        again = await _merge(bootstrap, prefix, reports, work)
        await client.close()
    return [
        *(
            result
            for name, seconds in (("raw", raw), ("merge", first), ("again", again))
            for result in _rates(name, work, seconds)
        ),
        at_least("aggregator.merge_vs_raw", round(raw / first, 3), "ratio", MERGE_VS_RAW_GOAL),
    ]


def _registry(private: Ed25519PrivateKey, uais: list[str]) -> Registry:
    return Registry(
        1,
        [Territory("bench", "Bench", "Europe/Paris")],
        [Establishment(uai, uai, "college", "Europe/Paris") for uai in uais],
        [Convention("bench", uai, "joint") for uai in uais],
        [AgentKey(AGENT, public_to_text(private.public_key()))],
        [Grant(AGENT, uai, family) for uai in uais for family in CATALOGUE.families],
    )


def _reports(rng: np.random.Generator, day: date) -> list[Report]:
    """A plausible day of a collège: connections and people by profile, one theme of activities, ten hours."""
    some = np.sort(rng.choice(ACTIVITIES, 60, replace=False)).tolist()
    daily = [("web", WEB), ("people", PEOPLE), ("activities.scolarite", some)]
    return [
        *(_report(rng, family, "day", day.isoformat(), codes) for family, codes in daily),
        *(_report(rng, "web", "hour", f"{day}T{hour:02d}:00+01:00", HOURLY) for hour in range(8, 18)),
    ]


def _report(rng: np.random.Generator, family: str, grain: Grain, start: str, codes: list[int]) -> Report:
    return Report(family, grain, start, codes, rng.integers(1, 400, len(codes)).tolist())


async def _publish(bootstrap: str, prefix: str, private: Ed25519PrivateKey, uais: list[str], days: int) -> Work:
    """Day by day, one message an establishment: the shape of an ordinary evening, not of a replay in great messages."""
    rng, work = np.random.default_rng(1), Work()
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, linger_ms=20, max_batch_size=1_000_000, compression_type="zstd"
    )
    await producer.start()
    for day in (FIRST + timedelta(days=n) for n in range(days)):
        reports = _reports(rng, day)
        for uai in uais:
            value = encode(UsageReported(AGENT, uai, CATALOGUE.version, reports))
            headers = [("agent", AGENT.encode()), ("signature", sign(private, value))]
            await producer.send(prefix + TOPIC, value, uai.encode(), headers=headers)
            work.messages += 1
            work.reports += len(reports)
            work.cells += sum(len(report.cells) for report in reports)
    await producer.stop()
    return work


async def _consumer(bootstrap: str, prefix: str) -> tuple[AIOKafkaConsumer, list[TopicPartition]]:
    partitions = await partitions_of(bootstrap, prefix + TOPIC)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", max_partition_fetch_bytes=2 * 1024 * 1024
    )
    await consumer.start()
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    return consumer, partitions


async def _raw(bootstrap: str, prefix: str, work: Work) -> float:
    consumer, _ = await _consumer(bootstrap, prefix)
    started, seen = time.perf_counter(), 0
    while seen < work.messages:
        for records in (await consumer.getmany(timeout_ms=200, max_records=FLUSH)).values():
            for record in records:
                decode(record.value)
                seen += 1
    elapsed = time.perf_counter() - started
    await consumer.stop()
    return elapsed


async def _merge(bootstrap: str, prefix: str, reports: Reports, work: Work) -> float:
    consumer, _ = await _consumer(bootstrap, prefix)
    started, seen = time.perf_counter(), 0
    while seen < work.messages:
        batch = await consumer.getmany(timeout_ms=200, max_records=FLUSH)
        records = [record for found in batch.values() for record in found]
        flushed = await reports.flush(records)
        if flushed.dead:
            raise SystemExit(f"dead letters in a bench: {flushed.dead[0].code}")
        seen += len(records)
    elapsed = time.perf_counter() - started
    await consumer.stop()
    return elapsed


def _rates(name: str, work: Work, seconds: float) -> list[Result]:
    return [
        told(f"aggregator.{name}.reports", round(work.reports / seconds), "reports/s"),
        told(f"aggregator.{name}.cells", round(work.cells / seconds), "cells/s"),
    ]


if __name__ == "__main__":
    main()
