"""From publication to commit when little arrives: `python -m bench.latency`.

Thirty-six messages a second are what ten thousand establishments send at a cadence of five minutes. PostgreSQL itself says when a
transaction that holds an establishment's reports is committed (a trigger that the bench adds, and LISTEN), so the time told is
from the call that sends to the notification in hand.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import click
import numpy as np
from aiokafka import AIOKafkaProducer

from bench.progress import say
from bench.results import Result, figure, show
from bench.servers import plain, servers
from bench.service import Home, aggregators, home
from bench.traffic import Message, Work, backlog, registry, uais_of
from contracts.usage_reported import TOPIC

RATE = 36
WARM_UP = 100
"""Messages before those that are told: connections, caches and compiled statements."""
ARRIVE_WITHIN_S = 10
NOTIFY = """
create function usage.tell() returns trigger language plpgsql as
    $$ begin perform pg_notify('merged', new.uai); return null; end $$;
create trigger tell after insert or update on usage.bundles for each row execute function usage.tell();
"""


@click.command()
@click.option("--messages", default=1000, show_default=True, help="Messages that are timed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def main(messages: int, as_json: bool) -> None:
    """Milliseconds from publication to commit, at 36 messages a second."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    show(asyncio.run(measure(messages)), as_json=as_json)


async def measure(messages: int) -> list[Result]:
    """Every message is another establishment's, so that each notification names one."""
    uais = uais_of(messages + WARM_UP)
    work = backlog(uais, 1)
    async with servers() as these, home(these, "latency", registry(uais)) as here, aggregators(here):
        say(f"{messages} messages, {RATE} a second")
        async with _merged(here) as merged:
            sent = await _send(here, work)
            async with asyncio.timeout(ARRIVE_WITHIN_S):
                await merged.all(uais)
    took = [1000 * (merged.at[uai] - sent[uai]) for uai in uais[WARM_UP:]]
    p50, p99 = np.percentile(took, (50, 99))
    return [figure("latency.p50", round(p50, 1), "ms"), figure("latency.p99", round(p99, 1), "ms")]


async def _send(here: Home, work: Work) -> dict[str, float]:
    """At an even pace; when each was given to the producer."""
    producer = AIOKafkaProducer(bootstrap_servers=here.servers.bootstrap, compression_type="zstd", acks="all")
    await producer.start()
    sent, started = {}, time.perf_counter()
    try:
        for place, message in enumerate(work.messages):
            await asyncio.sleep(started + place / RATE - time.perf_counter())
            sent[message.key.decode()] = time.perf_counter()
            await _send_one(producer, here, message)
    finally:
        await producer.stop()
    return sent


async def _send_one(producer: AIOKafkaProducer, here: Home, message: Message) -> None:
    await producer.send(here.prefix + TOPIC, message.value, message.key, headers=message.headers)


class _Merged:
    """When each establishment's reports were first seen as committed."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self._news = asyncio.Event()

    def hear(self, *notification: object) -> None:
        self.at.setdefault(str(notification[-1]), time.perf_counter())
        self._news.set()

    async def all(self, uais: list[str]) -> None:
        while not self.at.keys() >= set(uais):
            self._news.clear()
            await self._news.wait()


@asynccontextmanager
async def _merged(here: Home) -> AsyncIterator[_Merged]:
    connection = await asyncpg.connect(plain(here.url))
    merged = _Merged()
    await connection.execute(NOTIFY)
    await connection.add_listener("merged", merged.hear)
    try:
        yield merged
    finally:
        await connection.close()


if __name__ == "__main__":
    main()
