"""Hellos: what is kept of them, what they are told, how keys follow each other."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from chassis.errors import NamedError
from contracts.fleet import HelloAnswer, Resend
from contracts.registry import AgentKey
from contracts.signing import public_to_text, sign
from services.identity.fleet_store import FleetStore
from services.identity.presence import Presence
from services.identity.service import Registrar
from services.identity.tables import agent_keys, hellos
from tests.services.identity.documents import A, B, as_file, territory
from tests.support.fleet import FleetAgent

pytestmark = pytest.mark.connected

WEEK = timedelta(days=7)


@pytest.fixture
async def agent(registrar: Registrar) -> FleetAgent:
    """An agent of A and B, by a key without dates."""
    agent = FleetAgent("agent-1")
    document = territory(A, B, agent={"id": "agent-1", "public_key": agent.public})
    await registrar.import_(as_file(document))
    return agent


async def say(
    registrar: Registrar, agent: FleetAgent, body: bytes | None = None, key: Ed25519PrivateKey | None = None, **news: object
) -> HelloAnswer:  # fmt: skip
    body = body or agent.greeting(**news)
    return await registrar.fleet.hello(body, agent.name, sign(key or agent.private, body))


async def refusal(registrar: Registrar, agent: FleetAgent, **rest: object) -> str:
    with pytest.raises(NamedError) as refused:
        await say(registrar, agent, **rest)  # type: ignore[arg-type]
    return refused.value.code


async def kept(registrar: Registrar) -> Presence:
    async with registrar._engine.connect() as connection:
        return (await FleetStore(connection).presences(["agent-1"]))["agent-1"]


async def version(registrar: Registrar) -> int:
    async with registrar._reading() as store:
        return await store.version()


async def keys(registrar: Registrar) -> dict[str, AgentKey]:
    return {key.public_key: key for key in (await registrar.agents())[1]}


async def test_a_hello_is_kept_answered_and_changes_no_right(registrar, agent):
    before = await version(registrar)
    answer = await say(registrar, agent, waiting=3, problems=1)
    assert [each.uai for each in answer.establishments] == sorted([A, B])
    assert len(answer.grants) == 8
    assert (answer.cadence_seconds, answer.minimum_version) == (300, "0.1.0")
    assert (answer.resend, answer.key_until, answer.copies) == (None, None, False)
    presence = await kept(registrar)
    assert (presence.version, presence.state, presence.waiting, presence.problems) == ("0.1.0", "state-1", 3, 1)
    assert abs(presence.skew) < timedelta(minutes=1)
    assert await version(registrar) == before


async def test_nothing_new_writes_nothing(registrar, agent):
    await say(registrar, agent)
    first = await kept(registrar)
    for _ in range(3):
        await say(registrar, agent)
    assert await kept(registrar) == first
    await say(registrar, agent, problems=1)
    assert (await kept(registrar)).at > first.at


async def test_an_old_hello_played_again_changes_nothing(registrar, agent):
    fresh = Ed25519PrivateKey.generate()
    old = agent.greeting(version="0.0.1", state="old", sent_at=datetime.now(UTC) - timedelta(days=2),
                         next_public_key=public_to_text(fresh.public_key()))  # fmt: skip
    await say(registrar, agent)
    before = await kept(registrar), await version(registrar), await keys(registrar)
    answer = await say(registrar, agent, old)
    assert (answer.copies, answer.key_until) == (False, None)
    assert (await kept(registrar), await version(registrar), await keys(registrar)) == before


async def test_two_copies_are_told_so(registrar, agent):
    assert not (await say(registrar, agent)).copies
    assert (await say(registrar, agent, state="state-2")).copies
    assert (await say(registrar, agent)).copies
    (status,) = (await registrar.fleet.statuses()).agents
    assert status.copied


async def test_the_next_key_is_registered_once_and_the_old_one_ends_after_a_week(registrar, agent):
    following = Ed25519PrivateKey.generate()
    public = public_to_text(following.public_key())
    answer = await say(registrar, agent, next_public_key=public)
    assert answer.key_until is not None
    assert abs(answer.key_until - datetime.now(UTC) - WEEK) < timedelta(minutes=1)
    before = await version(registrar)
    again = await say(registrar, agent, next_public_key=public)
    assert again.key_until == answer.key_until
    assert await version(registrar) == before
    by_the_next = await say(registrar, agent, key=following)
    assert by_the_next.key_until is None
    assert {key.valid_to for key in (await keys(registrar)).values()} == {answer.key_until, None}


async def test_a_stolen_key_cannot_fill_the_registry(registrar, agent):
    for _ in range(2):
        await say(registrar, agent, next_public_key=FleetAgent().public)
    before = await version(registrar)
    assert await refusal(registrar, agent, next_public_key=FleetAgent().public) == "too_many_keys"
    assert await version(registrar) == before
    async with registrar._engine.connect() as connection:
        assert (await connection.execute(select(func.count()).select_from(agent_keys))).scalar() == 3


async def test_a_key_that_was_ended_is_not_registered_again_by_a_hello(registrar, agent):
    gone = FleetAgent()
    await registrar.add_key(AgentKey("agent-1", gone.public))
    await registrar.end_key("agent-1", gone.public)
    before = await keys(registrar)
    await say(registrar, agent, next_public_key=gone.public)
    assert await keys(registrar) == before


async def test_strangers_are_refused_alike(registrar, agent):
    body = agent.greeting()
    ended = FleetAgent("agent-1")
    await registrar.add_key(AgentKey("agent-1", ended.public))
    await registrar.end_key("agent-1", ended.public)
    refused = []
    for name, signature in (
        ("agent-1", sign(FleetAgent().private, body)),
        ("agent-1", sign(ended.private, body)),
        ("agent-1", sign(agent.private, body + b" ")),
        ("agent-1", b""),
        ("agent-1", "é".encode()),
        ("nobody", sign(agent.private, body)),
        ("\x00", sign(agent.private, body)),
        ("", sign(agent.private, body)),
    ):
        with pytest.raises(NamedError) as error:
            await registrar.fleet.hello(body, name, signature)
        refused.append((error.value.code, error.value.status, error.value.detail))
    assert set(refused) == {("bad_signature", 401, "")}
    async with registrar._engine.connect() as connection:
        assert (await connection.execute(select(func.count()).select_from(hellos))).scalar() == 0


@pytest.mark.parametrize(
    "news",
    [{"agent": "agent-2"}, {"version": ""}, {"version": "1\n"}, {"state": "\x00"}, {"state": "x" * 65}, {"waiting": -1},
     {"waiting": 2**62}, {"catalogue": 2**31}, {"problems": -5}, {"next_public_key": "AAAA"},
     {"sent_at": datetime.now(UTC).replace(tzinfo=None)}],
    ids=lambda news: next(iter(news)),
)  # fmt: skip
async def test_what_is_no_hello_is_named(registrar, agent, news):
    assert await refusal(registrar, agent, body=agent.greeting(**news)) in ("malformed", "invalid_key")
    async with registrar._engine.connect() as connection:
        assert (await connection.execute(select(func.count()).select_from(hellos))).scalar() == 0


@pytest.mark.parametrize("year", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_an_instant_beyond_the_calendar_is_named(registrar, agent, year):
    body = agent.greeting().replace(b'"waiting"', b'"w"')
    start = body.index(b'"sent_at":"') + len(b'"sent_at":"')
    body = body[:start] + year.encode() + body[body.index(b'"', start) :]
    assert await refusal(registrar, agent, body=body) == "malformed"


@pytest.mark.parametrize("sent_at", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2106, 2, 7, tzinfo=UTC)])
async def test_a_clock_that_is_far_off_is_heard_and_flagged(registrar, agent, sent_at):
    answer = await say(registrar, agent, sent_at=sent_at)
    assert abs(answer.server_time - datetime.now(UTC)) < timedelta(minutes=1)
    (status,) = (await registrar.fleet.statuses()).agents
    assert (status.skewed, status.silent) == (True, False)


async def test_orders_to_send_again_grow(registrar, agent):
    await registrar.add_agent("agent-2")
    assert await registrar.fleet.order_resend(["agent-1"], date(2026, 10, 1)) == ["agent-1"]
    assert (await say(registrar, agent)).resend == Resend(1, date(2026, 10, 1))
    assert await registrar.fleet.order_resend([], date(2026, 9, 1)) == ["agent-1", "agent-2"]
    assert (await say(registrar, agent)).resend == Resend(2, date(2026, 9, 1))
    before = await version(registrar)
    with pytest.raises(NamedError) as refused:
        await registrar.fleet.order_resend(["agent-1", "nobody"], date(2026, 8, 1))
    assert refused.value.code == "unknown_agent"
    assert (await say(registrar, agent)).resend == Resend(2, date(2026, 9, 1))
    assert await version(registrar) == before


async def test_an_establishment_whose_convention_ends_is_told_as_not_collected(registrar, agent):
    await registrar.end_convention("d086", A)
    answer = await say(registrar, agent)
    assert {each.uai: each.collected for each in answer.establishments} == {A: False, B: True}


async def test_statuses_are_those_of_the_establishments_asked_about(registrar, agent):
    await registrar.add_agent("agent-2")
    await say(registrar, agent)
    (status,) = (await registrar.fleet.statuses([A])).agents
    assert (status.agent, status.establishments) == ("agent-1", [A])
    assert (await registrar.fleet.statuses([])).agents == []
    everybody = {each.agent: each for each in (await registrar.fleet.statuses()).agents}
    assert everybody["agent-2"].revoked
    assert everybody["agent-2"].last_hello is None
    await registrar.fleet.revoke("agent-1")
    assert (await registrar.fleet.statuses([A])).agents[0].revoked
    assert await refusal(registrar, agent) == "bad_signature"
