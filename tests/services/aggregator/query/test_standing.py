"""How far the platform knows agents: their last report, and restatements family by family."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from asgi_lifespan import LifespanManager
from httpx import ASGITransport, AsyncClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.database import create_engine, migrate
from contracts.catalogue import CATALOGUE
from contracts.fleet import AgentStanding, FamilyStanding, StandingQuestion
from services.aggregator.bundle import HEAD_BYTES, WIDE, WIDE_RECORD, pack
from services.aggregator.query.app import create_app
from services.aggregator.query.config import QuerySettings
from services.aggregator.query.standing import highest
from services.aggregator.reports import families_of
from services.aggregator.states import Key, State, as_columns
from services.aggregator.store import MIGRATIONS
from services.aggregator.tables import DAY, SCHEMA, agents, bundles, outcomes
from tests.support.servers import Database

A, B = "0750001A", "0750002B"
NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
WEB, CENSUS = "web", "census.eleves"


REPORTED = [
    (1, A, WEB, 1, 0), (1, A, WEB, 2, 50), (1, A, WEB, 3, 70), (1, A, WEB, 4, 60), (1, A, CENSUS, 1, 99), (1, B, WEB, 1, 0),
    (2, A, WEB, 1, 500), (2, B, CENSUS, 1, 0),
]  # fmt: skip
"""Agent's number, UAI, family, day of November, restatement."""


def bundled(reported: list[tuple[int, str, str, int, int]]) -> list[dict[str, Any]]:
    """Rows of `bundles`, as the aggregator writes them."""
    states = [
        (Key(uai, CATALOGUE.families[family].number, DAY, date(2026, 11, day).toordinal(), agent), State(restated, cut=False, as_of=0, cells=b""))
        for agent, uai, family, day, restated in reported
    ]  # fmt: skip
    periods, reports = as_columns(states)
    reports = reports.in_order()
    packed = zip(periods, families_of(reports, len(periods)), pack(reports, len(periods)), strict=True)
    return [
        {"uai": uai, "grain": grain, "start": date.fromordinal(start), "families": families, "reports": bundle}
        for (uai, grain, start), families, bundle in packed
    ]


async def put_outcome(connection: AsyncConnection, agent: str, outcome: str, cause: str, hour: int) -> None:
    row = {"agent": agent, "outcome": outcome, "cause": cause, "count": 1, "last_at": NOW.replace(hour=hour)}
    await connection.execute(insert(outcomes).values(row))


reported = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from([A, B]), st.sampled_from([WEB, CENSUS]), st.integers(1, 4),
              st.sampled_from([0, 0, 7, 1_790_000_000])),
    unique_by=lambda one: one[:4], max_size=12,
)  # fmt: skip


@given(reported)
def test_the_highest_of_any_reports(reported: list[tuple[int, str, str, int, int]]):
    rows = bundled(reported)
    plain: dict[tuple[int, str, int], int] = {}
    for agent, uai, family, _, restated in reported:
        key = agent, uai, CATALOGUE.families[family].number
        plain[key] = max(restated, plain.get(key, 0))
    wide = [row for row in rows if row["reports"][0] == WIDE]
    found: dict[tuple[int, str, int], int] = {}
    for uai in (A, B):
        records = b"".join(_records(row["reports"]) for row in wide if row["uai"] == uai)
        found |= {(agent, uai, family): restated for agent, family, restated in highest(records)}
    assert found == {key: restated for key, restated in plain.items() if restated}


def _records(bundle: bytes) -> bytes:
    return bundle[HEAD_BYTES : HEAD_BYTES + int.from_bytes(bundle[2:6], "little") * WIDE_RECORD.itemsize]


@pytest.fixture(scope="module")
async def asking(module_database: Database) -> AsyncIterator[AsyncClient]:
    """The query API over reports of two agents, one of which shares an establishment."""
    engine = create_engine(module_database.usage, application="test")
    await migrate(engine, MIGRATIONS, schema=SCHEMA)
    async with engine.begin() as connection:
        numbered = insert(agents).returning(agents.c.number)
        assert [(await connection.execute(numbered.values(id=name))).scalar_one() for name in ("one", "two")] == [1, 2]
        await connection.execute(insert(bundles), bundled(REPORTED))
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
