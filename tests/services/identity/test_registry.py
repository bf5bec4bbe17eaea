"""The registry's changes on a real PostgreSQL and Redis: what is refused, what is repeated, what readers are told."""

from __future__ import annotations

import asyncio
import time
from datetime import date, timedelta

import msgspec
import pytest
from pydantic import SecretStr
from sqlalchemy import select

from contracts.identity_changed import IdentityChanged, decode
from contracts.registry import AgentKey, Convention, Establishment, Grant, Territory
from contracts.rights_version import LEASE_SECONDS, RIGHTS_VERSION_KEY
from contracts.scope import Opening
from services.identity import errors
from services.identity.directory import Directory
from services.identity.rights_board import RightsBoard
from services.identity.service import Registrar, open_registrar
from services.identity.tables import outbox
from tests.services.identity.conftest import NOW
from tests.services.identity.documents import FAMILIES, KEY, A, B, C, as_file, territory, uai

pytestmark = pytest.mark.connected

DAY = timedelta(days=1)
VIENNE = Territory("d086", "Vienne", "Europe/Paris")


async def events(registrar: Registrar) -> list[IdentityChanged]:
    async with registrar._engine.connect() as connection:
        return [decode(row.message) for row in await connection.execute(select(outbox.c.message).order_by(outbox.c.id))]


def directory(registrar: Registrar) -> Directory:
    return Directory(registrar._engine, registrar._clock)


async def test_an_import_registers_everything(registrar):
    imported = await registrar.import_(as_file(territory(A, B)))
    registry = await directory(registrar).registry()
    assert imported.version == registry.version == 1
    assert registry.territories == [VIENNE]
    assert registry.establishments[0] == Establishment(A, f"Collège {A}", "college", "Europe/Paris")
    assert registry.conventions == [Convention("d086", each, "consent") for each in (A, B)]
    assert registry.keys == [AgentKey("agent-1", KEY)]
    assert {(grant.uai, grant.family) for grant in registry.grants} == {(u, f) for u in (A, B) for f in FAMILIES}
    scope = (await directory(registrar).scope_of_token(imported.token)).scope
    assert [visible.establishment.uai for visible in scope.establishments] == [A, B]


async def test_an_import_repeated_changes_only_the_version(registrar):
    token = (await registrar.import_(as_file(territory(A, B)))).token
    before = await directory(registrar).registry()
    again = await registrar.import_(as_file(territory(A, B, token=token)))
    after = await directory(registrar).registry()
    assert again.token == token
    assert (before.establishments, before.conventions, before.keys, before.grants) == (
        after.establishments,
        after.conventions,
        after.keys,
        after.grants,
    )
    assert after.version == before.version + 1
    assert len(await registrar.tokens()) == 1


async def test_an_import_follows_its_file(registrar):
    await registrar.import_(as_file(territory(A, B)))
    document = territory(A, B, C)
    document["establishments"][0] |= {"name": "Autre nom", "convention": "none", "closed": "2026-08-31"}
    document["establishments"][1] |= {"convention": "joint"}
    await registrar.import_(as_file(document))
    registry = await directory(registrar).registry()
    assert registry.establishments[0].name == "Autre nom"
    assert registry.establishments[0].closed == date(2026, 8, 31)
    in_force = {each.uai: each.kind for each in registry.conventions if each.in_force(NOW)}
    assert in_force == {B: "joint", C: "consent"}


async def test_an_establishment_without_convention_is_a_member_of_whom_only_the_dates_are_told(registrar):
    document = territory(A, B, C, grants=[])
    document["establishments"][1] |= {"convention": "none", "opened": "2025-09-01"}
    token = (await registrar.import_(as_file(document))).token
    assert [each.uai for each in await registrar.establishments("d086")] == [A, B, C]
    scope = (await directory(registrar).scope_of_token(token)).scope
    assert [visible.establishment.uai for visible in scope.establishments] == [A, C]
    assert scope.without_convention == (Opening(opened=date(2025, 9, 1)),)
    assert B not in msgspec.json.encode(scope).decode()
    await registrar.end_convention("d086", C)
    scope = (await directory(registrar).scope_of_token(token)).scope
    assert len(scope.without_convention) == 2, (
        "one whose convention ended is left out of the lines, not of the territory"
    )


async def test_an_establishment_joins_and_leaves_territories(registrar):
    await registrar.put_territory(VIENNE)
    await registrar.put_territory(Territory("r075", "Nouvelle-Aquitaine", "Europe/Paris"))
    college = Establishment(A, "Collège", "college", "Europe/Paris")
    await registrar.add_establishment(college, ["r075"])
    await registrar.add_convention(Convention("d086", A, "consent"))
    assert await registrar.establishments("d086") == await registrar.establishments("r075") == [college]
    await registrar.leave("r075", A)
    assert await registrar.establishments("r075") == []
    await registrar.join("r075", A)
    assert await registrar.establishments("r075") == [college]
    with pytest.raises(errors.AgreedMemberError):
        await registrar.leave("d086", A)
    await registrar.end_convention("d086", A)
    await registrar.leave("d086", A)
    with pytest.raises(errors.UnknownMemberError):
        await registrar.leave("d086", A)
    with pytest.raises(errors.UnknownTerritoryError):
        await registrar.join("d099", A)
    with pytest.raises(errors.UnknownEstablishmentError):
        await registrar.join("d086", B)


async def test_a_thousand_establishments_take_less_than_a_few_seconds(registrar):
    uais = [uai(760_000 + number) for number in range(1_000)]
    document = as_file(territory(*uais))
    start = time.monotonic()
    imported = await registrar.import_(document)
    assert time.monotonic() - start < 5
    assert (imported.establishments, imported.grants) == (1_000, 4_000)
    assert {len(event.ids) for event in await events(registrar) if event.subject == "establishment"} == {1_000}


async def test_an_import_that_fails_leaves_nothing(registrar):
    await registrar.import_(as_file(territory(A)))
    document = territory(A, B, agent={"id": "agent-2", "public_key": KEY})
    with pytest.raises(errors.GrantOverlapError):
        await registrar.import_(as_file(document))
    registry = await directory(registrar).registry()
    assert registry.version == 1
    assert [each.uai for each in registry.establishments] == [A]


async def test_a_token_of_another_territory_or_revoked_is_not_taken_again(registrar):
    token = (await registrar.import_(as_file(territory(A)))).token
    other = {"id": "d087", "name": "Haute-Vienne", "zone": "Europe/Paris"}
    with pytest.raises(errors.AlreadyThereError):
        await registrar.import_(as_file(territory(A, territory=other, token=token)))
    (row,) = await registrar.tokens()
    await registrar.revoke_token(row.id)
    with pytest.raises(errors.AlreadyThereError):
        await registrar.import_(as_file(territory(A, token=token)))


@pytest.mark.parametrize(
    ("first", "second", "refused"),
    [
        ((None, None), (None, None), True),
        ((None, date(2026, 1, 31)), (date(2026, 2, 1), None), False),
        ((None, date(2026, 1, 31)), (date(2026, 1, 31), None), True),
        ((date(2026, 3, 1), date(2026, 3, 31)), (None, date(2026, 2, 28)), False),
        ((date(2026, 3, 1), date(2026, 3, 31)), (date(2026, 3, 31), date(2026, 3, 31)), True),
    ],
)
async def test_grants_of_one_family_never_share_a_day(registrar, first, second, refused):
    await registrar.import_(as_file(territory(A, grants=[])))
    await registrar.add_agent("agent-2")
    await registrar.add_grants([Grant("agent-1", A, "web", *first)])
    await registrar.add_grants([Grant("agent-2", A, "software", *second)])
    later = Grant("agent-2", A, "web", *second)
    if refused:
        with pytest.raises(errors.GrantOverlapError):
            await registrar.add_grants([later])
    else:
        await registrar.add_grants([later])
    assert len(await registrar.grants([A])) == (2 if refused else 3)


async def test_two_grants_at_once_cannot_both_pass(settings, registrar):
    await registrar.import_(as_file(territory(A, grants=[])))
    await registrar.add_agent("agent-2")
    async with open_registrar(settings) as other:
        outcomes = await asyncio.gather(
            registrar.add_grants([Grant("agent-1", A, "web")]),
            other.add_grants([Grant("agent-2", A, "web")]),
            return_exceptions=True,
        )
    assert [type(outcome) for outcome in outcomes if outcome] == [errors.GrantOverlapError]
    assert len(await registrar.grants([A])) == 1


async def test_a_grant_ends_and_another_begins_the_day_after(registrar):
    await registrar.import_(as_file(territory(A)))
    await registrar.end_grant("agent-1", A, "web", date(2026, 10, 31))
    await registrar.add_agent("agent-2")
    await registrar.add_grants([Grant("agent-2", A, "web", date(2026, 11, 1))])
    web = [grant for grant in await registrar.grants([A]) if grant.family == "web"]
    assert [(grant.agent, grant.from_day, grant.to_day) for grant in web] == [
        ("agent-1", None, date(2026, 10, 31)),
        ("agent-2", date(2026, 11, 1), None),
    ]
    with pytest.raises(errors.UnknownGrantError):
        await registrar.end_grant("agent-1", A, "web", date(2026, 11, 1))


async def test_conventions_of_one_territory_never_overlap_but_two_territories_may_share_a_school(registrar):
    await registrar.import_(as_file(territory(A)))
    with pytest.raises(errors.ConventionOverlapError):
        await registrar.add_convention(Convention("d086", A, "joint", NOW, NOW + DAY))
    await registrar.put_territory(Territory("r075", "Nouvelle-Aquitaine", "Europe/Paris"))
    await registrar.add_convention(Convention("r075", A, "joint"))
    await registrar.end_convention("d086", A)
    kinds = {each.territory: each.in_force(NOW) for each in await registrar.conventions()}
    assert kinds == {"d086": False, "r075": True}
    with pytest.raises(errors.UnknownConventionError):
        await registrar.end_convention("d086", A)


async def test_what_does_not_exist_is_said(registrar):
    with pytest.raises(errors.UnknownTerritoryError):
        await registrar.create_token("d999")
    with pytest.raises(errors.UnknownTerritoryError):
        await registrar.territory("d999")
    await registrar.put_territory(VIENNE)
    with pytest.raises(errors.UnknownEstablishmentError):
        await registrar.add_convention(Convention("d086", A, "consent"))
    with pytest.raises(errors.UnknownAgentError):
        await registrar.add_key(AgentKey("nobody", KEY))
    with pytest.raises(errors.UnknownAgentError):
        await registrar.add_grants([Grant("nobody", A, "web")])
    with pytest.raises(errors.UnknownTokenError):
        await registrar.revoke_token("nothing")
    with pytest.raises(errors.UnknownEstablishmentError):
        await registrar.set_establishment(A, {"name": "x"})
    assert await directory(registrar).version() == 1


async def test_keys_rotate_with_an_overlap(registrar):
    await registrar.add_agent("agent-1")
    await registrar.add_key(AgentKey("agent-1", KEY, valid_to=NOW + DAY))
    with pytest.raises(errors.AlreadyThereError):
        await registrar.add_key(AgentKey("agent-1", KEY))
    await registrar.end_key("agent-1", KEY, NOW)
    names, keys = await registrar.agents()
    assert names == ["agent-1"]
    assert [key.valid_at(NOW) for key in keys] == [False]
    with pytest.raises(errors.UnknownKeyError):
        await registrar.end_key("agent-1", "AAAA")


async def test_readers_see_the_version_before_the_call_returns(registrar, redis):
    await registrar.put_territory(VIENNE)
    assert await redis.get(RIGHTS_VERSION_KEY) == b"1"
    assert 0 < await redis.ttl(RIGHTS_VERSION_KEY) <= LEASE_SECONDS
    token = await registrar.create_token("d086")
    await registrar.revoke_token(token.id)
    assert await redis.get(RIGHTS_VERSION_KEY) == b"3" == str(await directory(registrar).version()).encode()


async def test_a_slower_writer_never_lowers_the_version(redis, valkey):
    board = RightsBoard.connect(valkey)
    assert await board.announce(5)
    assert not await board.announce(4)
    assert await redis.get(RIGHTS_VERSION_KEY) == b"5"
    assert await board.announce(5)
    await board.close()


async def test_a_change_is_kept_when_redis_is_away(settings, registrar, free_port):
    away = settings.model_copy(update={"redis": SecretStr(f"redis://127.0.0.1:{free_port()}/0")})
    async with open_registrar(away) as lonely:
        await lonely.put_territory(VIENNE)
    assert await registrar.territories() == [VIENNE]


async def test_events_hold_ids_only_and_leave_with_the_change(registrar):
    await registrar.import_(as_file(territory(A, B)))
    told = {event.subject: event.ids for event in await events(registrar)}
    (token,) = await registrar.tokens()
    assert told == {
        "territory": ("d086",),
        "establishment": (A, B),
        "convention": (A, B),
        "agent": ("agent-1",),
        "grant": (A, B),
        "token": (token.id,),
    }
    with pytest.raises(errors.UnknownTokenError):
        await registrar.revoke_token("nothing")
    assert len(await events(registrar)) == len(told)


async def test_only_the_digest_of_a_token_is_kept(registrar, settings):
    made = await registrar.create_token((await registrar.import_(as_file(territory(A)))).territory, "essai")
    async with registrar._engine.connect() as connection:
        for table in ("tokens", "outbox", "rights_version"):
            rows = await connection.exec_driver_sql(f"select * from identity.{table}")
            assert made.token not in repr(rows.all())
    assert made.token.startswith("ct_")
    assert len(made.token) > 40
