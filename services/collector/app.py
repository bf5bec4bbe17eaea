"""What an agent's commands start: the loop, a restatement, the replacement of its key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.collector.errors import SettingsError, StateInUseError
from services.collector.keys import KeyRing
from services.collector.restating import Recount, recount
from services.collector.wiring import agent_of

if TYPE_CHECKING:
    from datetime import date

    from services.collector.config import AgentSettings


async def run_agent(settings: AgentSettings, *, until_idle: bool) -> None:
    """Run until the sources are idle, or until SIGTERM or SIGINT."""
    async with agent_of(settings) as (agent, _):
        await (agent.run_until_idle() if until_idle else agent.run())


async def restate(settings: AgentSettings, since: date) -> dict[str, Recount]:
    """Count again what lies since a date and publish it; returns, by UAI, what the sources no longer tell."""
    async with agent_of(settings) as (agent, store):
        ordered = await agent.meet()
        done = {each.uai: recount(each, store, since, ordered.clock) for each in ordered.establishments}
        await agent.run_until_idle()
    return done


async def rotate_key(settings: AgentSettings) -> dict[str, Any]:
    """A new key, announced at once unless a running agent holds the state: then by that one, at its next hello."""
    if not settings.gateway.url:
        raise SettingsError("settings", "gateway.url", "is needed: a key is replaced through the gateway")
    KeyRing(settings.key).prepare_next()
    try:
        async with agent_of(settings) as (agent, store):
            await agent.meet()
            answer = store.memory.knowledge().answer
            return {"replaced": True, "old_valid_until": str(answer.key_until) if answer and answer.key_until else None}
    except StateInUseError:
        return {"replaced": False, "old_valid_until": None}
