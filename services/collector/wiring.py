"""Which parts an agent's settings ask for; what is not asked for is not even imported, so that the process stays small."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from services.collector import process
from services.collector.agent import Agent
from services.collector.errors import StateUnavailableError
from services.collector.keys import KeyRing
from services.collector.orders import orders
from services.collector.state import open_state
from services.collector.store import Store
from services.collector.version import agent_version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from services.collector.agent import Outlet
    from services.collector.config import AgentSettings
    from services.collector.gateway import Gateway
    from services.collector.hello import Greeter


@asynccontextmanager
async def agent_of(settings: AgentSettings) -> AsyncIterator[tuple[Agent, Store]]:
    """The agent on its state, which it holds alone; told to stop by signals, closed at the end."""
    process.leave_no_dump()
    keys = KeyRing(settings.key)
    gateway = gateway_of(settings)
    with open_state(settings.state, settings.clock.real_now()) as store:
        agent = Agent(settings, store, outlet_of(settings, gateway, keys), greeter_of(settings, gateway, keys))
        try:
            with process.on_stop(agent.stopping.set):
                yield agent, store
        finally:
            await agent.close()
            if gateway:
                await gateway.close()


@contextmanager
def looking_at(settings: AgentSettings) -> Iterator[tuple[AgentSettings, Store | None]]:
    """The settings as they are to be obeyed by what is known, and the state as it stands: nothing is written, nobody is asked."""
    if not settings.state.exists():
        yield settings, None
        return
    try:
        with closing(Store(settings.state, read_only=True)) as store:
            known = store.memory.knowledge()
            if known.answer is None:
                yield settings, store
                return
            ordered = orders(settings, known, agent_version())
            clock = settings.clock.corrected(timedelta(seconds=known.ahead))
            yield replace(settings, establishments=ordered.establishments, clock=clock), store
    except sqlite3.DatabaseError as error:
        raise StateUnavailableError(f"{settings.state} cannot be read ({error}): has this agent run yet?") from error


def gateway_of(settings: AgentSettings) -> Gateway | None:
    """The platform's door, where the settings name one."""
    if not settings.gateway.url:
        return None
    from services.collector.gateway import Gateway  # noqa: PLC0415 - as the module says

    return Gateway(settings.gateway.url, ca=Path(settings.gateway.ca) if settings.gateway.ca else None)


def greeter_of(settings: AgentSettings, gateway: Gateway | None, keys: KeyRing) -> Greeter | None:
    """Who says hello at that door."""
    if gateway is None:
        return None
    from services.collector.hello import Greeter  # noqa: PLC0415 - as the module says

    return Greeter(settings, gateway, keys)


def outlet_of(settings: AgentSettings, gateway: Gateway | None, keys: KeyRing) -> Outlet:
    """Where reports leave."""
    if gateway is not None and settings.publishes_by == "https":
        from services.collector.https_outlet import HttpsOutlet  # noqa: PLC0415 - as the module says

        return HttpsOutlet(gateway, settings.agent, keys)
    from services.collector.publisher import Publisher  # noqa: PLC0415 - as the module says

    return Publisher(settings.bootstrap, settings.agent, keys, settings.kafka)
