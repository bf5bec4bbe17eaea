"""Whether a report costs the same whatever the number of establishments: `python -m bench.growth`.

A store is filled with so many establishments' days. Then waves of a hundred messages from a hundred establishments arrive, each
once the one before is committed: coalescing, which would flatter small territories, is the same in all.
"""

from __future__ import annotations

import asyncio
import logging
import random
import statistics
import time
from collections.abc import Sequence
from datetime import date

import click
from aiokafka import AIOKafkaProducer

from bench.progress import say
from bench.results import Result, figure, show
from bench.servers import Servers, servers
from bench.service import Home, Watch, aggregators, home, watch
from bench.traffic import TODAY, Work, days_before, evenings, publish, registry, uais_of
from contracts.usage_reported import TOPIC

SMALLEST, GREATEST = 100, 10_000
SIZES = (SMALLEST, 1_000, GREATEST)
FILLED = (date(2026, 11, 1),)
"""A day in the month of all waves, so that the sheets they fold into are there."""
WAVES = (TODAY - FILLED[-1]).days - 1
"""One for each day since then."""
WAVE = 100
"""Messages that arrive together: those of three seconds where 10,000 establishments report."""


@click.command()
@click.option("--waves", default=WAVES, show_default=True, help="Waves that are timed, in each size.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def main(waves: int, as_json: bool) -> None:
    """Microseconds a report takes with 100, 1,000 and 10,000 establishments."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    show(asyncio.run(measure(waves)), as_json=as_json)


async def measure(waves: int) -> list[Result]:
    """Each size in a database and topics of its own."""
    async with servers() as these:
        costs = {size: await _cost(these, size, waves) for size in SIZES}
    return [
        *(figure(f"growth.{size}", round(cost, 1), "µs/report") for size, cost in costs.items()),
        figure("growth.ratio", round(costs[GREATEST] / costs[SMALLEST], 2), "ratio"),
    ]


async def _cost(these: Servers, size: int, waves: int) -> float:
    """Median microseconds a report of a wave takes, from sending to commit."""
    uais = uais_of(size)
    say(f"{size:,} establishments")
    before = evenings(uais, FILLED)
    async with home(these, f"growth_{size}", registry(uais)) as here, aggregators(here), watch(here) as watching:
        await publish(these.bootstrap, here.prefix, before.messages)
        await watching.until(before.reports)
        return await _waves(here, watching, before.reports, _drawn(uais, waves))


def _drawn(uais: Sequence[str], waves: int) -> list[Work]:
    """A day each, of other establishments each time or of the same: always new to them."""
    chosen = random.Random(3)  # noqa: S311 - which ones is of no importance
    return [evenings(chosen.sample(uais, WAVE), [day]) for day in days_before(TODAY, waves)]


async def _waves(here: Home, watching: Watch, merged: int, works: list[Work]) -> float:
    producer = AIOKafkaProducer(bootstrap_servers=here.servers.bootstrap, compression_type="zstd")
    await producer.start()
    costs = []
    for work in works:
        merged += work.reports
        started = time.perf_counter()
        for message in work.messages:
            await producer.send(here.prefix + TOPIC, message.value, message.key, headers=message.headers)
        costs.append((await watching.until(merged) - started) * 1e6 / work.reports)
    await producer.stop()
    return statistics.median(costs)


if __name__ == "__main__":
    main()
