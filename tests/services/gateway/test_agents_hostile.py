"""Agents' routes under whatever can be signed: an answer or a named refusal, never a fault of ours."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from httpx import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from contracts.fleet import MAX_FLEET_BYTES
from contracts.registry import AgentKey, Grant
from contracts.usage_reported import MAX_MESSAGE_BYTES
from tests.services.gateway.conftest import Platform
from tests.services.identity.documents import A
from tests.support.fleet import FleetAgent, in_parts

pytestmark = pytest.mark.connected
DAY = date(2019, 1, 1)
ROUTES = ("enrol", "hello", "reports")
LIMITS = {"enrol": MAX_FLEET_BYTES, "hello": MAX_FLEET_BYTES, "reports": MAX_MESSAGE_BYTES}
MADE_OF_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
ODD = st.sampled_from(
    ["NaN", "Infinity", "1e999", "-0", "true", "null", '"\\ud800"', '"\\u0000"', '"\\udfff\\ud800"', "[]", "{}", "9" * 400,
     "[" * 5_000, '{"a":' * 5_000, '"' + "x" * 5_000 + '"', "1.0", "-1", '"2026-13-40"', '"0001-01-01"', '"9999-12-31T23:00+00:00"',
     '"9999-09-01"', '"+1"', '"' + "é" * 100 + '"'],
)  # fmt: skip


@pytest.fixture
async def agent(platform: Platform) -> FleetAgent:
    """An agent that has been invited, with a key of its own."""
    agent = FleetAgent("hostile")
    await platform.registrar.enrolments.invite(agent.name, [Grant(agent.name, A, "diagnostics", DAY, DAY)])
    await platform.registrar.add_key(AgentKey(agent.name, agent.public))
    return agent


def valid(agent: FleetAgent) -> dict[str, bytes]:
    return {"enrol": agent.enrolment("guess"), "hello": agent.greeting(), "reports": agent.message(A)}


def spoilt(body: bytes, path: list[int], text: str) -> bytes:
    """The JSON with one of its values, found by `path`, replaced by any text."""
    whole = json.loads(body)
    node: Any = whole
    place: Any = None
    for step in path:
        keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
        if not keys:
            break
        place = (node, keys[step % len(keys)])
        node = node[place[1]]
    if place:
        place[0][place[1]] = "@@"
    return json.dumps(whole).replace('"@@"', text).encode("utf-8", "surrogatepass")


async def test_whatever_is_signed_is_answered_or_named(
    anyone: AsyncClient, platform: Platform, agent: FleetAgent, redis: Redis
):
    bodies = valid(agent)
    requests: list[tuple[str, bytes]] = []

    @settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(ROUTES), st.lists(st.integers(0, 9), min_size=1, max_size=4),
        ODD | MADE_OF_JSON.map(json.dumps), st.none() | st.binary(max_size=40) | st.integers(0, 200),
    )  # fmt: skip
    def collect(route: str, path: list[int], text: str, cut: bytes | int | None) -> None:
        body = spoilt(bodies[route], path, text)
        if isinstance(cut, bytes):
            body = cut + body[len(cut) :]
        requests.append((route, body[:-cut] if isinstance(cut, int) and cut else body))

    collect()
    assert len(requests) >= 200
    for route, body in requests:
        await redis.delete("gateway:refused:127.0.0.0/24")
        response = await agent.post(anyone, route, body)
        assert response.status_code in (200, 204, 401, 403, 409, 422), (route, body[:300], response.text)
        if response.status_code > 204:
            assert response.headers["content-type"] == "application/problem+json"
            assert response.json()["code"]


@pytest.mark.parametrize("route", ROUTES)
async def test_what_is_too_long_is_refused_however_it_is_sent(anyone: AsyncClient, agent: FleetAgent, route: str):
    body = b" " * (LIMITS[route] + 1)
    for content in (body, in_parts(body), in_parts(body * 20)):
        response = await anyone.post(f"/api/v1/agents/{route}", content=content, headers=agent.signed(body))
        assert (response.status_code, response.json()["code"]) == (413, "oversize")


async def test_a_message_of_exactly_the_limit_is_taken(anyone: AsyncClient, agent: FleetAgent):
    told = agent.message(A)
    body = told + b" " * (MAX_MESSAGE_BYTES - len(told))
    for content in (body, in_parts(body)):
        response = await anyone.post("/api/v1/agents/reports", content=content, headers=agent.signed(body))
        assert response.status_code == 204, response.text


@pytest.mark.parametrize("route", ROUTES)
async def test_depth_is_no_way_in(anyone: AsyncClient, agent: FleetAgent, redis: Redis, route: str):
    await redis.delete("gateway:refused:127.0.0.0/24")
    for opening in (b"[", b'{"a":', b'{"agent":['):
        body = opening * (LIMITS[route] // len(opening))
        assert (await agent.post(anyone, route, body)).status_code == 422


@pytest.mark.parametrize("route", ROUTES)
async def test_encoded_bodies_are_refused(anyone: AsyncClient, agent: FleetAgent, redis: Redis, route: str):
    await redis.delete("gateway:refused:127.0.0.0/24")
    headers = {"Content-Encoding": "gzip"}
    assert (await agent.post(anyone, route, b"\x1f\x8b", **headers)).status_code == 415


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("query", ["?a=%00", "?token=x", "?a=1&a=2", "?" + "a" * 40_000])
async def test_addresses_are_as_strict_as_elsewhere(anyone: AsyncClient, agent: FleetAgent, route: str, query: str):
    body = valid(agent)[route]
    response = await anyone.post(f"/api/v1/agents/{route}{query}", content=body, headers=agent.signed(body))
    assert response.status_code in (413, 422)


@pytest.mark.parametrize("name", ["é", "a" * 5_000, "a b", "../..", "'; --"])
async def test_odd_names_are_nobodys(anyone: AsyncClient, agent: FleetAgent, name: str):
    body = agent.greeting()
    headers = [
        (key.encode(), value.encode("utf-8"))
        for key, value in {**agent.signed(body), "Territoriale-Agent": name}.items()
    ]
    response = await anyone.post("/api/v1/agents/hello", content=body, headers=headers)
    assert response.status_code == 401
