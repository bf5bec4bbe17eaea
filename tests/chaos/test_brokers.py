"""Kafka restarted, killed, without its leaders, away for long: agents count on in constant space, publish when they can, and no number moves."""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from contracts.usage_reported import TOPIC
from tests.chaos.agent_process import start
from tests.chaos.asking import readers
from tests.chaos.scene import PATIENCE_S, Scene, scene
from tests.support.agents import finished
from tests.support.brokers import Brokers, three_brokers
from tests.support.territories import CANARY, connection, uai

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.agents import Agent
    from tests.support.brokers import Broker

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stacks")]

EDGE = datetime(2026, 9, 1, 0, 45, tzinfo=ZoneInfo("Europe/Paris"))
"""The school year is three quarters of an hour old in Paris; overseas it has not begun, or is hours old."""
UNPLUGGED = uai(750016)
"""Whose journals are not there until its source is plugged in."""


# --- the stack's own broker


@pytest.mark.fault(row=3)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["clean", "killed"])
async def test_the_broker_restarted_while_agents_publish(faults: Scene, number: signal.Signals):
    """Producers and consumers find their way back; readers notice nothing."""
    faults.grow()
    restarts = faults.node("kafka")["restarts"]
    async with readers(faults) as answers:
        process = start(faults.agent, "before-publishing", 1, "tell")
        await until_reached(process)
        faults.signal("kafka", number)
        await faults.until_ready("kafka", restarts + 1)
        await asyncio.to_thread(finished, process)
    assert set(answers.statuses) == {200}, answers.statuses
    await faults.expect_truth(f"a broker restarted by {number.name}")


async def until_reached(process: subprocess.Popen[str]) -> None:
    assert process.stdout
    while "reached" not in (line := await asyncio.to_thread(process.stdout.readline)):
        assert line, "it ended before"


# --- three brokers, each message on two of them


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
            number = min(topic["partitions"], key=lambda each: each["partition"])["leader"]
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
        await until_reached(process)
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
    process = cluster.scene.agent.start()
    await until_said(process, "not_delivered")
    cluster.brokers.start()
    await asyncio.to_thread(finished, process)
    await cluster.scene.expect_truth("too few brokers")


async def until_said(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout
    async with asyncio.timeout(PATIENCE_S):
        while words not in (line := await asyncio.to_thread(process.stdout.readline)):
            assert line, "it ended before"


@pytest.mark.fault(row=4)
async def test_without_any_broker_for_long(cluster: Cluster):
    """Cut off, an agent holds one row for each period that changed, however much is said; what is late is said to be."""
    lines = cluster.scene.feed.folder / UNPLUGGED / "gone"
    cluster.brokers.kill()
    with follower(cluster.scene.agent) as process:
        cluster.scene.grow()
        plug_in(lines / "first.ndjson", cluster.scene.now, 200)
        await until_said(process, "not_delivered")
        await until_read(cluster.scene, lines / "first.ndjson")
        held = rows(cluster.scene.memory)
        for number in range(3):
            cluster.scene.grow()
            plug_in(lines / f"{number}.ndjson", cluster.scene.now, 3000)
            await until_read(cluster.scene, lines / f"{number}.ndjson")
    assert observed_until(cluster.scene) is None, "nothing is pretended about what nobody has heard of"
    assert rows(cluster.scene.memory) == held
    cluster.brokers.start()
    cluster.scene.agent.run()
    await cluster.scene.expect_truth("brokers that were away for long")
    assert observed_until(cluster.scene) is not None


@contextmanager
def follower(agent: Agent) -> Iterator[subprocess.Popen[str]]:
    raise NotImplementedError


def plug_in(journal: Path, now: datetime, number: int) -> None:
    raise NotImplementedError


async def until_read(scene: Scene, journal: Path) -> None:
    raise NotImplementedError


def rows(memory: Path) -> int:
    raise NotImplementedError


def observed_until(scene: Scene) -> str | None:
    raise NotImplementedError
