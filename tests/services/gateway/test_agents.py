"""Agents at the gateway: enrolled by a code, known by their keys, their reports on the topic byte by byte."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from httpx import AsyncClient
from pydantic import SecretStr

from contracts.fleet import MAX_FLEET_BYTES, AgentStanding, FamilyStanding, Resend
from contracts.registry import Grant
from contracts.signing import public_to_text, verify
from contracts.usage_reported import MAX_MESSAGE_BYTES, TOPIC
from services.gateway.app import create_app
from tests.services.gateway.conftest import Platform, bearer, served
from tests.services.identity.documents import A, B, C
from tests.support.fleet import FleetAgent, in_parts
from tests.support.servers import WORKER
from tests.support.wire import Message, end_offsets, read_topic

pytestmark = pytest.mark.connected


@dataclass
class Names:
    last: int = 0

    def fresh(self) -> str:
        """Agents of one module share a registry, and workers a topic: each test has its own, in each worker."""
        self.last += 1
        return f"site-{WORKER or 'alone'}-{self.last}"


NAMES = Names()


async def invited(platform: Platform, *uais: str) -> str:
    """A code for a new agent of these establishments: it is granted one day that no other test's agent has."""
    name = NAMES.fresh()
    day = date(2020, 1, 1) + timedelta(days=NAMES.last)
    grants = [Grant(name, uai, "diagnostics", day, day) for uai in uais]
    return (await platform.registrar.enrolments.invite(name, grants)).code


@pytest.fixture
async def enrolled(anyone: AsyncClient, platform: Platform) -> FleetAgent:
    """An agent of establishment A."""
    agent = FleetAgent()
    await agent.enrol(anyone, await invited(platform, A))
    return agent


async def put_on_topic(platform: Platform, before: dict[int, int], agent: FleetAgent) -> list[Message]:
    """What the agent's requests have left on the topic since."""
    found = await read_topic(platform.settings.kafka, TOPIC, before)
    return [each for each in found if dict(each.headers).get("agent") == agent.name.encode()]


async def test_an_agent_enrols_says_hello_and_reports(anyone: AsyncClient, platform: Platform):
    before = await end_offsets(platform.settings.kafka, TOPIC)
    agent = FleetAgent()
    enrolled = await agent.enrol(anyone, await invited(platform, A, B))
    assert [(each.uai, each.collected) for each in enrolled.establishments] == [(A, True), (B, True)]
    assert {grant.uai for grant in enrolled.grants} == {A, B}
    assert enrolled.kafka == "kafka.example:9092"
    answer = await agent.hello(anyone)
    assert (answer.cadence_seconds, answer.minimum_version) == (60, "0.1.0")
    assert abs(answer.server_time - datetime.now(UTC)) < timedelta(minutes=1)
    assert (answer.grants, answer.establishments) == (enrolled.grants, enrolled.establishments)
    assert (answer.standing, answer.resend, answer.key_until, answer.copies) == ([], None, None, False)
    body = agent.message(A)
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    response = await agent.post(anyone, "reports", body, traceparent=trace)
    assert (response.status_code, response.content) == (204, b"")
    (message,) = await put_on_topic(platform, before, agent)
    headers = dict(message.headers)
    assert (message.key, message.value) == (A.encode(), body)
    assert verify(agent.private.public_key(), headers["signature"], message.value)
    assert headers["traceparent"] == trace.encode()


async def test_the_bytes_on_the_topic_are_those_that_were_signed(
    anyone: AsyncClient, platform: Platform, enrolled: FleetAgent
):
    """Spaces, the order of fields and fields of tomorrow are the agent's business."""
    before = await end_offsets(platform.settings.kafka, TOPIC)
    told = enrolled.message(B).replace(b'{"agent"', b'{ "of_tomorrow": [1, {"a": null}],\n "agent"')
    assert (await enrolled.post(anyone, "reports", told)).status_code == 204
    newer = enrolled.message(A, catalogue=9_999)
    assert (await enrolled.post(anyone, "reports", newer, traceparent="00-nonsense")).status_code == 204
    messages = await put_on_topic(platform, before, enrolled)
    assert sorted(each.value for each in messages) == sorted([told, newer])
    assert all(dict(each.headers)["traceparent"].startswith(b"00-") for each in messages)


async def test_hello_tells_standings_resends_and_the_end_of_a_key(
    anyone: AsyncClient, platform: Platform, enrolled: FleetAgent
):
    known = [FamilyStanding(A, "diagnostics", 1_790_000_000)]
    platform.query.standing[enrolled.name] = AgentStanding(enrolled.name, None, known)
    await platform.registrar.fleet.order_resend([enrolled.name], date(2026, 10, 1))
    following = Ed25519PrivateKey.generate()
    answer = await enrolled.hello(anyone, next_public_key=public_to_text(following.public_key()))
    assert (answer.standing, answer.resend) == (known, Resend(1, date(2026, 10, 1)))
    assert answer.key_until is not None
    assert platform.query.asked[-1] == ("standing", {"agents": [enrolled.name], "uais": [A]})
    assert (await enrolled.report(anyone, A)).status_code == 204
    body = enrolled.message(A)
    headers = enrolled.signed(body, key=following)
    assert (await anyone.post("/api/v1/agents/reports", content=body, headers=headers)).status_code == 204


async def test_a_revoked_agent_is_refused_at_its_next_request(
    anyone: AsyncClient, platform: Platform, enrolled: FleetAgent
):
    assert (await enrolled.report(anyone, A)).status_code == 204
    await platform.registrar.fleet.revoke(enrolled.name)
    for what, body in (("reports", enrolled.message(A)), ("hello", enrolled.greeting())):
        response = await enrolled.post(anyone, what, body)
        assert (response.status_code, response.json()["code"]) == (401, "bad_signature")


async def test_who_is_not_known_is_refused_alike(anyone: AsyncClient, platform: Platform, enrolled: FleetAgent):
    """Unknown agent, wrong key, changed body, no signature: nobody learns which agents exist. No token helps."""
    for what, body in (("reports", enrolled.message(A)), ("hello", enrolled.greeting())):
        stranger, unknown = FleetAgent(enrolled.name), FleetAgent("nobody")
        attempts = [
            stranger.signed(body), unknown.signed(body), enrolled.signed(body + b" "), {}, bearer(platform.reader),
            {**enrolled.signed(body), "Territoriale-Signature": "A" * 88},
            {**enrolled.signed(body), "Territoriale-Agent": ""},
        ]  # fmt: skip
        answers = [await anyone.post(f"/api/v1/agents/{what}", content=body, headers=headers) for headers in attempts]
        assert {answer.status_code for answer in answers} == {401}
        assert len({answer.content for answer in answers}) == 1
    assert platform.query.asked == []


async def test_names_are_treated_alike_until_a_signature_holds(
    anyone: AsyncClient, enrolled: FleetAgent, platform: Platform
):
    """Too long, encoded: a name that is tried with a body of no signature gets what any other name gets."""
    for what, limit in (("reports", MAX_MESSAGE_BYTES), ("hello", MAX_FLEET_BYTES)):
        answers: dict[str, list[tuple[int, bytes]]] = {}
        for name in (enrolled.name, "nobody"):
            signed = FleetAgent(name).signed(b"")
            requests: list[dict[str, Any]] = [
                {"content": b" " * limit},
                {"content": b" " * (limit + 1)},
                {"content": in_parts(b" " * (limit + 1))},
                {"content": b"{}", "headers": {"Content-Encoding": "gzip"}},
            ]
            for request in requests:
                headers = {**signed, **request.pop("headers", {})}
                answer = await anyone.post(f"/api/v1/agents/{what}", headers=headers, **request)
                answers.setdefault(name, []).append((answer.status_code, answer.content))
        assert [status for status, _ in answers["nobody"]] == [401, 413, 413, 415]
        assert answers[enrolled.name] == answers["nobody"]
    assert platform.query.asked == []


async def test_a_report_in_anothers_name_is_refused(anyone: AsyncClient, platform: Platform, enrolled: FleetAgent):
    other = FleetAgent()
    await other.enrol(anyone, await invited(platform, B))
    body = enrolled.message(B, agent=other.name)
    response = await enrolled.post(anyone, "reports", body)
    assert (response.status_code, response.json()["code"]) == (422, "agent_mismatch")
    assert (await enrolled.post(anyone, "hello", enrolled.greeting(agent=other.name))).status_code == 422


async def test_what_an_agent_may_report_is_the_aggregators_to_judge(anyone: AsyncClient, enrolled: FleetAgent):
    """Outside its grants a report is parked, without a convention it is refused: by the clock of the topic, not of the door."""
    assert (await enrolled.report(anyone, C)).status_code == 204


async def test_one_agent_that_floods_is_slowed_and_no_other(
    platform: Platform, anyone: AsyncClient, enrolled: FleetAgent
):
    other = FleetAgent()
    await other.enrol(anyone, await invited(platform, A))
    strict = create_app(platform.settings.model_copy(update={"agent_requests_per_minute": 2}))
    async with served(strict) as url, AsyncClient(base_url=url) as client:
        forged = FleetAgent(enrolled.name)
        for _ in range(5):
            assert (await forged.report(client, A)).status_code == 401
        answers = [await enrolled.report(client, A) for _ in range(5)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) >= 1
        assert {answer.status_code for answer in answers} <= {204, 429}
        assert 1 <= int(refused[0].headers["retry-after"]) <= 60
        assert (await other.report(client, A)).status_code == 204


async def test_without_kafka_reports_are_asked_for_later(platform: Platform, enrolled: FleetAgent, free_port):
    away = create_app(platform.settings.model_copy(update={"kafka": f"127.0.0.1:{free_port()}"}))
    async with served(away) as url, AsyncClient(base_url=url, timeout=30) as client:
        response = await enrolled.report(client, A)
        assert (response.status_code, response.json()["code"]) == (503, "unavailable")
        assert int(response.headers["retry-after"]) > 0
        await enrolled.hello(client)


@pytest.mark.parametrize("lost", ["identity_url", "query_url"])
async def test_hello_waits_for_what_it_needs(platform: Platform, enrolled: FleetAgent, free_port, lost: str):
    alone = create_app(platform.settings.model_copy(update={lost: f"http://127.0.0.1:{free_port()}"}))
    async with served(alone) as url, AsyncClient(base_url=url, timeout=30) as client:
        for what, body in (("hello", enrolled.greeting()), ("enrol", enrolled.enrolment("nothing"))):
            response = await enrolled.post(client, what, body)
            if lost == "query_url" and what == "enrol":
                assert response.status_code == 403
            else:
                assert (response.status_code, response.json()["code"]) == (503, "unavailable")


async def test_reports_pass_while_redis_is_away(platform: Platform, enrolled: FleetAgent, free_port):
    away = SecretStr(f"redis://127.0.0.1:{free_port()}/0")
    without = create_app(platform.settings.model_copy(update={"redis": away}))
    async with served(without) as url, AsyncClient(base_url=url, timeout=30) as client:
        assert (await enrolled.report(client, A)).status_code == 204
        await platform.registrar.fleet.revoke(enrolled.name)
        assert (await enrolled.report(client, A)).status_code == 401


async def test_each_territory_sees_its_own_agents(reader: AsyncClient, platform: Platform, anyone: AsyncClient):
    both, mine, far = FleetAgent(), FleetAgent(), FleetAgent()
    for agent, uais in ((both, (A, C)), (mine, (A,)), (far, (C,))):
        await agent.enrol(anyone, await invited(platform, *uais))
    await both.hello(anyone, waiting=7, problems=2, version="0.0.1", sent_at=datetime.now(UTC) + timedelta(hours=1))
    reported = datetime(2026, 11, 20, 8, tzinfo=UTC)
    platform.query.standing[both.name] = AgentStanding(both.name, reported)
    seen = {each["agent"]: each for each in (await reader.get("/api/v1/agents")).json()}
    assert {both.name, mine.name} <= seen.keys()
    assert far.name not in seen
    told = seen[both.name]
    assert told["establishments"] == [A]
    assert (told["version"], told["waiting"], told["problems"]) == ("0.0.1", 7, 2)
    assert datetime.fromisoformat(told["last_report"]) == reported
    assert 3590 <= told["skew_seconds"] <= 3610
    assert [told[flag] for flag in ("silent", "too_old", "skewed", "copied", "revoked")] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert (seen[mine.name]["silent"], seen[mine.name]["last_hello"]) == (True, None)
    other = {
        each["agent"]: each for each in (await anyone.get("/api/v1/agents", headers=bearer(platform.other))).json()
    }
    assert (other[far.name]["establishments"], other[both.name]["establishments"]) == ([C], [C])
    assert mine.name not in other


async def test_two_copies_are_told_and_shown(reader: AsyncClient, anyone: AsyncClient, enrolled: FleetAgent):
    assert not (await enrolled.hello(anyone)).copies
    enrolled.state = "another"
    assert (await enrolled.hello(anyone)).copies
    (shown,) = [each for each in (await reader.get("/api/v1/agents")).json() if each["agent"] == enrolled.name]
    assert shown["copied"]


async def test_standings_are_asked_again_for_another_state_file(
    anyone: AsyncClient, platform: Platform, enrolled: FleetAgent
):
    assert (await enrolled.hello(anyone)).standing == []
    known = [FamilyStanding(A, "diagnostics", 1_790_000_000)]
    platform.query.standing[enrolled.name] = AgentStanding(enrolled.name, None, known)
    asked = len(platform.query.asked)
    assert (await enrolled.hello(anyone)).standing == []
    assert len(platform.query.asked) == asked
    enrolled.state = "after-a-loss"
    assert (await enrolled.hello(anyone)).standing == known
