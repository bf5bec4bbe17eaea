"""SQL of invitations, hellos and orders to send again. Never commits: the service opens the transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta

import msgspec
from sqlalchemy import ARRAY, ColumnElement, Row, Text, any_, cast, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.fleet import Resend
from contracts.registry import Grant
from services.identity.presence import Presence
from services.identity.tables import agent_keys, agents, hellos, invitations


class Invitation(msgspec.Struct, frozen=True):
    """A code as it may be shown: never the code. `overlap`: how long the agent's older keys go on once it has enrolled."""

    id: str
    agent: str
    grants: tuple[Grant, ...]
    overlap: timedelta
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    used_at: datetime | None = None
    public_key: str | None = None

    def opens_to(self, public_key: str, now: datetime) -> bool:
        """Whether this key may still enrol: nobody has, or the same key did and its answer may have been lost."""
        return self.revoked_at is None and now < self.expires_at and self.public_key in (None, public_key)

    def state(self, now: datetime) -> str:
        if self.revoked_at:
            return "revoked"
        if self.used_at:
            return "used"
        return "open" if now < self.expires_at else "expired"


class FleetStore:
    """What concerns agents beside their keys and grants, on one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    # invitations

    async def put_invitation(self, given: Invitation, digest: bytes) -> None:
        row = {**msgspec.structs.asdict(given), "grants": msgspec.to_builtins(given.grants), "digest": digest}
        await self._connection.execute(insert(invitations).values(row))

    async def invitation(self, digest: bytes) -> Invitation | None:
        found = await self._invitations(invitations.c.digest == digest)
        return found[0] if found else None

    async def invitations(self) -> list[Invitation]:
        """Every invitation, oldest first."""
        return await self._invitations()

    async def _invitations(self, *conditions: ColumnElement[bool]) -> list[Invitation]:
        columns = (getattr(invitations.c, name) for name in Invitation.__struct_fields__)
        statement = select(*columns).where(*conditions).order_by(invitations.c.created_at, invitations.c.id)
        return [_invitation(row) for row in await self._connection.execute(statement)]

    async def use_invitation(self, invitation_id: str, public_key: str, at: datetime) -> None:
        used = update(invitations).where(invitations.c.id == invitation_id).values(public_key=public_key, used_at=at)
        await self._connection.execute(used)

    async def revoke_invitations(
        self, at: datetime, *, invitation_id: str | None = None, agent: str | None = None
    ) -> int:
        """How many there were, of that id or of that agent; those revoked already keep their instant."""
        which = invitations.c.id == invitation_id if agent is None else invitations.c.agent == agent
        revoked = update(invitations).where(which).values(revoked_at=func.coalesce(invitations.c.revoked_at, at))
        return (await self._connection.execute(revoked)).rowcount

    # keys

    async def end_keys(self, agent: str, at: datetime, *, but: str = "") -> int:
        """End at that instant the agent's keys that would go on, `but` one; how many."""
        ending = func.greatest(agent_keys.c.valid_from, at)
        goes_on = or_(agent_keys.c.valid_to.is_(None), agent_keys.c.valid_to > at)
        statement = update(agent_keys).where(agent_keys.c.agent == agent, agent_keys.c.public_key != but, goes_on)
        return (await self._connection.execute(statement.values(valid_to=ending))).rowcount

    # hellos

    async def put_presence(self, presence: Presence) -> None:
        fields = msgspec.structs.asdict(presence)
        statement = insert(hellos).values(fields)
        await self._connection.execute(statement.on_conflict_do_update(index_elements=["agent"], set_=fields))

    async def presences(self, ids: Collection[str]) -> dict[str, Presence]:
        """The last hellos of these agents."""
        columns = (getattr(hellos.c, name) for name in Presence.__struct_fields__)
        asked = any_(cast(list(ids), ARRAY(Text)))
        rows = await self._connection.execute(select(*columns).where(hellos.c.agent == asked))
        return {row.agent: Presence(*row) for row in rows}

    # orders to send again

    async def order_resend(self, ids: Sequence[str], since: date) -> list[str]:
        """Give these agents a new order; the ids of those that exist."""
        asked = agents.c.id == any_(cast(list(ids), ARRAY(Text)))
        order = {"resend_id": agents.c.resend_id + literal(1), "resend_since": since}
        statement = update(agents).where(asked).values(order).returning(agents.c.id)
        return list((await self._connection.execute(statement)).scalars())

    async def resend(self, agent: str) -> Resend | None:
        """The agent's last order."""
        statement = select(agents.c.resend_id, agents.c.resend_since).where(agents.c.id == agent)
        row = (await self._connection.execute(statement)).first()
        return Resend(row.resend_id, row.resend_since) if row and row.resend_since else None


def _invitation(row: Row[tuple[object, ...]]) -> Invitation:
    return Invitation(**{**row._asdict(), "grants": msgspec.convert(row.grants, tuple[Grant, ...])})
