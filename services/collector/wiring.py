"""Which parts an agent's settings ask for; what is not asked for is not even imported, so that the process stays small."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from services.collector import process
from services.collector.agent import Agent
from services.collector.keys import KeyRing
from services.collector.state import open_state

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.collector.agent import Outlet
    from services.collector.config import AgentSettings
    from services.collector.gateway import Gateway
    from services.collector.hello import Greeter
    from services.collector.store import Store


@asynccontextmanager
async def agent_of(settings: AgentSettings) -> AsyncIterator[tuple[Agent, Store]]:
    """The agent on its state, which it holds alone; told to stop by signals, closed at the end."""
    process.leave_no_dump()
    keys = KeyRing(settings.key)
    gateway = gateway_of(settings)
    with open_state(settings.state, settings.clock.real_now()) as store:
        agent = Agent(settings, store, outlet_of(settings, gateway, keys), greeter_of(settings, gateway, keys))
        process.on_stop(agent.stopping.set)
        try:
            yield agent, store
        finally:
            await agent.close()
            if gateway:
                await gateway.close()


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
