"""The agents that are out there: their hellos, the rotation of their keys, orders to send again, who is silent."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.clock import Clock
from contracts.fleet import AgentStatus, AgentStatuses, Hello, HelloAnswer
from contracts.registry import AgentKey
from contracts.signing import public_from_text, verify
from services.identity import errors
from services.identity.change import Changes
from services.identity.enrolment import KEY_LEEWAY
from services.identity.fleet_store import FleetStore
from services.identity.messages import read_hello
from services.identity.particulars import is_id
from services.identity.presence import Expectations, Presence, copied, heard, is_replay, status_of
from services.identity.rights_board import RightsBoard
from services.identity.served import served_by

ROTATION_OVERLAP = timedelta(days=7)
"""How long an agent's old key goes on beside the next: messages signed with it may still wait on a disk or in Kafka."""
MAX_KEYS_IN_FORCE = 3
"""Rotation asks for two. A key that was stolen cannot fill the registry."""


class Fleet(Changes):
    """Answers hellos and tells how agents are."""

    def __init__(self, engine: AsyncEngine, board: RightsBoard, clock: Clock, expected: Expectations) -> None:
        super().__init__(engine, board, clock)
        self._expected = expected

    async def hello(self, body: bytes, agent: str, signature: bytes) -> HelloAnswer:
        """Note that an agent is there, register the next key it brings, and tell it what to obey.

        `BadSignatureError` unless a key of the agent in force has signed the body; `TooManyKeysError` for a next key beyond measure.
        An old hello played again is answered and changes nothing.
        """
        now = self._clock.real_now()
        if not is_id(agent):
            raise errors.BadSignatureError
        async with self._snapshot() as (store, fleet):
            keys = await store.keys(agent)
            known = (await fleet.presences([agent])).get(agent)
        signer = _signer(keys, signature, body, now)
        hello = read_hello(body, agent)
        replayed = known is not None and is_replay(known, hello.sent_at, now)
        presence = heard(known, hello, now)
        if presence is not None:
            await self._keep(presence)
        if hello.next_public_key and not replayed:
            await self._rotate(hello, now)
        copies = copied(presence or known, now, self._expected.cadence)
        return await self._answer(agent, signer, now, copies=copies)

    async def _keep(self, presence: Presence) -> None:
        """No change of the registry: nobody's rights depend on it."""
        async with self._engine.begin() as connection:
            await FleetStore(connection).put_presence(presence)

    async def _rotate(self, hello: Hello, now: datetime) -> None:
        """Register the next key, once; the others end after the overlap."""
        async with self._snapshot() as (store, _):
            keys = await store.keys(hello.agent)
        if any(key.public_key == hello.next_public_key for key in keys):
            return
        async with self._change() as change:
            keys = await change.store.keys(hello.agent)
            if sum(key.valid_at(now) for key in keys) >= MAX_KEYS_IN_FORCE:
                raise errors.TooManyKeysError
            await change.store.put_key(AgentKey(hello.agent, hello.next_public_key, now - KEY_LEEWAY))
            await change.fleet.end_keys(hello.agent, now + ROTATION_OVERLAP, but=hello.next_public_key)
            change.touch("agent", [hello.agent])

    async def _answer(self, agent: str, signer: str, now: datetime, *, copies: bool) -> HelloAnswer:
        """Standings are the aggregator's to tell: the gateway adds them."""
        async with self._snapshot() as (store, fleet):
            served = await served_by(store, agent, self._clock.now())
            ends = [key.valid_to for key in await store.keys(agent) if key.public_key == signer]
            return HelloAnswer(
                server_time=self._clock.real_now(),
                minimum_version=self._expected.minimum_version,
                cadence_seconds=self._expected.cadence.total_seconds(),
                establishments=served.establishments,
                grants=served.grants,
                resend=await fleet.resend(agent),
                key_until=ends[0] if ends else now,
                copies=copies,
            )

    async def statuses(self, uais: Collection[str] | None = None) -> AgentStatuses:
        """How the agents are that have a grant for one of these establishments; None: every agent."""
        now = self._clock.real_now()
        async with self._snapshot() as (store, fleet):
            served: dict[str, set[str]] = {} if uais is not None else {agent: set() for agent in await store.agents()}
            for grant in await store.grants(uais):
                served.setdefault(grant.agent, set()).add(grant.uai)
            presences = await fleet.presences(served)
            in_force = {key.agent for key in await store.keys() if key.valid_at(now)}
        found: list[AgentStatus] = [
            status_of(agent, mine, presences.get(agent), now, self._expected, revoked=agent not in in_force)
            for agent, mine in sorted(served.items())
        ]
        return AgentStatuses(self._expected.silent_before(now), found)

    async def revoke(self, agent: str) -> int:
        """End every key and every code of an agent now; how many keys ended. Its grants stay: what it reported was granted."""
        async with self._change() as change:
            if not await change.store.agents([agent]):
                raise errors.UnknownAgentError(f"no agent has the id {agent!r}")
            now = self._clock.real_now()
            await change.fleet.revoke_invitations(now, agent=agent)
            change.touch("agent", [agent])
            return await change.fleet.end_keys(agent, now)

    async def order_resend(self, agents: Sequence[str], since: date) -> list[str]:
        """Ask agents to send again every kept period that ends on `since` or later; no agents: all. Their ids."""
        async with self._change() as change:
            asked = list(agents) or await change.store.agents()
            ordered = await change.fleet.order_resend(asked, since)
            if unknown := set(asked) - set(ordered):
                raise errors.UnknownAgentError(f"no agent has the id {min(unknown)!r}")
            change.touch("agent", sorted(ordered))
            return sorted(ordered)


def _signer(keys: Sequence[AgentKey], signature: bytes, body: bytes, now: datetime) -> str:
    """The key in force that has signed; nobody learns whether the agent exists, or its key has ended."""
    for key in keys:
        if key.valid_at(now) and verify(public_from_text(key.public_key), signature, body):
            return key.public_key
    raise errors.BadSignatureError
