"""How far the platform knows agents: their last report, and restatements family by family."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import pytest
from asgi_lifespan import LifespanManager
from httpx import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.database import create_engine, migrate
from contracts.catalogue import CATALOGUE
from contracts.fleet import AgentStanding, FamilyStanding, StandingQuestion
from services.aggregator.query.app import create_app
from services.aggregator.query.config import QuerySettings
from services.aggregator.store import MIGRATIONS
from services.aggregator.tables import SCHEMA, agents, outcomes, restatements
from tests.support.servers import Database

A, B = "0750001A", "0750002B"
NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
WEB, CENSUS = "web", "census.eleves"
RESTATED = [(1, A, WEB, 70), (1, A, CENSUS, 99), (2, A, WEB, 500)]
"""Agent's number, UAI, family, highest restatement."""


async def put_outcome(connection: AsyncConnection, agent: str, outcome: str, cause: str, hour: int) -> None:
    row = {"agent": agent, "outcome": outcome, "cause": cause, "count": 1, "last_at": NOW.replace(hour=hour)}
    await connection.execute(insert(outcomes).values(row))


@pytest.fixture(scope="module")
async def asking(module_database: Database) -> AsyncIterator[AsyncClient]:
    """The query API over reports of two agents, one of which shares an establishment."""
    engine = create_engine(module_database.usage, application="test")
    await migrate(engine, MIGRATIONS, schema=SCHEMA)
    async with engine.begin() as connection:
        numbered = insert(agents).returning(agents.c.number)
        assert [(await connection.execute(numbered.values(id=name))).scalar_one() for name in ("one", "two")] == [1, 2]
        rows = [(agent, uai, CATALOGUE.families[family].number, highest) for agent, uai, family, highest in RESTATED]
        await connection.execute(
            insert(restatements), [dict(zip(restatements.c.keys(), row, strict=True)) for row in rows]
        )
        await put_outcome(connection, "one", "accepted", "", 5)
        await put_outcome(connection, "one", "parked", "outside_grants", 7)
        await put_outcome(connection, "one", "dead_lettered", "malformed", 9)
        await put_outcome(connection, "two", "refused", "no_convention", 9)
    await engine.dispose()
    app = create_app(
        QuerySettings(usage_database=SecretStr(module_database.usage), internal_token=SecretStr("internal"))
    )
    headers = {"Authorization": "Bearer internal"}
    async with LifespanManager(app), AsyncClient(transport=ASGITransport(app), base_url="http://query") as client:
        client.headers.update(headers)
        yield client


async def standing(asking: AsyncClient, *agents: str, uais: tuple[str, ...] = ()) -> list[AgentStanding]:
    response = await asking.post("/internal/standing", content=msgspec.json.encode(StandingQuestion(agents, uais)))
    assert response.status_code == 200, response.text
    return msgspec.json.decode(response.content, type=list[AgentStanding])


@pytest.mark.connected
async def test_the_highest_restatement_of_each_family_is_told(asking: AsyncClient):
    (told,) = await standing(asking, "one", uais=(A, B))
    assert sorted(told.standing, key=str) == [FamilyStanding(A, CENSUS, 99), FamilyStanding(A, WEB, 70)]
    assert (await standing(asking, "one", uais=(B,)))[0].standing == []
    assert (await standing(asking, "two", uais=(A,)))[0].standing == [FamilyStanding(A, WEB, 500)]


@pytest.mark.connected
async def test_the_last_report_is_the_last_that_a_key_vouched_for(asking: AsyncClient):
    told = await standing(asking, "two", "one", "nobody", "one")
    assert [(each.agent, each.last_report) for each in told] == [
        ("two", None), ("one", NOW.replace(hour=7)), ("nobody", None), ("one", NOW.replace(hour=7)),
    ]  # fmt: skip
    assert all(each.standing == [] for each in told)


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"agents": "one"}', b'{"agents": [1]}', b'{"agents": [], "x": 1}', b"\xff"]
)
@pytest.mark.connected
async def test_what_is_no_question_is_named(asking: AsyncClient, body: bytes):
    response = await asking.post("/internal/standing", content=body)
    assert (response.status_code, response.json()["code"]) == (422, "malformed_question")


@pytest.mark.connected
async def test_nobody_without_the_internal_token(asking: AsyncClient):
    response = await asking.post("/internal/standing", headers={"Authorization": "Bearer x"}, content=b"{}")
    assert response.status_code == 401
