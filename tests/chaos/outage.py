"""An agent that nobody hears, the files it reads meanwhile, and what it holds of them."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.chaos.agent_process import heard
from tests.chaos.scene import PATIENCE_S
from tests.support.agents import finished
from tests.support.territories import CANARY, connection, uai

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.scene import Scene
    from tests.support.agents import Agent

UNPLUGGED = uai(750016)
"""Whose journals are not there until its source is plugged in."""
PEOPLE = 100


def plug_in(scene: Scene, lines: int) -> Path:
    """A new file of connections of a hundred people in one hour."""
    at = scene.now - timedelta(minutes=30)
    journal = scene.feed.folder / UNPLUGGED / "gone" / f"{lines}.ndjson"
    journal.parent.mkdir(exist_ok=True)
    facts = [connection(at, f"{CANARY}-{(lines + number) % PEOPLE}") for number in range(lines)]
    journal.write_text("".join(json.dumps(fact) + "\n" for fact in facts), "utf-8")
    return journal


async def follow_until_read(agent: Agent, journal: Path, memory: Path) -> None:
    """One that goes on for ever, until it has said that nobody takes its reports and has read a file to its end."""
    settings = agent.settings.with_name("hasty.toml")
    settings.write_text(re.sub("cadence_seconds = .*", "cadence_seconds = 0.5", agent.settings.read_text("utf-8")))
    process = replace(agent, settings=settings).start(follow=True)
    await heard(process, "not_delivered")
    async with asyncio.timeout(PATIENCE_S):
        while (journal.stat().st_size,) not in asked(memory, "select position from file"):
            await asyncio.sleep(0.1)
    process.terminate()
    await asyncio.to_thread(finished, process)


def asked(memory: Path, sql: str, *arguments: str) -> list[tuple[int, ...]]:
    with closing(sqlite3.connect(f"{memory.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(sql, arguments).fetchall()


def held(memory: Path) -> list[tuple[int, ...]]:
    """How many periods, cells and people it holds of the establishment that was plugged in."""
    of_it = "period where establishment = (select id from establishment where uai = ?1)"
    sets = "people_set where establishment = (select id from establishment where uai = ?1)"
    counts = (
        f"select (select count(*) from {of_it}), (select count(*) from cell where period in (select id from {of_it})), "
        f"(select count(*) from person where people_set in (select id from {sets}))"
    )
    return asked(memory, counts, UNPLUGGED)


def observed_until(scene: Scene) -> str | None:
    """The latest of its sources, as the console shows it."""
    lines = [line for line in scene.stack.json("/freshness") if line["uai"] == UNPLUGGED]
    assert lines
    return max((line["observed_until"] for line in lines if line["observed_until"]), default=None)


async def expect_constant_space(scene: Scene, agent: Agent) -> None:
    """Cut off, an agent holds one row for each period that changed, however much is said; what is late is said to be."""
    await follow_until_read(agent, plug_in(scene, 200), scene.memory)
    before = held(scene.memory)
    for number in range(3):
        scene.grow()
        await follow_until_read(agent, plug_in(scene, 2000 + number), scene.memory)
    assert observed_until(scene) is None, "nothing is pretended of what nobody has heard of"
    assert held(scene.memory) == before
