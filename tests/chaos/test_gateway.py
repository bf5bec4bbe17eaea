"""Agents that report through the gateway: it dies or is away, their state is lost or doubled, the platform's data are old."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from deploy.local.ports import free_port
from tests.chaos.agent_process import REACHED, heard, start
from tests.chaos.outage import expect_constant_space, observed_until
from tests.support.agents import finished

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.scene import Scene
    from tests.support.agents import Agent

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("chaos")]

EVERYTHING = "2025-09-01"
DATA = "usage.bundles, usage.sheets, usage.parked"
"""All that the platform has been told, by the aggregator's tables."""


def through(faults: Scene, url: str = "") -> Agent:
    """The stack's agent, on its own state and key, with the gateway for a door."""
    settings = faults.agent.settings.with_name("by-gateway.toml")
    door = f'\n[gateway]\nurl = "{url or faults.stack.url}"\n'
    settings.write_text(faults.agent.settings.read_text("utf-8") + door, "utf-8")
    return replace(faults.agent, settings=settings)


def forget_state(faults: Scene) -> None:
    for path in faults.memory.parent.glob(f"{faults.memory.name}*"):
        path.unlink()


@pytest.mark.fault(row=1)
@pytest.mark.fault(row=4)
async def test_killed_while_an_agent_publishes_through_it(faults: Scene):
    faults.grow()
    process = start(through(faults), "before-publishing", 1, "tell")
    await heard(process, REACHED)
    restarts = faults.kill("gateway")
    await asyncio.to_thread(finished, process)
    await faults.until_ready("gateway", restarts)
    await faults.expect_truth("kill -9 of the gateway under an agent's reports")


@pytest.mark.fault(row=4)
async def test_away_for_long(faults: Scene):
    through(faults).run()
    await expect_constant_space(faults, through(faults, f"http://127.0.0.1:{free_port()}"))
    through(faults).run()
    await faults.expect_truth("a gateway that was away for long")
    assert observed_until(faults) is not None


@pytest.mark.fault(row=7)
async def test_two_copies_are_flagged(faults: Scene, tmp_path: Path):
    """A cloned machine says the same states, and its operator is told that there are two."""
    faults.grow()
    shutil.copytree(faults.memory.parent, tmp_path / "clone")
    original = through(faults)
    original.run()
    clone = replace(original, settings=tmp_path / "clone" / "by-gateway.toml")
    shutil.copy(original.settings, clone.settings)
    said = clone.run()
    assert "copies" in said or "copy" in said
    (status,) = (
        each for each in json.loads(faults.operator("admin", "agent", "list", "--json")) if each["agent"] == "local"
    )
    assert status["copied"]
    await faults.expect_truth("two copies of an agent")


@pytest.mark.fault(row=30)
async def test_a_state_lost_after_a_restatement(faults: Scene):
    """It would count from below what the platform knows, and be ignored for ever: hello tells it where the platform stands."""
    agent = through(faults)
    assert (
        faults.stack.command("agent", "restate", "--settings", str(agent.settings), "--since", EVERYTHING).returncode
        == 0
    )
    await faults.expect_truth("a restatement through the gateway")
    forget_state(faults)
    agent.run()
    await faults.expect_truth("a state lost after a restatement")
    faults.grow()
    assert (
        faults.stack.command("agent", "restate", "--settings", str(agent.settings), "--since", EVERYTHING).returncode
        == 0
    )
    await faults.expect_truth("a second restatement")


@pytest.mark.fault(row=33)
async def test_a_backup_that_knows_nothing_and_agents_that_are_asked_to_send_again(faults: Scene):
    """The worst backup is an empty one; Kafka's positions stand at the end, so all comes from the agents."""
    agent = through(faults)
    agent.run()
    await faults.expect_truth("before the backup is restored")
    async with faults.database() as root:
        await root.execute(f"truncate {DATA}")
    assert faults.differences(faults.oracle())
    faults.operator("admin", "agent", "resend", "--all", "--since", EVERYTHING)
    agent.run()
    await faults.expect_truth("agents that were asked to send again")
