"""All SQL of the registry. Stores never commit: the service opens the transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import ARRAY, ColumnElement, Select, Text, and_, cast, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.registry import AgentKey, Convention, Establishment, Grant, Territory
from services.identity.agreement import StoredConvention
from services.identity.scope import Agreed
from services.identity.tables import (
    agent_keys,
    agents,
    conventions,
    establishments,
    grants,
    memberships,
    outbox,
    rights_version,
    territories,
    tokens,
)

_PUT_ESTABLISHMENTS = text("""
    insert into identity.establishments as known (uai, name, type, zone, postal_codes, opened, closed)
    select uai, name, type, zone, postal_codes, opened, closed
    from json_to_recordset(cast(:rows as json)) as given
        (uai text, name text, type text, zone text, postal_codes text[], opened date, closed date)
    on conflict (uai) do update
    set (name, type, zone, postal_codes, opened, closed)
      = (excluded.name, excluded.type, excluded.zone, excluded.postal_codes, excluded.opened, excluded.closed)
""")
_PUT_MEMBERS = text("""
    insert into identity.memberships (territory, uai) select :territory, unnest(cast(:uais as text[]))
    on conflict do nothing
""")
_PUT_CONVENTIONS = text("""
    insert into identity.conventions (territory, uai, kind, valid_from, valid_to)
    select territory, uai, kind, valid_from, valid_to
    from json_to_recordset(cast(:rows as json)) as given
        (territory text, uai text, kind text, valid_from timestamptz, valid_to timestamptz)
""")
_PUT_GRANTS = text("""
    insert into identity.grants (agent, uai, family, from_day, to_day)
    select agent, uai, family, "from", "to"
    from json_to_recordset(cast(:rows as json)) as given (agent text, uai text, family text, "from" date, "to" date)
    on conflict do nothing
""")
_REMOVE_GRANTS = text("""
    delete from identity.grants held
    using json_to_recordset(cast(:rows as json)) as given (agent text, uai text, family text, "from" date, "to" date)
    where (held.agent, held.uai, held.family) = (given.agent, given.uai, given.family)
      and held.from_day is not distinct from given."from" and held.to_day is not distinct from given."to"
""")
_OVERLAPPING_GRANTS = text("""
    select later.agent, later.uai, later.family, later.from_day, later.to_day
    from identity.grants earlier join identity.grants later using (uai, family)
    where earlier.id < later.id and uai = any(:uais)
      and daterange(earlier.from_day, earlier.to_day, '[]') && daterange(later.from_day, later.to_day, '[]')
    order by later.id limit 1
""")


class TokenRow(msgspec.Struct, frozen=True):
    """An operator's token as it may be shown: never the token."""

    id: str
    territory: str
    label: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def usable(self, instant: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or instant < self.expires_at)


class RegistryStore:
    """The registry's rows, on one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def raise_version(self) -> int:
        """The next version. Holds its row until the transaction ends, so that changes take turns."""
        statement = insert(rights_version).values(only_row=True, version=1)
        raised = statement.on_conflict_do_update(
            index_elements=[rights_version.c.only_row], set_={"version": rights_version.c.version + 1}
        )
        return int((await self._connection.execute(raised.returning(rights_version.c.version))).scalar_one())

    async def version(self) -> int:
        """The version of the last change; 0 before the first."""
        return int((await self._connection.execute(select(rights_version.c.version))).scalar() or 0)

    async def leave_in_outbox(self, messages: Iterable[tuple[str, bytes]]) -> None:
        if rows := [{"key": key, "message": message} for key, message in messages]:
            await self._connection.execute(insert(outbox), rows)

    async def take_from_outbox(self, limit: int) -> list[tuple[int, str, bytes]]:
        """Oldest messages, locked: another relay passes over them."""
        statement = select(outbox.c.id, outbox.c.key, outbox.c.message).order_by(outbox.c.id).limit(limit)
        rows = await self._connection.execute(statement.with_for_update(skip_locked=True))
        return [(row.id, row.key, row.message) for row in rows]

    async def clear_outbox(self, ids: Collection[int]) -> None:
        await self._connection.execute(delete(outbox).where(outbox.c.id.in_(ids)))

    # territories and establishments

    async def put_territory(self, territory: Territory) -> None:
        fields = msgspec.structs.asdict(territory)
        statement = insert(territories).values(fields)
        await self._connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=fields))

    async def territories(self, ids: Collection[str] | None = None) -> list[Territory]:
        statement = select(territories).order_by(territories.c.id)
        rows = await self._connection.execute(_among(territories.c.id, ids, statement))
        return [Territory(*row) for row in rows]

    async def put_establishments(self, given: Sequence[Establishment]) -> None:
        await self._connection.execute(_PUT_ESTABLISHMENTS, {"rows": _json(given)})

    async def establishments(self, uais: Collection[str] | None = None) -> list[Establishment]:
        statement = select(establishments).order_by(establishments.c.uai)
        rows = await self._connection.execute(_among(establishments.c.uai, uais, statement))
        return [_establishment(row) for row in rows]

    async def put_members(self, territory: str, uais: Collection[str]) -> None:
        """Establishments that belong to the territory already stay as they are."""
        await self._connection.execute(_PUT_MEMBERS, {"territory": territory, "uais": list(uais)})

    async def members(self, territory: str) -> list[Establishment]:
        """The territory's establishments, with a convention or without."""
        statement = select(establishments).join(memberships).where(memberships.c.territory == territory)
        rows = await self._connection.execute(statement.order_by(establishments.c.uai))
        return [_establishment(row) for row in rows]

    async def remove_member(self, territory: str, uai: str) -> bool:
        """Whether it was one."""
        mine = and_(memberships.c.territory == territory, memberships.c.uai == uai)
        return (await self._connection.execute(delete(memberships).where(mine))).rowcount > 0

    # conventions

    async def put_conventions(self, given: Sequence[Convention]) -> None:
        await self._connection.execute(_PUT_CONVENTIONS, {"rows": _json(given)})

    async def end_conventions(self, ids: Collection[int], at: datetime) -> None:
        await self._connection.execute(update(conventions).where(conventions.c.id.in_(ids)).values(valid_to=at))

    async def conventions(
        self, territory: str | None = None, uais: Collection[str] | None = None
    ) -> list[StoredConvention]:
        """Conventions by establishment, oldest first."""
        statement = select(conventions).order_by(
            conventions.c.territory, conventions.c.uai, conventions.c.valid_from.asc().nulls_first(), conventions.c.id
        )
        if territory is not None:
            statement = statement.where(conventions.c.territory == territory)
        rows = await self._connection.execute(_among(conventions.c.uai, uais, statement))
        return [StoredConvention(row.id, Convention(*row[1:])) for row in rows]

    async def agreed(self, territory: str, now: datetime) -> list[Agreed]:
        """Establishments that have a convention with the territory, in force or to come, and all grants of each."""
        joined = select(conventions, establishments).join(establishments)
        statement = joined.where(
            conventions.c.territory == territory, or_(conventions.c.valid_to.is_(None), conventions.c.valid_to > now)
        ).order_by(establishments.c.uai, conventions.c.valid_from.asc().nulls_first())
        rows = (await self._connection.execute(statement)).all()
        granted: dict[str, list[Grant]] = {}
        for grant in await self.grants(uais={row.uai for row in rows}):
            granted.setdefault(grant.uai, []).append(grant)
        width = len(conventions.c)
        return [
            Agreed(_establishment(row[width:]), Convention(*row[1:width]), tuple(granted.get(row.uai, ())))
            for row in rows
        ]

    # agents, keys and grants

    async def put_agent(self, agent: str) -> None:
        await self._connection.execute(insert(agents).values(id=agent).on_conflict_do_nothing())

    async def agents(self, ids: Collection[str] | None = None) -> list[str]:
        statement = select(agents.c.id).order_by(agents.c.id)
        return list((await self._connection.execute(_among(agents.c.id, ids, statement))).scalars())

    async def put_key(self, key: AgentKey) -> bool:
        """Whether the key was new to its agent."""
        statement = insert(agent_keys).values(msgspec.structs.asdict(key)).on_conflict_do_nothing()
        return (await self._connection.execute(statement)).rowcount > 0

    async def end_key(self, agent: str, public_key: str, at: datetime) -> bool:
        """Whether there was such a key."""
        mine = and_(agent_keys.c.agent == agent, agent_keys.c.public_key == public_key)
        return (await self._connection.execute(update(agent_keys).where(mine).values(valid_to=at))).rowcount > 0

    async def keys(self, agent: str | None = None) -> list[AgentKey]:
        columns = (agent_keys.c.agent, agent_keys.c.public_key, agent_keys.c.valid_from, agent_keys.c.valid_to)
        statement = select(*columns).order_by(agent_keys.c.agent, agent_keys.c.id)
        if agent is not None:
            statement = statement.where(agent_keys.c.agent == agent)
        return [AgentKey(*row) for row in await self._connection.execute(statement)]

    async def put_grants(self, given: Sequence[Grant]) -> None:
        """Grants that are there already, with the same days, are left as they are."""
        await self._connection.execute(_PUT_GRANTS, {"rows": _json(given)})

    async def overlapping_grant(self, uais: Collection[str]) -> Grant | None:
        """The first grant of these establishments that covers days of an earlier one for the same family."""
        row = (await self._connection.execute(_OVERLAPPING_GRANTS, {"uais": list(uais)})).first()
        return Grant(*row) if row else None

    async def end_grant(self, agent: str, uai: str, family: str, last_day: date) -> bool:
        """Whether a grant covered `last_day`; it ends with that day."""
        mine = and_(grants.c.agent == agent, grants.c.uai == uai, grants.c.family == family)
        covers = and_(
            or_(grants.c.from_day.is_(None), grants.c.from_day <= last_day),
            or_(grants.c.to_day.is_(None), grants.c.to_day >= last_day),
        )
        statement = update(grants).where(mine, covers).values(to_day=last_day)
        return (await self._connection.execute(statement)).rowcount > 0

    async def remove_grants(self, given: Sequence[Grant]) -> None:
        """Grants that are not there, with the same days, are no concern."""
        await self._connection.execute(_REMOVE_GRANTS, {"rows": _json(given)})

    async def grants(self, uais: Collection[str] | None = None, agent: str | None = None) -> list[Grant]:
        columns = (grants.c.agent, grants.c.uai, grants.c.family, grants.c.from_day, grants.c.to_day)
        statement = select(*columns).order_by(grants.c.uai, grants.c.family, grants.c.from_day.asc().nulls_first())
        if agent is not None:
            statement = statement.where(grants.c.agent == agent)
        rows = await self._connection.execute(_among(grants.c.uai, uais, statement))
        return [Grant(*row) for row in rows]

    # operators' tokens

    async def put_token(self, row: TokenRow, digest: bytes) -> None:
        await self._connection.execute(insert(tokens).values(**msgspec.structs.asdict(row), digest=digest))

    async def token(self, digest: bytes) -> TokenRow | None:
        rows = await self._tokens(tokens.c.digest == digest)
        return rows[0] if rows else None

    async def revoke_token(self, token_id: str, at: datetime) -> bool:
        """Whether there is such a token; one that is revoked already keeps its instant."""
        revoked = func.coalesce(tokens.c.revoked_at, at)
        statement = update(tokens).where(tokens.c.id == token_id).values(revoked_at=revoked)
        return (await self._connection.execute(statement)).rowcount > 0

    async def tokens(self, territory: str | None = None) -> list[TokenRow]:
        return await self._tokens(tokens.c.territory == territory) if territory else await self._tokens()

    async def _tokens(self, *conditions: ColumnElement[bool]) -> list[TokenRow]:
        columns = (getattr(tokens.c, name) for name in TokenRow.__struct_fields__)
        statement = select(*columns).where(*conditions).order_by(tokens.c.created_at, tokens.c.id)
        return [TokenRow(*row) for row in await self._connection.execute(statement)]


def _json(rows: Sequence[msgspec.Struct]) -> str:
    return msgspec.json.encode(rows).decode()


def _establishment(row: Sequence[object]) -> Establishment:
    uai, name, kind, zone, codes, opened, closed = row
    return Establishment(uai, name, kind, zone, tuple(codes), opened, closed)  # type: ignore[arg-type]


def _among(column: ColumnElement[str], values: Collection[str] | None, statement: Select[Any]) -> Select[Any]:
    """The statement, restricted to these values of a column; None restricts nothing. One array parameter, whatever their number."""
    return statement if values is None else statement.where(column == func.any(cast(list(values), ARRAY(Text))))
