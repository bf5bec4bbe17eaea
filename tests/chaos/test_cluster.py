"""Three brokers, each message on two of them: leaders lost, all away for long. Agents count on in constant space, publish when they can."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from contracts.usage_reported import TOPIC
from tests.chaos.agent_process import REACHED, heard, start
from tests.chaos.scene import PATIENCE_S, Scene, scene
from tests.support.agents import finished
from tests.support.brokers import Brokers, three_brokers
from tests.support.territories import CANARY, connection, uai

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.brokers import Broker

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("cluster")]

EDGE = datetime(2026, 9, 1, 0, 45, tzinfo=ZoneInfo("Europe/Paris"))
"""The school year is three quarters of an hour old in Paris; overseas it has not begun, or is hours old."""
UNPLUGGED = uai(750016)
"""Whose journals are not there until its source is plugged in."""


@dataclass
class Cluster:
    scene: Scene
    brokers: Brokers

    async def leader(self) -> Broker:
        """Of the first partition."""
        running = ",".join(f"127.0.0.1:{node.port}" for node in self.brokers.nodes if node.process)
        client = AIOKafkaAdminClient(bootstrap_servers=running)
        await client.start()
        try:
            (topic,) = await client.describe_topics([TOPIC])
            number: int = min(topic["partitions"], key=lambda each: each["partition"])["leader"]
        finally:
            await client.close()
        return self.brokers.nodes[number - 1]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with (
        three_brokers(folder) as brokers,
        scene(folder, pieces=12, now=EDGE, brought={"TERRITORIALE_KAFKA": brokers.bootstrap}) as built,
    ):
        yield Cluster(built, brokers)


@pytest.mark.fault(row=8)
async def test_the_edge_of_a_school_year(cluster: Cluster):
    """Three quarters of an hour into it, with establishments that live in the old one still, and others ahead."""
    cluster.scene.grow()
    cluster.scene.agent.run()
    await cluster.scene.expect_truth("the edge of a school year")


@pytest.mark.fault(row=3)
async def test_leaders_lost_one_after_the_other(cluster: Cluster):
    """Two of three remain, then two others: everything is taken, read and shown without the third."""
    for _ in range(2):
        cluster.scene.grow()
        process = start(cluster.scene.agent, "before-publishing", 1, "tell")
        await heard(process, REACHED)
        leader = await cluster.leader()
        leader.kill()
        await asyncio.to_thread(finished, process)
        await cluster.scene.expect_truth("a leader lost")
        cluster.brokers.start()


@pytest.mark.fault(row=3)
async def test_too_few_brokers_take_nothing_and_lose_nothing(cluster: Cluster):
    """One of three would take messages that its own end would lose: it must refuse, and the agent must wait."""
    cluster.scene.grow()
    for node in cluster.brokers.nodes[1:]:
        node.kill()
    process = start(cluster.scene.agent, "before-publishing", 1, "tell")
    await heard(process, "not_delivered")
    cluster.brokers.start()
    await asyncio.to_thread(finished, process)
    await cluster.scene.expect_truth("too few brokers")


@pytest.mark.fault(row=4)
async def test_without_any_broker_for_long(cluster: Cluster):
    """Cut off, an agent holds one row for each period that changed, however much is said; what is late is said to be."""
    cluster.brokers.kill()
    await follow_until_read(cluster.scene, plug_in(cluster.scene, 200))
    held = rows(cluster.scene.memory)
    for number in range(3):
        cluster.scene.grow()
        await follow_until_read(cluster.scene, plug_in(cluster.scene, 2000 + number))
    assert observed_until(cluster.scene) is None, "nothing is pretended of what nobody has heard of"
    assert rows(cluster.scene.memory) == held
    cluster.brokers.start()
    cluster.scene.agent.run()
    await cluster.scene.expect_truth("brokers that were away for long")
    assert observed_until(cluster.scene) is not None


def plug_in(cluster: Scene, lines: int) -> Path:
    """A new file of connections of a hundred people in one hour."""
    at = cluster.now - timedelta(minutes=30)
    journal = cluster.feed.folder / UNPLUGGED / "gone" / f"{lines}.ndjson"
    journal.parent.mkdir(exist_ok=True)
    facts = [connection(at, f"{CANARY}-{(lines + number) % 100}") for number in range(lines)]
    journal.write_text("".join(json.dumps(fact) + "\n" for fact in facts), "utf-8")
    return journal


async def follow_until_read(cluster: Scene, journal: Path) -> None:
    """An agent that goes on for ever, until it has said that nobody takes its reports and has read a file to its end."""
    settings = cluster.agent.settings.with_name("hasty.toml")
    settings.write_text(
        re.sub("cadence_seconds = .*", "cadence_seconds = 0.5", cluster.agent.settings.read_text("utf-8"))
    )
    process = replace(cluster.agent, settings=settings).start(follow=True)
    await heard(process, "not_delivered")
    async with asyncio.timeout(PATIENCE_S):
        while (journal.stat().st_size,) not in asked(cluster.memory, "select position from file"):
            await asyncio.sleep(0.1)
    process.terminate()
    await asyncio.to_thread(finished, process)


def asked(memory: Path, sql: str, *arguments: str) -> list[tuple[int, ...]]:
    with closing(sqlite3.connect(f"{memory.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(sql, arguments).fetchall()


def rows(memory: Path) -> list[tuple[int, ...]]:
    """How many periods, cells and people it holds of the establishment that was plugged in."""
    of_it = "period where establishment = (select id from establishment where uai = ?1)"
    sets = "people_set where establishment = (select id from establishment where uai = ?1)"
    counts = (
        f"select (select count(*) from {of_it}), (select count(*) from cell where period in (select id from {of_it})), "
        f"(select count(*) from person where people_set in (select id from {sets}))"
    )
    return asked(memory, counts, UNPLUGGED)


def observed_until(cluster: Scene) -> str | None:
    """The latest of its sources."""
    lines = [line for line in cluster.stack.json("/freshness") if line["uai"] == UNPLUGGED]
    assert lines
    return max((line["observed_until"] for line in lines if line["observed_until"]), default=None)
