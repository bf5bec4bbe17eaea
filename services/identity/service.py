"""What operators change in the registry, one method per change."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.clock import Clock
from chassis.database import create_engine
from contracts.registry import AgentKey, Convention, ConventionKind, Establishment, Grant, Territory
from services.identity import errors, particulars
from services.identity.agreement import Amendment, StoredConvention, amend, overlap
from services.identity.change import Change, Changes, put_grants
from services.identity.config import RegistrarSettings
from services.identity.directory import digest
from services.identity.enrolment import Enrolments
from services.identity.fleet import Fleet
from services.identity.presence import Expectations
from services.identity.rights_board import RightsBoard
from services.identity.store import RegistryStore, TokenRow
from services.identity.territory_file import CheckedFile, TerritoryFile, check


class Imported(msgspec.Struct, frozen=True):
    """What an import left in the registry. `token` is shown once: only its digest is kept."""

    territory: str
    version: int
    establishments: int
    grants: int
    token: str


class NewToken(msgspec.Struct, frozen=True):
    """A token, shown once, and the public id under which it is listed and revoked."""

    id: str
    token: str


class Registrar(Changes):
    """Territories, establishments, conventions, keys, grants and tokens; beside it, enrolments and the fleet on the same registry."""

    def __init__(self, engine: AsyncEngine, board: RightsBoard, clock: Clock, expected: Expectations) -> None:
        super().__init__(engine, board, clock)
        self.enrolments = Enrolments(engine, board, clock)
        self.fleet = Fleet(engine, board, clock, expected)

    # whole territories

    async def import_(self, file: TerritoryFile) -> Imported:
        """Register a territory with its establishments, conventions, agent, grants and token, all or nothing; harmless when repeated.

        A repeated import brings names, dates and conventions to what the file says and adds what is missing; it withdraws no
        grant and no key. The same token may be given again; a new one is made when none is given.
        """
        checked = check(file)
        async with self._change() as change:
            await self._import_places(change, checked)
            await self._import_agent(change, checked)
            token = await self._import_token(change, checked)
            return Imported(
                checked.territory.id, change.version, len(checked.establishments), len(checked.grants), token
            )

    async def _import_places(self, change: Change, file: CheckedFile) -> None:
        uais = list(file.conventions)
        await change.store.put_territory(file.territory)
        await change.store.put_establishments(file.establishments)
        await change.store.put_members(file.territory.id, uais)
        await self._agree(change, file.territory.id, file.conventions)
        change.touch("territory", [file.territory.id])
        change.touch("establishment", uais)

    async def _agree(self, change: Change, territory: str, wanted: dict[str, ConventionKind | None]) -> None:
        now = self._clock.now()
        known: dict[str, list[StoredConvention]] = {}
        for row in await change.store.conventions(territory, wanted):
            known.setdefault(row.convention.uai, []).append(row)
        amendments = {uai: amend(known.get(uai, ()), territory, uai, kind, now) for uai, kind in wanted.items()}
        await self._amend(change, amendments, now)

    @staticmethod
    async def _amend(change: Change, amendments: dict[str, Amendment], now: datetime) -> None:
        await change.store.end_conventions([row for amendment in amendments.values() for row in amendment.end], now)
        await change.store.put_conventions([amendment.begin for amendment in amendments.values() if amendment.begin])
        change.touch("convention", [uai for uai, amendment in amendments.items() if amendment != Amendment()])

    @staticmethod
    async def _import_agent(change: Change, file: CheckedFile) -> None:
        if file.key is None:
            return
        await change.store.put_agent(file.key.agent)
        await change.store.put_key(file.key)
        change.touch("agent", [file.key.agent])
        await put_grants(change, file.grants)

    async def _import_token(self, change: Change, file: CheckedFile) -> str:
        token = file.token or _new_token()
        known = await change.store.token(digest(token))
        if known is None:
            await self._put_token(change, token, file.territory.id, "import", None)
        elif known.territory != file.territory.id or not known.usable(self._clock.real_now()):
            raise errors.AlreadyThereError("the token given is revoked, expired, or of another territory")
        return token

    # territories and establishments

    async def put_territory(self, territory: Territory) -> None:
        """Add a territory or change its name, zone or threshold."""
        async with self._change() as change:
            await change.store.put_territory(territory)
            change.touch("territory", [territory.id])

    async def territories(self) -> list[Territory]:
        async with self._reading() as store:
            return await store.territories()

    async def territory(self, territory: str) -> Territory:
        async with self._reading() as store:
            return await _territory(store, territory)

    async def add_establishment(self, establishment: Establishment, territories: Collection[str] = ()) -> None:
        """Register an establishment as one of these territories."""
        async with self._change() as change:
            if await change.store.establishments([establishment.uai]):
                raise errors.AlreadyThereError(f"{establishment.uai} is registered already: use `establishment set`")
            await change.store.put_establishments([establishment])
            for territory in territories:
                await _join(change, territory, establishment.uai)
            change.touch("establishment", [establishment.uai])

    async def join(self, territory: str, uai: str) -> None:
        """Count an establishment among those of a territory, whether it has a convention or not."""
        async with self._change() as change:
            await _establishment(change.store, uai)
            await _join(change, territory, uai)
            change.touch("establishment", [uai])

    async def leave(self, territory: str, uai: str) -> None:
        """Count it there no longer; `AgreedMemberError` while a convention ties it to the territory, now or later."""
        async with self._change() as change:
            now = self._clock.now()
            known = [row.convention for row in await change.store.conventions(territory, [uai])]
            if any(each.valid_to is None or each.valid_to > now for each in known):
                raise errors.AgreedMemberError(f"{uai} has a convention with {territory}: end it first")
            if not await change.store.remove_member(territory, uai):
                raise errors.UnknownMemberError(f"{uai} is not an establishment of {territory}")
            change.touch("establishment", [uai])

    async def set_establishment(self, uai: str, changes: Mapping[str, object]) -> Establishment:
        """Change some fields of an establishment."""
        async with self._change() as change:
            changed = msgspec.structs.replace(await _establishment(change.store, uai), **changes)
            particulars.in_order(changed.opened, changed.closed, uai)
            await change.store.put_establishments([changed])
            change.touch("establishment", [uai])
            return changed

    async def establishments(self, territory: str | None = None) -> list[Establishment]:
        """All of them, or those of one territory."""
        async with self._reading() as store:
            return await store.establishments() if territory is None else await store.members(territory)

    # conventions

    async def add_convention(self, convention: Convention) -> None:
        """Record a convention, which makes the establishment one of the territory's.

        `ConventionOverlapError` where another of the same territory and establishment covers some of it.
        """
        particulars.in_order(convention.valid_from, convention.valid_to, convention.uai)
        async with self._change() as change:
            await _establishment(change.store, convention.uai)
            await _join(change, convention.territory, convention.uai)
            known = await change.store.conventions(convention.territory, [convention.uai])
            if any(overlap(convention, row.convention) for row in known):
                raise errors.ConventionOverlapError(f"{convention.uai} has another convention in part of this time")
            await change.store.put_conventions([convention])
            change.touch("convention", [convention.uai])

    async def end_convention(self, territory: str, uai: str, at: datetime | None = None) -> None:
        """End the convention that is in force at `at` (default: now), or withdraw to that instant one that starts later."""
        async with self._change() as change:
            end = at or self._clock.now()
            known = await change.store.conventions(territory, [uai])
            rows = [row.id for row in known if row.convention.in_force(end)]
            if not rows:
                raise errors.UnknownConventionError(f"{uai} has no convention with {territory} at {end.isoformat()}")
            await change.store.end_conventions(rows, end)
            change.touch("convention", [uai])

    async def conventions(self, territory: str | None = None) -> list[Convention]:
        async with self._reading() as store:
            return [row.convention for row in await store.conventions(territory)]

    # agents and grants

    async def add_agent(self, agent: str) -> None:
        async with self._change() as change:
            if await change.store.agents([agent]):
                raise errors.AlreadyThereError(f"the agent {agent} is registered already")
            await change.store.put_agent(agent)
            change.touch("agent", [agent])

    async def add_key(self, key: AgentKey) -> None:
        """Let an agent sign with one more key between two instants; overlap of old and new is how keys are rotated."""
        particulars.in_order(key.valid_from, key.valid_to, f"key of {key.agent}")
        async with self._change() as change:
            await _agent(change.store, key.agent)
            if not await change.store.put_key(key):
                raise errors.AlreadyThereError(f"the agent {key.agent} has this key already")
            change.touch("agent", [key.agent])

    async def end_key(self, agent: str, public_key: str, at: datetime | None = None) -> None:
        """Stop accepting messages that Kafka appends from `at` (default: now, real clock) on under this key."""
        async with self._change() as change:
            if not await change.store.end_key(agent, public_key, at or self._clock.real_now()):
                raise errors.UnknownKeyError(f"the agent {agent} has no such key")
            change.touch("agent", [agent])

    async def agents(self) -> tuple[list[str], list[AgentKey]]:
        async with self._reading() as store:
            return await store.agents(), await store.keys()

    async def add_grants(self, grants: Sequence[Grant]) -> None:
        """Let agents report families of establishments; `GrantOverlapError` where another grant covers some of the days."""
        async with self._change() as change:
            for grant in grants:
                particulars.in_order(grant.from_day, grant.to_day, f"grant of {grant.family} for {grant.uai}")
                await _agent(change.store, grant.agent)
                await _establishment(change.store, grant.uai)
            await put_grants(change, grants)

    async def end_grant(self, agent: str, uai: str, family: str, last_day: date) -> None:
        async with self._change() as change:
            if not await change.store.end_grant(agent, uai, family, last_day):
                raise errors.UnknownGrantError(f"{agent} has no grant of {family} for {uai} on {last_day.isoformat()}")
            change.touch("grant", [uai])

    async def move_grants(self, agent: str, to: str, uai: str, families: Collection[str], first_day: date) -> list[str]:
        """From `first_day` on `to` reports what `agent` did; no families: all that it holds of `uai`. The families moved.

        `UnknownGrantError` where `agent` holds none of them on that day or later.
        """
        async with self._change() as change:
            await _agent(change.store, to)
            held = [
                grant
                for grant in await change.store.grants([uai], agent)
                if (not families or grant.family in families) and (grant.to_day is None or grant.to_day >= first_day)
            ]
            if not held or (missing := set(families) - {grant.family for grant in held}):
                named = ", ".join(sorted(missing)) if held else "of anything asked"
                raise errors.UnknownGrantError(f"{agent} has no grant {named} for {uai} on {first_day} or later")
            await change.store.remove_grants(held)
            await put_grants(change, [each for grant in held for each in _divided(grant, to, first_day)])
            return [grant.family for grant in held]

    async def remove_grant(self, agent: str, uai: str, family: str, first_day: date | None = None) -> Grant:
        """Forget a grant that was a mistake; what was reported under it stays, what still comes is parked.

        The days granted decide how the topic is read again, so a grant under which something was rightly reported is ended instead.
        `UnknownGrantError` unless exactly one grant is meant; `first_day` tells several apart.
        """
        async with self._change() as change:
            held = [grant for grant in await change.store.grants([uai], agent) if grant.family == family]
            meant = held if first_day is None else [grant for grant in held if grant.from_day == first_day]
            if len(meant) != 1:
                raise errors.UnknownGrantError(
                    f"{agent} has {len(meant)} such grants of {family} for {uai}: name one by its first day"
                )
            await change.store.remove_grants(meant)
            change.touch("grant", [uai])
            return meant[0]

    async def grants(self, uais: Collection[str] | None = None, agent: str | None = None) -> list[Grant]:
        async with self._reading() as store:
            return await store.grants(uais, agent)

    # operators' tokens

    async def create_token(self, territory: str, label: str = "", expires_at: datetime | None = None) -> NewToken:
        """A token of the territory's administrator, for machines; it can be read here and never again."""
        async with self._change() as change:
            await _territory(change.store, territory)
            token = _new_token()
            return NewToken(await self._put_token(change, token, territory, label, expires_at), token)

    async def _put_token(
        self, change: Change, token: str, territory: str, label: str, expires_at: datetime | None
    ) -> str:
        token_id = secrets.token_hex(4)
        row = TokenRow(token_id, territory, label, self._clock.real_now(), expires_at, None)
        await change.store.put_token(row, digest(token))
        change.touch("token", [token_id])
        return token_id

    async def revoke_token(self, token_id: str) -> None:
        async with self._change() as change:
            if not await change.store.revoke_token(token_id, self._clock.real_now()):
                raise errors.UnknownTokenError(f"no token has the id {token_id}")
            change.touch("token", [token_id])

    async def tokens(self, territory: str | None = None) -> list[TokenRow]:
        async with self._reading() as store:
            return await store.tokens(territory)


def _divided(grant: Grant, to: str, first_day: date) -> list[Grant]:
    """What stays with the agent that held a grant, and what begins on `first_day` or later with another."""
    moved = msgspec.structs.replace(grant, agent=to, from_day=max(grant.from_day or first_day, first_day))
    if grant.from_day is not None and grant.from_day >= first_day:
        return [moved]
    return [msgspec.structs.replace(grant, to_day=first_day - timedelta(days=1)), moved]


def _new_token() -> str:
    return f"ct_{secrets.token_urlsafe(32)}"


async def _territory(store: RegistryStore, territory: str) -> Territory:
    if not (found := await store.territories([territory])):
        raise errors.UnknownTerritoryError(f"no territory has the id {territory!r}")
    return found[0]


async def _join(change: Change, territory: str, uai: str) -> None:
    await _territory(change.store, territory)
    await change.store.put_members(territory, [uai])


async def _establishment(store: RegistryStore, uai: str) -> Establishment:
    if not (found := await store.establishments([uai])):
        raise errors.UnknownEstablishmentError(f"{uai} is not registered")
    return found[0]


async def _agent(store: RegistryStore, agent: str) -> None:
    if not await store.agents([agent]):
        raise errors.UnknownAgentError(f"no agent has the id {agent!r}")


@asynccontextmanager
async def open_registrar(settings: RegistrarSettings) -> AsyncIterator[Registrar]:
    """A registrar for commands and local stacks.

    For example: `async with open_registrar(settings) as registrar: await registrar.import_(territory_file.read(content))`.
    """
    engine = create_engine(settings.identity_database.get_secret_value(), application="admin", pool_size=1)
    board = RightsBoard.connect(settings.redis.get_secret_value())
    try:
        yield Registrar(engine, board, settings.clock, settings.expectations)
    finally:
        await board.close()
        await engine.dispose()
