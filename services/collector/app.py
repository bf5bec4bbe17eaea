"""Wiring of an agent's process: settings, state, key, Kafka, signals."""

from __future__ import annotations

import asyncio
import resource
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from services.collector.agent import Agent
from services.collector.keys import read_key
from services.collector.publisher import Publisher
from services.collector.restating import recount
from services.collector.state import open_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from services.collector.config import AgentSettings
    from services.collector.store import Store


async def run_agent(settings: AgentSettings, *, until_idle: bool) -> None:
    """Run until the sources are idle, or until SIGTERM or SIGINT."""
    with _agent(settings) as (agent, _):
        await _run(agent, until_idle=until_idle)


async def restate(settings: AgentSettings, since: date) -> dict[str, list[int]]:
    """Count again what lies since a date and publish it; returns, by UAI, the known files that are gone."""
    with _agent(settings) as (agent, store):
        gone = {each.uai: recount(each, store, since, settings.clock) for each in settings.establishments}
        await _run(agent, until_idle=True)
    return gone


@contextmanager
def _agent(settings: AgentSettings) -> Iterator[tuple[Agent, Store]]:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash dump would hold the lines in hand
    key = read_key(settings.key)
    with open_state(settings.state, settings.clock.real_now()) as store:
        yield Agent(settings, store, Publisher(settings.bootstrap, settings.agent, key)), store


async def _run(agent: Agent, *, until_idle: bool) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, agent.stopping.set)
    try:
        await (agent.run_until_idle() if until_idle else agent.run())
    finally:
        await agent.close()
