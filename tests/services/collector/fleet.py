"""An enrolled agent in a folder of its own, for tests of what it and the platform say to each other."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from services.collector.agent import Agent
from services.collector.config import read_settings
from services.collector.enrolment import Enrolment, Request, enrol
from services.collector.gateway import Gateway
from services.collector.hello import Greeter
from services.collector.https_outlet import HttpsOutlet
from services.collector.keys import KeyRing
from services.collector.state import open_state
from tests.services.collector.school import NOW, UAI, connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.support.fleet_platform import FleetPlatform

FAMILIES = ("web", "software", "people", "activities.scolarite", "observed.journal")


def write_journal(folder: Path, *lines: str, uai: str = UAI) -> Path:
    """A journal of an establishment under `sources/`, and the settings that read it."""
    place = folder / "sources" / uai
    place.mkdir(parents=True, exist_ok=True)
    (place / "agent.toml").write_text('journal = "journal*"\n')
    with (place / "journal.ndjson").open("a") as file:
        file.writelines(f"{line}\n" for line in lines)
    return place / "journal.ndjson"


def seen(day: str = "2026-11-19", who: str = "u1") -> str:
    return connection(f"{day}T08:00:00+01:00", who)


async def enrolled(platform: FleetPlatform, folder: Path, **request: object) -> Enrolment:
    settings = folder / "agent.toml"
    asked = {"url": platform.url, "code": "code-1", "settings": settings, "folder": folder, **request}
    return await enrol(Request(**asked), NOW)  # type: ignore[arg-type]


@asynccontextmanager
async def agent_in(folder: Path) -> AsyncIterator[Agent]:
    """The agent of a folder's settings, closed at the end."""
    settings = read_settings(folder / "agent.toml")
    gateway, keys = Gateway(settings.gateway.url), KeyRing(settings.key)
    with open_state(settings.state, NOW) as store:
        agent = Agent(settings, store, HttpsOutlet(gateway, settings.agent, keys), Greeter(settings, gateway, keys))
        try:
            yield agent
        finally:
            await agent.close()
            await gateway.close()


async def run_until_idle(folder: Path) -> None:
    async with agent_in(folder) as agent:
        await agent.run_until_idle()


async def running(folder: Path, story: Callable[[], None]) -> None:
    """The agent runs while `story`, on a thread of its own, looks at the platform and changes it."""
    async with agent_in(folder) as agent:
        task = asyncio.create_task(agent.run())
        try:
            await asyncio.to_thread(story)
        finally:
            agent.stopping.set()
            await task
