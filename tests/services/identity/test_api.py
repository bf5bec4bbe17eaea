"""The internal API: guarded, versioned, and a scope that ends when it should."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from httpx import AsyncClient

from contracts.registry import Convention, Registry
from contracts.scope import Scope
from tests.services.identity.conftest import NOW
from tests.services.identity.documents import A, B, as_file, territory

pytestmark = pytest.mark.connected

HOUR = timedelta(hours=1)


async def scope_of(client: AsyncClient, token: str) -> Scope:
    response = await client.post("/internal/scopes", json={"token": token})
    assert response.status_code == 200
    return msgspec.json.decode(response.content, type=Scope)


@pytest.mark.parametrize(
    "header", [{"Authorization": ""}, {"Authorization": "Bearer wrong"}, {"Authorization": "internal"}]
)
@pytest.mark.parametrize(("method", "path"), [("GET", "registry"), ("GET", "version"), ("POST", "scopes")])
async def test_nobody_without_the_internal_token(client, header, method, path):
    response = await client.request(method, f"/internal/{path}", headers=header, json={"token": "x" * 40})
    assert response.status_code == 401
    assert response.json()["code"] == "unauthorized"


async def test_the_registry_is_told_once_per_version(client, registrar):
    await registrar.import_(as_file(territory(A)))
    first = await client.get("/internal/registry")
    registry = msgspec.json.decode(first.content, type=Registry)
    assert (registry.version, [each.uai for each in registry.establishments]) == (1, [A])
    assert first.headers["etag"] == '"1"'
    again = await client.get("/internal/registry", headers={"If-None-Match": '"1"'})
    assert (again.status_code, again.content) == (304, b"")
    await registrar.end_convention("d086", A)
    changed = await client.get("/internal/registry", headers={"If-None-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert (await client.get("/internal/version")).json() == {"version": 2}


async def test_a_scope_holds_what_is_in_force_now(client, registrar):
    token = (await registrar.import_(as_file(territory(A, B)))).token
    scope = await scope_of(client, token)
    assert [visible.establishment.uai for visible in scope.establishments] == [A, B]
    assert {grant.family for grant in scope.establishments[0].grants} >= {"web", "people"}
    await registrar.end_convention("d086", A)
    await registrar.add_convention(Convention("d086", A, "joint", NOW + HOUR, NOW + 3 * HOUR))
    scope = await scope_of(client, token)
    assert [visible.establishment.uai for visible in scope.establishments] == [B]
    assert scope.valid_until == NOW + HOUR
    assert scope.rights_version == 3


async def test_tokens_that_are_unknown_revoked_or_expired_are_refused_alike(client, registrar):
    imported = await registrar.import_(as_file(territory(A)))
    (row,) = await registrar.tokens()
    expired = await registrar.create_token("d086", expires_at=registrar._clock.real_now() - HOUR)
    await registrar.revoke_token(row.id)
    bodies = set()
    for token in ("x" * 40, "", "\u0000", imported.token, expired.token):
        response = await client.post("/internal/scopes", json={"token": token})
        assert response.status_code == 401
        bodies.add(response.content)
    assert len(bodies) == 1
    assert b"refused_token" in bodies.pop()


async def test_a_scope_is_not_held_longer_than_its_token_lives(client, registrar):
    await registrar.import_(as_file(territory(A)))
    soon = await registrar.create_token("d086", expires_at=registrar._clock.real_now() + timedelta(seconds=9))
    response = await client.post("/internal/scopes", json={"token": soon.token})
    age = int(response.headers["cache-control"].removeprefix("private, max-age="))
    assert 5 <= age <= 9


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"token": 1}', b'{"token": "\\ud800"}', b'{"token": "' + b"x" * 500 + b'"}']
)
async def test_a_malformed_question_is_named(client, body):
    response = await client.post("/internal/scopes", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"


async def test_the_database_away_is_unavailable_and_never_a_fault(client, registrar, module_database, postgres):
    postgres._sql(f'alter database "{module_database.name}" with allow_connections false')
    postgres._sql(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{module_database.name}'")
    try:
        response = await client.get("/internal/version")
        assert (response.status_code, response.json()["code"]) == (503, "unavailable")
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.get("/health/live")).status_code == 204
    finally:
        postgres._sql(f'alter database "{module_database.name}" with allow_connections true')
    assert (await client.get("/internal/version")).status_code == 200
