"""How fast reports become committed, folded sheets, and how fast others do the same: `python -m bench.aggregator`.

One Kafka, one PostgreSQL, the same bytes for all. The aggregator is the service itself, as a process: it has joined its group
and stands frozen while the messages are published, so that the clock starts with everything in Kafka and nothing in hand. Peers
start reading a topic that is full; their clock starts with the first message in hand. Wall time: servers share the cores.
"""

from __future__ import annotations

import asyncio
import logging
import time

import click

from bench.peers.running import PEERS, Peers, Run, compared
from bench.progress import say
from bench.results import Result, figure, show
from bench.servers import Servers, servers
from bench.service import aggregators, home, watch
from bench.traffic import TODAY, Work, backlog, days_before, evenings, publish, registry, uais_of

PUBLICATIONS, DAYS, SLOW_SHARE = 16, 20, 20
"""Of the backlog's establishments, one in `SLOW_SHARE`: forms with a key per cell would take minutes for all."""


@click.command()
@click.option("--establishments", default=1000, show_default=True, help="Establishments that report.")
@click.option("--peer", "chosen", multiple=True, type=click.Choice(list(PEERS)), help="Only these peers.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def main(establishments: int, chosen: tuple[str, ...], as_json: bool) -> None:
    """Reports and facts a second, from Kafka to committed sheets, beside raw consumption and beside peers."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # leaders of fresh topics are still being elected
    show(asyncio.run(measure(establishments, chosen or tuple(PEERS))), as_json=as_json)


async def measure(size: int, chosen: tuple[str, ...]) -> list[Result]:
    """Every consumer, one after the other."""
    uais = uais_of(size)
    say("drawing and signing messages")
    waiting, slow = backlog(uais, PUBLICATIONS), backlog(uais[: max(1, size // SLOW_SHARE)], PUBLICATIONS)
    async with servers() as these:
        one = await _ours(these, "one", waiting, uais)
        two = await _ours(these, "two", waiting, uais, processes=2)
        apart = await _ours(these, "apart", evenings(uais, days_before(TODAY, DAYS)), uais)
        results = [
            *one.figures("one"),
            *two.figures("two"),
            *apart.figures("apart"),
            figure("aggregator.two_vs_one", round(two.facts_a_second / one.facts_a_second, 2), "ratio"),
        ]
        async with Peers.ready(these, waiting, slow) as peers:
            runs = {name: await peers.run(name) for name in chosen}
    return [*results, *compared(one, runs)]


async def _ours(these: Servers, name: str, work: Work, uais: list[str], *, processes: int = 1) -> Run:
    """The service from frozen to everything committed."""
    say(f"aggregator, {name}: {len(work.messages):,} messages, {work.reports:,} reports, {work.facts:,} facts")
    async with home(these, f"ours_{name}", registry(uais)) as here, aggregators(here, processes) as running:
        async with watch(here) as watching:
            with running.frozen():
                await publish(these.bootstrap, here.prefix, work.messages)
                started, spent = time.perf_counter(), running.cpu_s()
            ended = await watching.until(work.reports)
        cpu = running.cpu_s() - spent
        say(f"  {cpu / work.reports * 1e6:.0f} µs of processor time a report")
        return Run(ended - started, work.reports, work.facts, running.memory_mb())


if __name__ == "__main__":
    main()
