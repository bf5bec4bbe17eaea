"""Who may call what: every operation of the API, asked by everybody."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from pydantic import SecretStr

from contracts.registry import AgentKey
from contracts.rights_version import RIGHTS_VERSION_KEY
from contracts.scope import Sight
from services.gateway.app import create_app
from services.gateway.config import GatewaySettings
from services.gateway.readers import Reader
from services.gateway.rights import RIGHTS, UndeclaredRightError, check_rights, operations_of
from tests.services.gateway.conftest import NOW, Platform, bearer, served
from tests.services.identity.documents import A, B, C
from tests.support.fleet import FleetAgent

VALUES = {"{table}": "connexions.individus", "{page}": "connexions"}
TABLE = "/api/v1/tables/connexions.individus"


def settings() -> GatewaySettings:
    """Settings of a gateway that is built and never started."""
    return GatewaySettings(
        identity_url="http://127.0.0.1:1", query_url="http://127.0.0.1:1", redis=SecretStr("redis://127.0.0.1:1"),
        kafka="127.0.0.1:1", internal_token=SecretStr("internal"),
    )  # fmt: skip


def with_values(path: str) -> str:
    for name, value in VALUES.items():
        path = path.replace(name, value)
    return path


def uais(body: Any) -> set[str]:
    """Establishments that an answer names, wherever it does."""
    text = repr(body)
    return {uai for uai in (A, B, C) if uai in text}


async def ask(client: AsyncClient, method: str, path: str, **rest: Any) -> tuple[int, str]:
    """Status and body; of a stream, its first bytes."""
    async with client.stream(method, with_values(path), **rest) as response:
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            return response.status_code, await anext(response.aiter_text())
        return response.status_code, (await response.aread()).decode()


def test_every_operation_has_a_line_and_every_line_an_operation():
    assert operations_of(create_app(settings())) == set(RIGHTS)


def test_an_operation_without_a_line_keeps_the_gateway_from_starting():
    app = create_app(settings())
    app.add_api_route("/api/v1/everything", settings)
    with pytest.raises(UndeclaredRightError, match="everything"):
        check_rights(app)


def test_a_mounted_application_cannot_hide():
    app = create_app(settings())
    app.mount("/hidden", FastAPI())
    with pytest.raises(UndeclaredRightError):
        check_rights(app)


@pytest.mark.connected
async def test_the_matrix(anyone: AsyncClient, platform: Platform):
    strangers = {
        "anonymous": {},
        "wrong": bearer("x" * 46),
        "revoked": bearer(platform.revoked),
        "expired": bearer(platform.expired),
        "another scheme": {"Authorization": f"Basic {platform.reader}"},
        "two tokens": bearer(f"{platform.reader} {platform.reader}"),
        "beside it": bearer(f"{platform.reader}x"),
    }
    for (method, path), right in RIGHTS.items():
        for who, headers in strangers.items():
            status, body = await ask(anyone, method, path, headers=headers)
            assert status in ({200, 204} if right == "anyone" else {401}), (path, who, body)
            assert uais(body) == set(), (path, who)
        for token, own in ((platform.reader, {A, B}), (platform.other, {B, C})):
            status, body = await ask(anyone, method, path, headers=bearer(token))
            assert status in ({401} if right == "agent" else {200, 204}), (path, body)
            assert uais(body) <= own, path


@pytest.mark.connected
async def test_an_agents_signature_opens_its_own_routes_and_nothing_else(anyone: AsyncClient, platform: Platform):
    agent = FleetAgent("agent-1")
    await platform.registrar.add_key(AgentKey("agent-1", agent.public))
    bodies = {"enrol": agent.enrolment("nothing"), "hello": agent.greeting(), "reports": agent.message(A)}
    for (method, path), right in RIGHTS.items():
        body = bodies.get(path.rsplit("/", 1)[-1], b"")
        status, told = await ask(anyone, method, path, headers=agent.signed(body), content=body)
        expected = {"agent": {200, 204, 403}, "reader": {401}, "anyone": {200, 204}}[right]
        assert status in expected, (path, told)
    for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD"):
        for path in {path for (_, path), right in RIGHTS.items() if right == "agent"}:
            assert (await anyone.request(method, path, headers=agent.signed(b""))).status_code == 401, (method, path)


@pytest.mark.connected
async def test_a_refusal_says_how_to_be_let_in(anyone: AsyncClient):
    response = await anyone.get(TABLE)
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "unauthorized"
    assert (await anyone.get("/api/v1/nowhere")).status_code == 401
    assert (await anyone.post(TABLE)).status_code == 401


@pytest.mark.connected
async def test_an_establishment_of_another_territory_is_as_unknown_as_one_that_does_not_exist(
    reader: AsyncClient, platform: Platform
):
    others = ("/api/v1/live", "/api/v1/catalogue")
    with_establishment = [path for (_, path), right in RIGHTS.items() if right == "reader" and path not in others]
    for path in with_establishment:
        answers = [
            await ask(reader, "GET", path, params={"establishment": uai}) for uai in (C, "0000000A", "x", "'; --")
        ]
        assert {status for status, _ in answers} == {404}, path
        assert len({body for _, body in answers}) == 1, path
        status, body = await ask(reader, "GET", path, params={"establishment": [A.lower(), A]})
        assert (status, uais(body) <= {A}) == (200, True), path
    assert not any(C in repr(question) for _, question in platform.query.asked if "scope" not in question)
    assert not any(C in question.get("establishments", ()) for _, question in platform.query.asked)


@pytest.mark.connected
async def test_a_revoked_token_is_refused_at_the_next_request(reader: AsyncClient, platform: Platform):
    made = await platform.registrar.create_token("d086")
    assert (await reader.get(TABLE, headers=bearer(made.token))).status_code == 200
    await platform.registrar.revoke_token(made.id)
    assert (await reader.get(TABLE, headers=bearer(made.token))).status_code == 401
    assert (await reader.get(TABLE)).status_code == 200


@pytest.mark.connected
async def test_a_convention_that_is_ended_hides_its_line_at_the_next_request(reader: AsyncClient, platform: Platform):
    assert uais((await reader.get(TABLE)).text) == {A, B}
    await platform.registrar.end_convention("d086", A)
    assert uais((await reader.get(TABLE)).text) == {B}
    assert (await reader.get(TABLE, params={"establishment": A})).status_code == 404
    assert uais((await reader.get(f"{TABLE}.csv")).text) == {B}


@pytest.mark.connected
@pytest.mark.parametrize("flushed", [False, True])
async def test_rights_are_obeyed_while_redis_is_away_or_has_lost_everything(
    platform: Platform, redis, free_port, flushed: bool
):
    away = f"redis://127.0.0.1:{free_port()}/0"
    changed = {} if flushed else {"redis": SecretStr(away)}
    gateway = create_app(platform.settings.model_copy(update=changed))
    async with served(gateway) as url, AsyncClient(base_url=url, headers=bearer(platform.reader)) as reader:
        assert uais((await reader.get(TABLE)).text) == {A, B}
        await platform.registrar.end_convention("d086", A)
        if flushed:
            await redis.flushdb()
        assert uais((await reader.get(TABLE)).text) == {B}


@pytest.mark.connected
async def test_an_old_copy_of_redis_misleads_no_longer_than_the_lease(reader: AsyncClient, platform: Platform, redis):
    assert uais((await reader.get(TABLE)).text) == {A, B}
    old = await redis.get(RIGHTS_VERSION_KEY)
    await platform.registrar.end_convention("d086", A)
    await redis.set(RIGHTS_VERSION_KEY, old, px=1)
    async with asyncio.timeout(10):
        while await redis.exists(RIGHTS_VERSION_KEY):
            await asyncio.sleep(0.005)
    assert uais((await reader.get(TABLE)).text) == {B}


@pytest.mark.parametrize(
    ("version", "passed", "monotonic", "holds"),
    [
        (7, timedelta(0), 99.0, True),
        (6, timedelta(minutes=59), 0.0, True),
        (8, timedelta(0), 0.0, False),
        (7, timedelta(hours=1), 0.0, False),
        (7, timedelta(0), 100.0, False),
    ],
)
def test_a_scope_is_held_until_rights_change_or_a_convention_starts_or_ends(version, passed, monotonic, holds):
    reader = Reader(
        "key", msgspec.Raw(b"{}"), frozenset(), Sight(frozenset(), frozenset()), 1, 7, NOW + timedelta(hours=1), 100.0
    )
    assert reader.holds(version, NOW + passed, monotonic) is holds


@pytest.mark.connected
async def test_without_identity_nobody_is_let_in(platform: Platform, free_port, redis):
    lonely = platform.settings.model_copy(update={"identity_url": f"http://127.0.0.1:{free_port()}"})
    async with served(create_app(lonely)) as url, AsyncClient(base_url=url) as client:
        for headers, status in (({}, 401), (bearer(platform.reader), 503), (bearer("x" * 40), 503)):
            response = await client.get(TABLE, headers=headers)
            assert response.status_code == status
            assert response.headers["content-type"] == "application/problem+json"
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.get("/health/live")).status_code == 204
    assert platform.query.asked == []
