"""A territory's school year read again, and what it weighs in PostgreSQL: `python -m bench.history`.

Agents that import history, or are asked to resend, send everything they have: messages of up to 500 kB, thousands of reports
each. Time runs from the aggregator's start, with everything in Kafka, to the last commit. Then the tables are vacuumed and weighed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import chain

import asyncpg
import click

from bench.progress import say
from bench.results import Result, figure, show
from bench.servers import plain, servers
from bench.service import Home, aggregators, home, watch
from bench.traffic import Message, publish, registry, school_years, uais_of

NOW = datetime(2026, 7, 4, 12, tzinfo=UTC)
FIRST, LAST = date(2025, 9, 1), date(2026, 7, 4)
HOURS_FROM = LAST - timedelta(days=89)
"""Hours are kept for 90 days; the agent sends none that are older."""
AIM, REPLAYED = 1000, 300
"""Establishments of the aim, and those that are replayed: their time, the start included, is told as if they were so many."""
WEIGH = """
select pg_total_relation_size('usage.bundles'), pg_total_relation_size('usage.sheets'),
    sum(case when length(cells) > 0 then (length(cells) - 1) / (2 + get_byte(cells, 0)) else 0 end)::bigint
from usage.sheets
"""
"""Bytes with indexes, and the cells of sheets: a packed row is a byte of width, then two bytes of code and that width of count
for each. Cells of reports are those that were sent, since each report was sent once."""


@click.command()
@click.option("--establishments", default=REPLAYED, show_default=True, help="Establishments whose year is replayed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def main(establishments: int, as_json: bool) -> None:
    """Seconds that a school year of a thousand establishments takes, and the bytes that it leaves."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    show(asyncio.run(measure(establishments)), as_json=as_json)


async def measure(size: int) -> list[Result]:
    """Publish all, then start the aggregator; weigh at the end."""
    uais = uais_of(size)
    sent = _Sent()
    async with servers() as these, home(these, "history", registry(uais)) as here, watch(here) as watching:
        say(f"publishing the school years of {size:,} establishments")
        await publish(these.bootstrap, here.prefix, sent.messages(uais))
        say(f"replaying {sent.reports:,} reports, {sent.facts:,} facts, {sent.megabytes:,.0f} MB")
        started = time.perf_counter()
        async with aggregators(here, now=NOW) as running:
            seconds = await watching.until(sent.reports) - started
            memory = running.memory_mb()
        weight = await _weigh(here)
    return [
        figure("history.replay", round(seconds * AIM / size, 1), "s"),
        figure("history.replay.reports", round(sent.reports / seconds), "reports/s"),
        figure("history.replay.facts", round(sent.facts / seconds), "facts/s"),
        figure("history.replay.memory", memory, "MB"),
        *_weights(*weight, sent.facts, size),
    ]


class _Sent:
    """Counts what it hands on."""

    def __init__(self) -> None:
        self.reports = self.facts = 0
        self.megabytes = 0.0

    def messages(self, uais: list[str]) -> Iterator[Message]:
        works = school_years(uais, FIRST, LAST, HOURS_FROM)
        return chain.from_iterable(self._counted(work.messages, work.reports, work.facts) for work in works)

    def _counted(self, messages: list[Message], reports: int, facts: int) -> list[Message]:
        self.reports += reports
        self.facts += facts
        self.megabytes += sum(len(message.value) for message in messages) / 1e6
        return messages


async def _weigh(here: Home) -> tuple[int, int, int]:
    """Bytes of bundles, bytes of sheets and cells of sheets, after a vacuum."""
    say("vacuuming and weighing")
    connection = await asyncpg.connect(plain(here.url))
    try:
        await connection.execute("vacuum analyze usage.bundles, usage.sheets")
        return tuple(await connection.fetchrow(WEIGH))
    finally:
        await connection.close()


def _weights(reports: int, sheets: int, cells_of_sheets: int, cells_of_reports: int, size: int) -> Iterator[Result]:
    """Reports are what is known; sheets are folded from them and can be made again."""
    yield figure("history.establishment_year", round((reports + sheets) / size / 1e6, 2), "MB")
    yield figure("history.cell", round((reports + sheets) / (cells_of_reports + cells_of_sheets), 1), "bytes/cell")
    yield figure("history.cell.reports", round(reports / cells_of_reports, 1), "bytes/cell")
    yield figure("history.cell.sheets", round(sheets / cells_of_sheets, 1), "bytes/cell")


if __name__ == "__main__":
    main()
