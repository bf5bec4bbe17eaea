"""Three brokers, each message on two of them: leaders lost, all away for long. Agents count on in constant space, publish when they can."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from contracts.usage_reported import TOPIC
from tests.chaos.agent_process import REACHED, heard, start
from tests.chaos.outage import expect_constant_space, observed_until
from tests.chaos.scene import Scene, scene
from tests.support.agents import finished
from tests.support.brokers import Brokers, three_brokers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.brokers import Broker

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("cluster")]

EDGE = datetime(2026, 9, 1, 0, 45, tzinfo=ZoneInfo("Europe/Paris"))
"""The school year is three quarters of an hour old in Paris; overseas it has not begun, or is hours old."""


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
    cluster.brokers.kill()
    await expect_constant_space(cluster.scene, cluster.scene.agent)
    cluster.brokers.start()
    cluster.scene.agent.run()
    await cluster.scene.expect_truth("brokers that were away for long")
    assert observed_until(cluster.scene) is not None
