"""Codes are used once; keys follow each other; nobody is enrolled without a convention."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.errors import NamedError
from contracts.fleet import Enrolled
from contracts.registry import AgentKey, Grant
from contracts.signing import sign
from services.identity.service import Registrar
from tests.services.identity.documents import A, B, as_file, territory
from tests.support.fleet import FleetAgent

pytestmark = pytest.mark.connected

DAY = timedelta(days=1)


@pytest.fixture
async def registry(registrar: Registrar) -> Registrar:
    """Two establishments under convention and no agent."""
    await registrar.import_(as_file({**territory(A, B), "agent": None, "grants": []}))
    return registrar


async def enrol(registrar: Registrar, agent: FleetAgent, code: str) -> Enrolled:
    body = agent.enrolment(code)
    return await registrar.enrolments.enrol(body, sign(agent.private, body), "")


async def refusal(registrar: Registrar, agent: FleetAgent, code: str) -> str:
    with pytest.raises(NamedError) as refused:
        await enrol(registrar, agent, code)
    return refused.value.code


def web(agent: str, *uais: str, first: date | None = None, last: date | None = None) -> list[Grant]:
    return [Grant(agent, uai, "web", first, last) for uai in uais]


async def in_force(registrar: Registrar, agent: str) -> list[AgentKey]:
    now = datetime.now(UTC)
    return [key for key in (await registrar.agents())[1] if key.agent == agent and key.valid_at(now)]


async def version(registrar: Registrar) -> int:
    async with registrar._reading() as store:
        return await store.version()


async def test_a_code_gives_name_grants_and_a_key(registry):
    made = await registry.enrolments.invite("site", web("site", A, B))
    assert made.uncollected == []
    assert await registry.grants() == []
    agent = FleetAgent()
    answer = await enrol(registry, agent, made.code)
    assert answer.agent == "site"
    assert answer.grants == web("site", *sorted([A, B]))
    assert [each.collected for each in answer.establishments] == [True, True]
    (key,) = await in_force(registry, "site")
    assert (key.public_key, key.valid_to) == (agent.public, None)


async def test_the_answer_may_be_lost_and_is_given_again(registry):
    made = await registry.enrolments.invite("site", web("site", A))
    agent = FleetAgent()
    first = await enrol(registry, agent, made.code)
    before = await version(registry)
    again = await enrol(registry, agent, made.code.lower().replace("-", " "))
    assert msgspec.structs.replace(again, server_time=first.server_time) == first
    assert await version(registry) == before


async def test_two_agents_with_one_code_are_one_agent(registry):
    made = await registry.enrolments.invite("site", web("site", A))
    agents = [FleetAgent() for _ in range(6)]
    results = await asyncio.gather(*(enrol(registry, each, made.code) for each in agents), return_exceptions=True)
    refused = [each for each in results if isinstance(each, NamedError)]
    assert {each.code for each in refused} == {"refused_code"}
    assert len(refused) == 5
    assert len(await in_force(registry, "site")) == 1


@pytest.mark.parametrize("spoil", ["unknown", "used", "expired", "revoked"])
async def test_codes_that_are_not_in_force_are_refused_alike(registry, spoil: str):
    lasting = timedelta(microseconds=1) if spoil == "expired" else DAY
    made = await registry.enrolments.invite("site", web("site", A), lasting=lasting)
    if spoil == "used":
        await enrol(registry, FleetAgent(), made.code)
    if spoil == "revoked":
        await registry.enrolments.revoke_invitation(made.id)
    before = await version(registry)
    code = made.code if spoil != "unknown" else made.code[:-1] + ("0" if made.code[-1] != "0" else "1")
    with pytest.raises(NamedError) as refused:
        await enrol(registry, FleetAgent(), code)
    assert (refused.value.code, refused.value.status, refused.value.detail) == ("refused_code", 403, "")
    assert await version(registry) == before


async def test_a_code_that_expires_gives_no_answer_again(registry):
    made = await registry.enrolments.invite("site", web("site", A), lasting=timedelta(seconds=1.5))
    agent = FleetAgent()
    await enrol(registry, agent, made.code)
    async with asyncio.timeout(30):
        while datetime.now(UTC) < made.expires_at:
            await asyncio.sleep(0.05)
    assert await refusal(registry, agent, made.code) == "refused_code"


async def test_who_does_not_hold_the_key_is_refused_before_the_code_is_looked_at(registry):
    made = await registry.enrolments.invite("site", web("site", A))
    body = FleetAgent().enrolment(made.code)
    for code in (body, FleetAgent().enrolment("nothing")):
        with pytest.raises(NamedError) as refused:
            await registry.enrolments.enrol(code, sign(Ed25519PrivateKey.generate(), code), "")
        assert (refused.value.code, refused.value.status) == ("bad_signature", 401)
    await enrol(registry, FleetAgent(), made.code)


async def test_an_agent_that_enrols_again_keeps_its_name_and_its_old_key_ends(registry):
    old, new = FleetAgent(), FleetAgent()
    await enrol(registry, old, (await registry.enrolments.invite("site", web("site", A))).code)
    again = await enrol(registry, new, (await registry.enrolments.invite("site", [])).code)
    assert (again.agent, again.grants) == ("site", web("site", A))
    assert [key.public_key for key in await in_force(registry, "site")] == [new.public]


async def test_the_old_key_may_go_on_for_a_while(registry):
    old, new = FleetAgent(), FleetAgent()
    await enrol(registry, old, (await registry.enrolments.invite("site", web("site", A))).code)
    again = await registry.enrolments.invite("site", web("site", A), overlap=2 * DAY)
    await enrol(registry, new, again.code)
    ends = {key.public_key: key.valid_to for key in await in_force(registry, "site")}
    assert ends.keys() == {old.public, new.public}
    assert ends[new.public] is None
    end = ends[old.public]
    assert end is not None
    assert abs(end - datetime.now(UTC) - 2 * DAY) < timedelta(minutes=5)


async def test_a_key_that_was_ended_does_not_come_back(registry):
    agent = FleetAgent()
    await enrol(registry, agent, (await registry.enrolments.invite("site", web("site", A))).code)
    await registry.end_key("site", agent.public)
    assert await refusal(registry, agent, (await registry.enrolments.invite("site", [])).code) == "ended_key"


async def test_a_revoked_agent_is_not_let_in_by_its_old_code(registry):
    agent = FleetAgent()
    made = await registry.enrolments.invite("site", web("site", A))
    other = await registry.enrolments.invite("site", [*web("site", B)])
    await enrol(registry, agent, made.code)
    assert await registry.fleet.revoke("site") == 1
    assert await in_force(registry, "site") == []
    assert await refusal(registry, agent, made.code) == "refused_code"
    assert await refusal(registry, FleetAgent(), other.code) == "refused_code"
    assert await registry.grants() == web("site", A)


async def test_without_a_convention_nothing_is_enrolled(registry):
    made = await registry.enrolments.invite("site", web("site", A, B))
    await registry.end_convention("d086", A)
    answer = await enrol(registry, FleetAgent(), made.code)
    assert [each.uai for each in answer.establishments] == [B]
    assert await registry.grants([A]) == []


async def test_a_code_is_not_used_up_where_no_convention_is_in_force(registry):
    await registry.end_convention("d086", A)
    made = await registry.enrolments.invite("site", web("site", A))
    assert made.uncollected == [A]
    agent = FleetAgent()
    assert await refusal(registry, agent, made.code) == "no_convention"
    assert await in_force(registry, "site") == []
    await registry.import_(as_file({**territory(A, B), "agent": None, "grants": []}))
    assert (await enrol(registry, agent, made.code)).grants == web("site", A)


async def test_days_of_another_agent_are_refused_when_inviting_and_when_enrolling(registry):
    await registry.add_agent("first")
    await registry.enrolments.invite("first", web("first", A, last=date(2026, 10, 31)))
    made = await registry.enrolments.invite("second", web("second", A, first=date(2026, 10, 1)))
    await registry.add_grants(web("first", A, last=date(2026, 10, 31)))
    assert await refusal(registry, FleetAgent(), made.code) == "grant_overlap"
    for overlapping in (web("third", A, first=date(2026, 10, 31)), web("third", A)):
        with pytest.raises(NamedError) as refused:
            await registry.enrolments.invite("third", overlapping)
        assert refused.value.code == "grant_overlap"
    twice = [*web("third", B), *web("third", B, first=date(2026, 10, 31))]
    with pytest.raises(NamedError) as refused:
        await registry.enrolments.invite("third", twice)
    assert refused.value.code == "grant_overlap"


@pytest.mark.parametrize(
    ("grants", "code"),
    [([], "nothing_to_grant"), (web("x", "0860001J"), "unknown_establishment"),
     (web("x", A, first=date(2026, 2, 1), last=date(2026, 1, 1)), "invalid_dates")],
)  # fmt: skip
async def test_an_invitation_that_could_not_be_used_is_not_made(registry, grants, code):
    with pytest.raises(NamedError) as refused:
        await registry.enrolments.invite("x", grants)
    assert refused.value.code == code
    assert await registry.enrolments.invitations() == []


async def test_codes_are_never_kept(registry):
    made = await registry.enrolments.invite("site", web("site", A))
    (listed,) = await registry.enrolments.invitations()
    assert (listed.id, listed.agent, listed.grants) == (made.id, "site", tuple(web("site", A)))
    kept = msgspec.json.encode(listed).decode()
    assert made.code not in kept
    assert made.code.replace("-", "") not in kept


SPOILS: dict[str, Callable[[dict[str, object]], object]] = {
    "no key": lambda body: body.pop("public_key"),
    "short key": lambda body: body.update(public_key="AAAA"),
    "no base64": lambda body: body.update(public_key="é" * 44),
    "number": lambda body: body.update(code=1),
    "invisible version": lambda body: body.update(version="1.0\x00"),
    "long version": lambda body: body.update(version="1" * 65),
}


@pytest.mark.parametrize("spoil", SPOILS)
async def test_what_is_no_enrolment_is_named(registry, spoil: str):
    agent = FleetAgent()
    body = msgspec.json.decode(agent.enrolment("nothing"))
    SPOILS[spoil](body)
    raw = msgspec.json.encode(body)
    with pytest.raises(NamedError) as refused:
        await registry.enrolments.enrol(raw, sign(agent.private, raw), "")
    assert refused.value.status == 422
